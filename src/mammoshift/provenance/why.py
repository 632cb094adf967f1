"""Saying in words what would run again, and for which reason.

Snakemake's dry run states a reason for every job; for changed params it prints the values before
and now. This module turns that text into short sentences: which leaf of the configuration
changed, which module's code, which file.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (?P<rule>\S+):$")
_PARAMS = re.compile(r"before: (?P<before>.*?) now: (?P<now>.*)$")
_DERIVED = "Input files updated by another job"


@dataclass(frozen=True)
class PlannedJob:
    """One job of a dry run: its rule, its first output and the reason as Snakemake gives it."""

    rule: str
    output: str
    reason: str

    @property
    def is_derived(self) -> bool:
        """Whether the job runs only because a job before it does."""
        return self.reason.startswith(_DERIVED)


def planned_jobs(dry_run: str) -> list[PlannedJob]:
    """Return the jobs that the text of a dry run lists, in its order."""
    jobs: list[PlannedJob] = []
    rule, fields = None, {}
    for line in [*dry_run.splitlines(), ""]:
        started = _JOB.match(line)
        if started or (rule and not line.startswith("    ")):
            if rule:
                output = fields.get("output", "").split(", ")[0]
                jobs.append(PlannedJob(rule, output, fields.get("reason", "")))
            rule, fields = (started["rule"], {}) if started else (None, {})
        elif rule:
            key, _, value = line.strip().partition(": ")
            fields[key] = value
    return jobs


def explain(jobs: Iterable[PlannedJob]) -> list[str]:
    """Return one sentence for each different reason, then one for what follows from them."""
    jobs = [job for job in jobs if job.rule != "all"]
    if not jobs:
        return ["Nothing would run: everything is present and up to date."]
    causes: dict[str, list[PlannedJob]] = {}
    for job in jobs:
        if not job.is_derived:
            for sentence in _sentences(job):
                causes.setdefault(sentence, []).append(job)
    lines = [f"{_named(found)} would run: {sentence}" for sentence, found in causes.items()]
    derived = [job for job in jobs if job.is_derived]
    if derived:
        lines.append(
            f"{_named(derived)} would follow, since they read what those write; each stops where "
            "its input turns out the same."
        )
    return lines


def _named(jobs: list[PlannedJob]) -> str:
    counts = Counter(job.rule for job in jobs)
    return ", ".join(rule if n == 1 else f"{rule} ({n} jobs)" for rule, n in counts.items())


def _sentences(job: PlannedJob) -> Iterator[str]:
    reason = job.reason
    if reason.startswith("Missing output files"):
        yield "its output is not there yet."
    elif reason.startswith("Updated input files"):
        yield f"an input file changed: {reason.partition(': ')[2]}."
    elif reason.startswith("Set of input files has changed"):
        yield "it reads other files than before."
    elif reason.startswith("Params have changed"):
        yield from _changed_params(reason)
    else:
        yield f"{reason[:1].lower()}{reason[1:]}."


def _changed_params(reason: str) -> Iterator[str]:
    values = _PARAMS.search(reason)
    if values is None:
        yield "its parameters changed."
        return
    before, now = _literals(values["before"]), _literals(values["now"])
    if before is None or now is None:
        yield "its parameters changed."
        return
    for old, new in _paired(before, now):
        yield from _differences(old, new)


def _literals(text: str) -> list[object] | None:
    try:
        value = ast.literal_eval(f"[{text.replace('<nothing exclusive>', '')}]")
    except (SyntaxError, ValueError):
        return None
    return list(value)


def _paired(before: list[object], now: list[object]) -> Iterator[tuple[object, object]]:
    """Pair each value of before with the one of now that has most keys in common."""
    rest = list(now)
    for old in before:
        matches = [new for new in rest if isinstance(old, Mapping) == isinstance(new, Mapping)]
        if not matches:
            yield old, None
            continue
        best = max(matches, key=lambda new: len(_keys(old) & _keys(new)))
        rest.remove(best)
        yield old, best
    for new in rest:
        yield None, new


def _keys(value: object) -> set[object]:
    return set(value) if isinstance(value, Mapping) else set()


def _differences(old: object, new: object, path: str = "") -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            if old.get(key) != new.get(key):
                is_code = str(key).startswith("mammoshift") or str(key).endswith(".py")
                if is_code:
                    yield f"the code of {key} {_change_of_code(old.get(key), new.get(key))}."
                else:
                    yield from _differences(old.get(key), new.get(key), f"{path}.{key}".strip("."))
    elif (pairs := _paired_records(old, new)) is not None:
        for place, (one, other) in enumerate(pairs, 1):
            yield from _differences(one, other, f"{path}.{place}".strip("."))
    elif path:
        yield f"{path} was {_short(old)} and is {_short(new)}."
    else:
        yield f"a parameter was {_short(old)} and is {_short(new)}."


def _paired_records(old: object, new: object) -> list[tuple[object, object]] | None:
    """Return the pairs of two lists of as many records, None for anything else."""
    if not isinstance(old, list) or not isinstance(new, list) or len(old) != len(new):
        return None
    pairs: list[tuple[object, object]] = list(zip(old, new, strict=True))
    return pairs if all(isinstance(item, Mapping) for item in [*old, *new]) else None


def _change_of_code(old: object, new: object) -> str:
    if old is None:
        return "is reached now"
    return "is no longer reached" if new is None else "changed"


def _short(value: object) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
