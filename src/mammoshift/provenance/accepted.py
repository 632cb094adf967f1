"""Changes that a person has declared to be without effect on some results.

An acceptance says that a parameter of a job, as it is now, may stand in the place of what it was
when the result was made: the fingerprint of an edited file in that of the earlier one. Where it
holds, planning is told the present value of a result that was made with the earlier one, and sees
no change. Nothing else is told: a job that runs for any other reason has the present values, and
its key says them. Another edit of the same code is another value, and not accepted.

Standard library only: this is imported while Snakemake parses.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mammoshift.errors import ConfigurationError
from mammoshift.files import write_text_atomically

FILE = "accepted.json"
"""Name of the file with all acceptances, in the folder of the results."""


@dataclass(frozen=True)
class Standing:
    """A parameter's value now, and the one that it was when the result was made."""

    now: Any
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


class Accepted:
    """All acceptances of a folder of results, the later ones before the earlier ones of a job."""

    def __init__(self, accepted: Sequence[Acceptance] = ()) -> None:
        self._standing = {
            (one.rule, _wildcards(one.wildcards), name): standing
            for one in accepted
            for name, standing in one.parameters.items()
        }

    def now(self, rule: str, wildcards: Mapping[str, str], name: str, value: Any) -> Any:
        """Return what stands in the place of the value that a result was made with, or that."""
        standing = self._standing.get((rule, _wildcards(wildcards), name))
        if standing is None or repr(standing.stands_for) != repr(value):
            return value
        return standing.now


def _wildcards(wildcards: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in wildcards.items()))
