"""Findings of one check over a pool of cases, counted all and listed up to a limit."""

from __future__ import annotations

import numpy as np

from mammoshift.cases.findings import MAXIMUM_LISTED, Check, CheckSummary, Finding, Outcome
from mammoshift.cases.pool import Codes, Pool

Result = tuple[CheckSummary, list[Finding]]


class Counted:
    """Findings up to a limit, and how many there are of each outcome."""

    def __init__(self, check: Check, pool: Pool) -> None:
        self.check: Check = check
        self.pool = pool
        self.findings: list[Finding] = []
        self.counts: dict[Outcome, int] = {"leak": 0, "declared": 0, "listed": 0}

    def add(
        self, outcome: Outcome, first: Codes, second: Codes | None, fold: int = -1, runs: str = ""
    ) -> None:
        """Add a finding for each row of `first` and, where given, its counterpart."""
        self.counts[outcome] += len(first)
        room = MAXIMUM_LISTED - len(self.findings)
        others = np.full(len(first), -1) if second is None else second
        for one, two in zip(first[:room].tolist(), others[:room].tolist(), strict=True):
            self.findings.append(self._finding(outcome, one, two, fold, runs))

    def add_pair(self, outcome: Outcome, one: int, two: int, distance: int) -> None:
        """Add one pair of pictures that look alike."""
        self.counts[outcome] += 1
        if len(self.findings) < MAXIMUM_LISTED:
            self.findings.append(self._finding(outcome, one, two, -1, "", distance))

    def result(self, examined: int, note: str = "", complete: bool = True) -> Result:
        """Return the check's summary and the findings."""
        listed_all = sum(self.counts.values()) == len(self.findings)
        leaks, declared, listed = (self.counts[name] for name in ("leak", "declared", "listed"))
        complete = complete and listed_all
        summary = CheckSummary(self.check, examined, leaks, declared, listed, complete, note)
        return summary, self.findings

    def _finding(
        self, outcome: Outcome, one: int, two: int, fold: int, runs: str, distance: int = 0
    ) -> Finding:
        other = self._place(two, fold) if two >= 0 else ("", "", "")
        here = self._place(one, fold)
        return Finding(self.check, outcome, *here, *other, fold, distance, runs)

    def _place(self, row: int, fold: int) -> tuple[str, str, str]:
        domain, case = (str(self.pool.table[name].iloc[row]) for name in ("domain", "case_id"))
        # Another domain may have other folds; its subsets are then all named.
        in_fold = fold if fold < self.pool.folds(domain) else -1
        return domain, case, self.pool.subset(row, in_fold)
