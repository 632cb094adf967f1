"""What an audit found: leaks, leaks that a split declares, and what a person should look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import pandas as pd

from mammoshift.errors import LeakageError
from mammoshift.files import atomic_path

SUMMARY_COLUMNS = ("check", "outcome", "detail")
MAXIMUM_LISTED = 10_000
"""Findings of one check beyond this number are counted and not listed."""

_SHOWN_IN_ERROR = 5

Check = Literal[
    "case_listed_once",
    "patient_in_one_subset",
    "pixels_in_one_subset",
    "file_in_one_subset",
    "patient_learned_from",
    "pixels_learned_from",
    "file_learned_from",
    "third_party_weights",
    "pixels_under_two_names",
    "ids_in_two_datasets",
    "near_duplicates",
    "patient_unknown",
    "of_one_grey",
    "predictions_follow_split",
]
Outcome = Literal["leak", "declared", "listed"]

DESCRIPTIONS: dict[Check, str] = {
    "case_listed_once": "every case, image and patch has one place",
    "patient_in_one_subset": "no patient is in two subsets of a fold",
    "pixels_in_one_subset": "no two subsets of a fold hold the same pixels",
    "file_in_one_subset": "no two subsets of a fold hold the same file",
    "patient_learned_from": (
        "no model is judged on a patient that it learned from (ids are compared within a dataset "
        "and declared groups only)"
    ),
    "pixels_learned_from": "no model is judged on pixels that it learned from",
    "file_learned_from": "no model is judged on a file that it learned from",
    "third_party_weights": "no model is judged on an archive behind its pretrained weights",
    "pixels_under_two_names": "the same pixels under two names",
    "ids_in_two_datasets": "patient ids that two tables of users' own both hold",
    "near_duplicates": "pictures of different patients that look alike",
    "patient_unknown": "images whose patient the archive does not name",
    "of_one_grey": "images whose breast fills less than a tenth of the range of intensities",
    "predictions_follow_split": "predictions are of held-out cases",
}


@dataclass(frozen=True)
class Finding:
    """One pair of cases (or one case) that a check found.

    `runs` are those that are concerned, for a check of models; `fold` is that of the split, -1
    where it does not matter. `distance` is the number of differing bits of the fine difference
    hashes, 0 for findings that do not compare pictures. The fields of the other case are empty
    where there is none.
    """

    check: Check
    outcome: Outcome
    domain: str
    case_id: str
    subset: str
    other_domain: str = ""
    other_case_id: str = ""
    other_subset: str = ""
    fold: int = -1
    distance: int = 0
    runs: str = ""

    def __str__(self) -> str:
        runs = f" ({self.runs})" if self.runs else ""
        here = f"{self.check}{runs}: {self.domain}/{self.case_id} ({self.subset})"
        if not self.other_domain:
            return here
        return f"{here} and {self.other_domain}/{self.other_case_id} ({self.other_subset})"


FINDING_COLUMNS = tuple(field.name for field in fields(Finding))


@dataclass(frozen=True)
class CheckSummary:
    """What one check looked at and how much it found.

    `complete` is false where findings beyond a limit are not listed; `note` says what could not
    be checked.
    """

    check: Check
    examined: int
    leaks: int = 0
    declared: int = 0
    listed: int = 0
    complete: bool = True
    note: str = ""

    @property
    def outcome(self) -> str:
        """`fail`, `declared`, `listed` or `pass`: the gravest of what was found."""
        if self.leaks:
            return "fail"
        if self.declared:
            return "declared"
        return "listed" if self.listed else "pass"

    @property
    def detail(self) -> str:
        """What was checked, how much of it, and what was found."""
        found = self.leaks + self.declared + self.listed
        rest = "" if self.complete else ", not all of them listed"
        note = f"; {self.note}" if self.note else ""
        return f"{DESCRIPTIONS[self.check]}: {self.examined} examined, {found} found{rest}{note}"


@dataclass(frozen=True)
class AuditReport:
    """The result of an audit: every check with its counts, and the findings, leaks first."""

    checks: tuple[CheckSummary, ...]
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, parts: Iterable[tuple[CheckSummary, list[Finding]]]) -> AuditReport:
        """Put the results of checks together."""
        parts = list(parts)
        order = ("leak", "declared", "listed")
        found = [finding for _, findings in parts for finding in findings]
        found.sort(key=lambda finding: order.index(finding.outcome))
        return cls(tuple(summary for summary, _ in parts), tuple(found))

    @property
    def passed(self) -> bool:
        """Whether no check found a leak that is not declared."""
        return not any(check.leaks for check in self.checks)

    def raise_on_leak(self) -> None:
        """Raise `LeakageError` that names the first leaks when there is one."""
        if self.passed:
            return
        leaks = [finding for finding in self.findings if finding.outcome == "leak"]
        shown = "; ".join(str(finding) for finding in leaks[:_SHOWN_IN_ERROR])
        raise LeakageError(
            f"{sum(check.leaks for check in self.checks)} leaks, such as {shown}. Correct the "
            "names of patients in the archive's tables, leave one of two images out by a filter, "
            "divide patients who were imaged again by the split same_as, or judge on other domains"
        )

    def findings_table(self) -> pd.DataFrame:
        """Return the findings with the columns of `FINDING_COLUMNS`."""
        rows = [[getattr(finding, name) for name in FINDING_COLUMNS] for finding in self.findings]
        return pd.DataFrame(rows, columns=list(FINDING_COLUMNS))


def write_audit(report: AuditReport, summary: Path, findings: Path | None = None) -> None:
    """Write what was checked with its outcome, and every pair that was found, as CSV."""
    rows = [(check.check, check.outcome, check.detail) for check in report.checks]
    tables = [(summary, pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS)))]
    if findings is not None:
        tables.append((findings, report.findings_table()))
    for path, table in tables:
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False)
