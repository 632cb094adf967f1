"""What a comparison is asked for, what it reports, and the columns that its rows share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mammoshift.commands.compare_metrics import At, title_of
from mammoshift.commands.options import Row
from mammoshift.contracts.external_predictions import DatasetScores, whole_number
from mammoshift.statistics.comparisons import Combined, detectable_by, within_bounds
from mammoshift.statistics.intervals import IntervalMethod
from mammoshift.statistics.margins import margin_tests
from mammoshift.statistics.multiplicity import Correction

ALL_DATASETS = "all"


@dataclass(frozen=True)
class Wishes:
    """What a comparison is asked for.

    Attributes
    ----------
    reference
        Compare every arm with this one; None for all pairs.
    correction, level
        Of the families of tests, and of the intervals.
    method
        Of the intervals of single AUCs.
    margin
        The largest acceptable loss of AUC, declared beforehand; None for none.
    source
        The dataset that transfer drops start from; None for no drops.
    metric, at
        What is compared, a name in `METRICS`, and where operating points are measured.
    roc
        Whether the ROC curves with their bands are added.
    """

    reference: str | None = None
    correction: Correction = "bh"
    level: float = 0.95
    method: IntervalMethod = "auto"
    margin: float | None = None
    source: str | None = None
    metric: str = "auc"
    at: At = field(default_factory=At)
    roc: bool = False

    @property
    def described(self) -> Row:
        """What a report's settings say of the wishes."""
        own = {name: value for name, value in vars(self).items() if name != "at"}
        return {**own, **vars(self.at), "title": title_of(self.metric, self.at)}


@dataclass(frozen=True)
class Report:
    """What the command prints and writes: lists of rows, by name.

    Attributes
    ----------
    settings
        The table, the reference, the column of patients, the correction and the level.
    arms, headline, drops
        The mean AUC of each arm, the one sound test of each pair, and the transfer drops.
    curves, pairs, combined, omnibus, roc
        Rows as the documentation of `compare` describes them; `combined` and `omnibus` are of the
        AUC alone.
    """

    settings: Row
    arms: list[Row]
    headline: list[Row]
    drops: list[Row]
    curves: list[Row]
    pairs: list[Row]
    combined: list[Row]
    omnibus: list[Row]
    roc: list[Row]


def sizes_of(part: DatasetScores) -> Row:
    """Return the numbers of positives, negatives and patients of a dataset."""
    positives = int(np.count_nonzero(part.labels))
    patients = part.labels.size if part.patients is None else int(part.patients.max()) + 1
    return {
        "n_pos": positives,
        "n_neg": part.labels.size - positives,
        "n_clusters": patients,
    }


def combined_row(
    dataset: str | None,
    a: str,
    b: str,
    test: Combined,
    exact_se: float | None = None,
    metric: str = "auc",
) -> Row:
    """Return the columns of one test of two arms, or of one arm with `b` empty.

    `exact_se` is the standard error with the checkpoints held fixed; see `detectable_by`.
    """
    return {
        "dataset": dataset,
        "arm_a": a,
        "arm_b": b,
        "method": test.method,
        "estimate": test.estimate,
        "se": test.se,
        "statistic": test.statistic,
        "df": None if math.isinf(test.df) else test.df,
        "p": test.p,
        "ci_low": within_bounds(test.ci_low, metric),
        "ci_high": within_bounds(test.ci_high, metric),
        "detectable_difference": detectable_by(test, exact_se),
        "note": test.note,
    }


def with_verdicts(
    rows: list[Row], tests: Sequence[Combined], wishes: Wishes, positive_is_loss: bool
) -> list[Row]:
    """Return the rows of one family of tests with their verdicts, where a margin was declared.

    `verdict_low` and `verdict_high` are the limits that the verdict is read from, corrected for the
    family and cut as the interval is.
    """
    if wishes.margin is None:
        return rows
    verdicts = margin_tests(
        tests,
        wishes.margin,
        positive_is_loss=positive_is_loss,
        correction=wishes.correction,
        level=wishes.level,
    )
    names = ("p_noninferior", "p_inferior", "p_noninferior_adjusted", "p_inferior_adjusted")
    return [
        {
            **row,
            **{name: getattr(v, name) for name in names},
            "verdict": v.verdict,
            "verdict_low": within_bounds(v.ci_low, wishes.metric),
            "verdict_high": within_bounds(v.ci_high, wishes.metric),
        }
        for row, v in zip(rows, verdicts, strict=True)
    ]


def seed_number(seed: str | None) -> int | str | None:
    """Return a seed as a number where it is written as one."""
    number = None if seed is None else whole_number(seed)
    return seed if number is None or str(number) != seed else number
