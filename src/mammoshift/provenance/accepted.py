"""Changes that a person has declared to be without effect on some results.

An acceptance says that a parameter of a job, as it is now, stands for what it was when the result
was made: the fingerprint of an edited file for the earlier one. Where it holds, the job is given
the earlier value, so that planning sees no change and the keys under which parts of the result
are kept stay what they were. Another edit of the same code is another value, and not accepted.

Standard library only: this is imported while Snakemake parses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from inspect import signature
from pathlib import Path
from typing import Any

from mammoshift.errors import ConfigurationError
from mammoshift.files import write_text_atomically

FILE = "accepted.json"
"""Name of the file with all acceptances, in the folder of the results."""


@dataclass(frozen=True)
class Standing:
    """What a parameter stands for: the digest of its value now, and the value that is taken."""

    now: str
    stands_for: Any


@dataclass(frozen=True)
class Acceptance:
    """One job's changed parameters that were declared to be without effect.

    Attributes
    ----------
    target
        The job's first output.
    rule, wildcards
        The job.
    because
        The reason that was given.
    when
        Date and time, UTC.
    changes
        What had changed, in words.
    parameters
        Name -> what it stands for.
    """

    target: str
    rule: str
    wildcards: Mapping[str, str]
    because: str
    when: str
    changes: Sequence[str]
    parameters: Mapping[str, Standing]


def now() -> str:
    """Return the present time as it is written into an acceptance."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def value_digest(value: Any) -> str:
    """Return what tells a parameter's value from others."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:32]


def read_accepted(results: Path) -> list[Acceptance]:
    """Return all acceptances of a folder of results, the eldest first.

    Raises
    ------
    ConfigurationError
        If the file is damaged.
    """
    file = results / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return [
            Acceptance(
                **{
                    **entry,
                    "parameters": {n: Standing(**s) for n, s in entry["parameters"].items()},
                }
            )
            for entry in content["accepted"]
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{file}: not a list of accepted changes ({error}); restore it, or delete it to accept "
            "nothing"
        ) from error


def described_changes(
    accepted: Sequence[Acceptance], own: Mapping[str, Collection[str | None]]
) -> list[dict[str, Any]]:
    """Return acceptances as a report prints them: those of one reason and rule as one.

    Parameters
    ----------
    accepted
        All of a folder of results.
    own
        Wildcard -> the values that concern the report; an acceptance of another value does not.
    """
    results: dict[tuple[Any, ...], set[str]] = {}
    for one in accepted:
        if all(value in own[name] for name, value in one.wildcards.items() if name in own):
            said = (one.rule, tuple(one.changes), one.because, one.when)
            results.setdefault(said, set()).add(one.target)
    return [
        {
            "rule": rule,
            "results": len(targets),
            "changes": list(changes),
            "because": because,
            "when": when,
        }
        for (rule, changes, because, when), targets in results.items()
    ]


def write_accepted(results: Path, accepted: Sequence[Acceptance]) -> None:
    """Write all acceptances of a folder of results; without any the file is removed."""
    file = results / FILE
    if not accepted:
        file.unlink(missing_ok=True)
        return
    content = {"accepted": [asdict(acceptance) for acceptance in accepted]}
    write_text_atomically(file, json.dumps(content, indent=1) + "\n")


def take_accepted(rules: Sequence[Any], accepted: Sequence[Acceptance]) -> None:
    """Let the rules of a workflow give accepted values for the parameters that stand for them.

    Parameters
    ----------
    rules
        Snakemake's rules, with all that they declare.
    accepted
        Later ones replace earlier ones of the same job and parameter.
    """
    by_rule: dict[str, dict[str, dict[tuple[tuple[str, str], ...], Standing]]] = {}
    for acceptance in accepted:
        for name, standing in acceptance.parameters.items():
            jobs = by_rule.setdefault(acceptance.rule, {}).setdefault(name, {})
            jobs[_job(acceptance.wildcards)] = standing
    for rule in rules:
        for name, (place, _) in dict(rule.params._get_names()).items():
            if jobs := by_rule.get(rule.name, {}).get(name):
                rule.params[place] = _accepting(rule.params[place], jobs)
                setattr(rule.params, name, rule.params[place])


def _accepting(
    given: Any, jobs: Mapping[tuple[tuple[str, str], ...], Standing]
) -> Callable[[Any], Any]:
    if callable(given) and list(signature(given).parameters) != ["wildcards"]:
        # It is no parameter that decides whether a job runs.
        return given

    def value(wildcards: Any) -> Any:
        present = given(wildcards) if callable(given) else given
        standing = jobs.get(_job(dict(wildcards.items())))
        if standing is None or value_digest(present) != standing.now:
            return present
        return standing.stands_for

    return value


def _job(wildcards: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in wildcards.items()))
