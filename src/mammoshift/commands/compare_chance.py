"""Whether arms rank better than chance: without that there is nothing to lose, and no verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mammoshift.commands.compare_metrics import positions_of
from mammoshift.commands.options import Row
from mammoshift.commands.text_tables import with_interval
from mammoshift.contracts.external_predictions import DatasetScores
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.comparisons import Combined
from mammoshift.statistics.curve_values import CurveValues, aucs, share_of_arm
from mammoshift.statistics.margins import CHANCE, NOT_JUDGEABLE, not_above_chance

BACKWARDS = (
    "{arm} ranks backwards{where}: its AUC, {auc}, lies below 0.5, as if labels or scores were "
    "turned round"
)
NO_RANKS = "no test: each of the two arms gives every case the same score"


@dataclass(frozen=True)
class Ranking:
    """The mean AUC of an arm's models on a dataset, with limits for these models."""

    arm: str
    dataset: str | None
    value: float
    low: float
    high: float

    @property
    def why_not_judgeable(self) -> str:
        """Why what is lost from here cannot be judged; empty where it can."""
        if self.low > CHANCE:
            return ""
        return not_above_chance(self.dataset or "these cases", self._auc)

    @property
    def warning(self) -> str:
        """That the arm ranks backwards; empty where it does not."""
        if self.high >= CHANCE:
            return ""
        where = f" on {self.dataset}" if self.dataset else ""
        return BACKWARDS.format(arm=self.arm, where=where, auc=self._auc)

    @property
    def _auc(self) -> str:
        return with_interval(self.value, self.low, self.high) or ""


def rankings(part: DatasetScores, level: float, values: CurveValues | None = None) -> list[Ranking]:
    """Return the ranking of each arm, of those that have an AUC with an interval.

    `values` are the AUCs of the curves where they are known already.
    """
    if part.one_class:
        return []
    values = values or aucs(auc_covariance(part.labels, part.scores, part.patients))
    found = []
    for arm, own in positions_of(part.curves).items():
        share = share_of_arm(values, own, seeds_random=False)
        if share is not None:
            found.append(Ranking(arm, part.dataset, share.value, *share.interval(level)))
    return found


def judged_where_above_chance(rows: Sequence[Row], found: Sequence[Ranking]) -> list[Row]:
    """Return the rows of losses from a dataset with the `reason` for which one is not judged.

    The verdict of such a row, where a margin was declared, is that it is not judgeable.
    """
    reasons = {ranking.arm: ranking.why_not_judgeable for ranking in found}
    rows = [{**row, "reason": reasons.get(row["arm_a"], "")} for row in rows]
    return _not_judgeable(rows, [arm for arm, reason in reasons.items() if reason], "arm_a")


def compared_where_forwards(rows: Sequence[Row], found: Sequence[Ranking]) -> list[Row]:
    """Return the rows of a dataset's differences, not judgeable from a backward reference."""
    return _not_judgeable(rows, [ranking.arm for ranking in found if ranking.warning], "arm_b")


def _not_judgeable(rows: Sequence[Row], arms: Sequence[str], column: str) -> list[Row]:
    return [
        {**row, "verdict": NOT_JUDGEABLE} if row[column] in arms and "verdict" in row else row
        for row in rows
    ]


def tested_where_ranked(
    test: Combined, part: DatasetScores, first: Sequence[int], second: Sequence[int]
) -> Combined:
    """Return the test of two arms, none where neither tells cases apart, with the reason.

    Their difference of zero has no variance and would pass any margin.
    """
    scores = part.scores[[*first, *second]]
    if test.se or np.ptp(scores, axis=1).any():
        return test
    return replace(test, se=None, statistic=None, p=None, ci_low=None, ci_high=None, note=NO_RANKS)
