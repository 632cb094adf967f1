"""Saying in words what would run again, for which reason, and what it costs.

What a result was made from is in its key (`mammoshift.provenance.keys`), what it would be made
from now in the plan of a dry run (`mammoshift.provenance.planned`).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from mammoshift.archives.listing import iterate_files
from mammoshift.archives.memory import NAME as MEMORY
from mammoshift.archives.memory import ContentMemory, changed_files
from mammoshift.errors import TableError
from mammoshift.pixelstore.receipt import mending_of_shard, read_receipt
from mammoshift.provenance.differences import STATE, changed_parameters
from mammoshift.provenance.inputs import written_elsewhere
from mammoshift.provenance.keys import (
    CODE,
    CODE_FOLDER,
    Key,
    Keys,
    all_keys,
    code_name,
    kept_definitions,
)
from mammoshift.provenance.planned import Plan, PlannedJob
from mammoshift.provenance.versions import differing

SHARED_RULES = frozenset({"train_arm", "score_arm", "preprocess_bundle"})
"""Rules whose jobs keep parts of their result and restore those whose inputs are the same."""
MOST_FILES = 3
HOUR = 3600.0


@dataclass(frozen=True)
class Reasons:
    """Why one job would run: clauses of its own, none where it only follows other jobs."""

    job: PlannedJob
    clauses: tuple[str, ...]
    key: Key | None


def reasons(plan: Plan) -> list[Reasons]:
    """Return every job of a plan with the reasons why it would run."""
    keys = Keys(plan.results, plan.folder)
    folders = [plan.folder / plan.results / CODE_FOLDER]
    found = []
    for job in plan.jobs:
        key = _key_of(job, plan, keys)
        clauses = tuple(_clauses(job, key, plan, folders, keys))
        found.append(Reasons(job, clauses, key))
    return found


def explain(plan: Plan) -> list[str]:
    """Return sentences: one for each cause, one for what follows, one for the cost."""
    found = reasons(plan)
    if not found:
        return [_nothing(plan)]
    lines = [f"{_named(jobs)} would run: {text}." for text, jobs in _by_cause(found)]
    followers = [one.job for one in found if not one.clauses]
    if followers:
        lines.append(_following(followers))
    lines.append(_at_stake(found, plan))
    return lines


def _nothing(plan: Plan) -> str:
    """Say that nothing would run, and what is missing that no job waits for."""
    gone = _missing(plan)
    shards = _missing_of_shards(plan)
    if shards:
        files = [path.relative_to(plan.folder).as_posix() for path, _ in shards]
        return (
            "Nothing would run: what the targets need is up to date, and whatever reads pixels "
            f"anew would end with an error, since arrays are missing: {_files(files)}; to make "
            f"them again {shards[0][1]}."
        )
    if not gone:
        return "Nothing would run: every result is present and up to date."
    return (
        "Nothing would run: what the targets need is up to date. No job waits for what is missing "
        f"meanwhile: {_files(gone)}; `{plan.again.command(plan.folder / gone[0])}` makes it again."
    )


def _missing(plan: Plan) -> list[str]:
    """Return the results of the planned jobs that are not there, though a key says their sum."""
    wanted = set(plan.wanted)
    results = plan.folder / plan.results
    paths = (path for key in all_keys(results) if isinstance(key, Key) for path in key.paths)
    gone = (path.relative_to(plan.folder).as_posix() for path in paths if not path.exists())
    return sorted(wanted.intersection(gone))


def _missing_of_shards(plan: Plan) -> list[tuple[Path, str]]:
    """Return the files of pixel stores that are not there, each with what makes it again.

    They are no outputs of a job: a store's receipt names them. One that is damaged names none,
    which `mammoshift verify` tells.
    """
    pixels = plan.results / "pixels"
    stores = [plan.folder / path for path in plan.wanted if fnmatch(path, f"{pixels}/*/store.json")]
    missing = []
    for store in stores:
        with contextlib.suppress(TableError):
            for shard in read_receipt(store).shards:
                folder = store.parent / shard.folder
                mend = mending_of_shard(store, folder)
                files = (folder / name for name in shard.sha256)
                missing.extend((file, mend) for file in files if not file.is_file())
    return missing


def _by_cause(found: Sequence[Reasons]) -> Iterator[tuple[str, list[PlannedJob]]]:
    """Yield each cause with its jobs; causes of exactly the same jobs together."""
    causes: dict[str, list[PlannedJob]] = {}
    for one in found:
        for clause in one.clauses:
            causes.setdefault(clause, []).append(one.job)
    together: dict[tuple[str, ...], tuple[list[str], list[PlannedJob]]] = {}
    for clause, jobs in causes.items():
        names = tuple(job.outputs[0] for job in jobs)
        together.setdefault(names, ([], jobs))[0].append(clause)
    for clauses, jobs in together.values():
        yield "; ".join(clauses), jobs


def version_notes(keys: Iterable[Key]) -> list[str]:
    """Return one line for each library of which another version is installed than computed."""
    counts: Counter[str] = Counter()
    for key in keys:
        for name, (then, now) in differing(key.versions).items():
            counts[f"made with {name} {then}, of which {now} is installed"] += 1
    return [f"{n} result{'s were' if n > 1 else ' was'} {text}" for text, n in counts.items()]


def _key_of(job: PlannedJob, plan: Plan, keys: Keys) -> Key | None:
    for output in job.outputs:
        key = keys.of(plan.folder / output)
        if key is not None and key.rule:
            return key
    return None


def _clauses(
    job: PlannedJob, key: Key | None, plan: Plan, folders: Sequence[Path], keys: Keys
) -> Iterator[str]:
    absent = [path for path in job.outputs if not (plan.folder / path).exists()]
    if key is None:
        if len(absent) < len(job.outputs):
            yield "its results carry no key, so that nobody knows what they were made from"
        else:
            yield "for the first time"
        return
    if not key.is_in_place:
        yield f"what lies there {written_elsewhere(key.paths[0], key)}"
    if absent:
        yield f"deleted: {_files(absent)}"
    if job.is_forced:
        yield "the command line asks for it"
    own = [path for path in job.updated if path not in job.waits_for]
    if own:
        written = (_named_input(path, plan, keys) for path in own)
        yield f"an input has another content: {_files(list(written))}"
    foreign = [
        f"{path} (of {writer.job}{_written(writer)})"
        for path, writer in keys.foreign_inputs(key)
        if path not in own and path not in job.waits_for
    ]
    if foreign:
        yield f"it was made from another content than lies in {_files(foreign)}"
    before = [path for path, _ in key.inputs]
    if set(before) != (now := set(job.inputs)):
        if come := sorted(now - set(before)):
            yield f"it reads {_files(come)} as well"
        if gone := sorted(set(before) - now):
            yield f"it no longer reads {_files(gone)}"
    definitions = (_definitions_before(key, folders), _definitions_now(job, plan))
    yield from changed_parameters(key.parameters, job.parameters, definitions)
    if plan.same_versions:
        for name, (then, now_) in differing(key.versions).items():
            yield f"{name} was {then} and is {now_}"
    if key.parameters.get(STATE) != job.parameters.get(STATE):
        yield from _changed_raw_files(job, key, plan.folder)


def _named_input(path: str, plan: Plan, keys: Keys) -> str:
    """Return an input with the job that wrote it, and where it is from, if its key tells."""
    key = keys.of(plan.folder / path)
    if key is None or not key.rule:
        return path
    if not key.is_in_place:
        return f"{path} ({written_elsewhere(Path(path), key)})"
    return f"{path} (of {key.job}{_written(key)})"


def _written(key: Key) -> str:
    if key.ended is None:
        return ""
    return f", {datetime.fromtimestamp(key.ended, UTC):%Y-%m-%d %H:%M} UTC"


def _changed_raw_files(job: PlannedJob, key: Key, folder: Path) -> Iterator[str]:
    """Yield which files from outside changed: one that is named, or those of an archive."""
    if "root" not in job.places:
        yield f"the file {job.places.get('path')} has another content"
        return
    root = folder / str(job.places["root"])
    if not root.is_dir():
        yield f"the archive {job.places['root']} is not there"
        return
    memory = ContentMemory.read((folder / job.outputs[0]).with_name(MEMORY))
    files = list(iterate_files(root))
    for verb, paths in changed_files(memory, files, since=key.ended or 0.0).items():
        if paths:
            yield f"{verb} in {job.places['root']}: {_files(paths)}"


def _definitions_before(key: Key, folders: Sequence[Path]) -> Mapping[str, str] | None:
    code = key.parameters.get(CODE)
    return kept_definitions(code, folders) if isinstance(code, Mapping) else None


def _definitions_now(job: PlannedJob, plan: Plan) -> Mapping[str, str] | None:
    code = job.parameters.get(CODE)
    return plan.codes.get(code_name(code)) if isinstance(code, Mapping) else None


def _following(jobs: Sequence[PlannedJob]) -> str:
    one = len(jobs) == 1
    text = f"{_named(jobs)} would start after "
    text += (
        "that, since it reads what was written"
        if one
        else "those, since they read what was written"
    )
    sparing = sorted({job.rule for job in jobs} & SHARED_RULES)
    if sparing:
        text += f"; {', '.join(sparing)} restore what they kept wherever its inputs are the same"
    return f"{text}."


def _at_stake(found: Sequence[Reasons], plan: Plan) -> str:
    """Return how much work it was to make what would be made again."""
    hours = 0.0
    by_rule: dict[str, list[float]] = {}
    for one in found:
        if (seconds := _seconds(one, plan.folder)) is not None:
            by_rule.setdefault(one.job.rule, []).append(seconds)
    unknown: list[PlannedJob] = []
    guessed = 0
    for one in found:
        known = by_rule.get(one.job.rule)
        seconds = _seconds(one, plan.folder)
        if seconds is None and known is None:
            unknown.append(one.job)
            continue
        guessed += seconds is None
        hours += (sum(known or ()) / len(known or (1,)) if seconds is None else seconds) / HOUR
    jobs = "1 job" if len(found) == 1 else f"{len(found)} jobs"
    text = f"At stake: {jobs}, {_duration(hours)} of work as it was measured"
    if guessed:
        text += f" (of them {guessed} new, taken as the mean of their rule)"
    return f"{text}; nothing is known of {_named(unknown)}." if unknown else f"{text}."


def _seconds(one: Reasons, folder: Path) -> float | None:
    """Return the seconds that a job's result took: as its key says, or its benchmark file."""
    if one.key is not None and one.key.seconds is not None:
        return one.key.seconds
    try:
        lines = (folder / str(one.job.benchmark)).read_text(encoding="utf-8").splitlines()
        return float(lines[1].split("\t")[0])
    except (OSError, ValueError, IndexError):
        return None


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1.0 else f"{60 * hours:.1f} minutes"


def _named(jobs: Iterable[PlannedJob]) -> str:
    counts = Counter(job.rule for job in jobs)
    return ", ".join(rule if n == 1 else f"{rule} ({n} jobs)" for rule, n in counts.items())


def _files(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:MOST_FILES])
    return shown if len(paths) <= MOST_FILES else f"{shown} and {len(paths) - MOST_FILES} more"
