"""Paired comparison of sensitivities, every arm held at the same specificity.

Each arm has a threshold of its own, estimated again in every resample of patients, so that the
uncertainty of both thresholds is in the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from mammoshift.statistics.bootstrap import DEFAULT_RESAMPLES, is_degenerate, resamples_text
from mammoshift.statistics.bootstrap_curves import bootstrap_curves
from mammoshift.statistics.inputs import FloatArray, checked_cases
from mammoshift.statistics.thresholds import threshold_at_specificity

IDENTICAL = "the two agree in every resample"


@dataclass(frozen=True)
class SensitivityDifference:
    """Difference of two arms' sensitivities at a matched specificity, first minus second.

    `se` is the standard deviation of the bootstrap, `p` two-sided from difference / se, and the
    interval is difference -+ the normal quantile times `se`, so that test and interval agree.
    """

    difference: float
    se: float
    ci_low: float
    ci_high: float
    statistic: float | None
    p: float | None
    method: str
    note: str = ""


def compare_at_specificity(
    labels: ArrayLike,
    scores: ArrayLike,
    pairs: Sequence[tuple[int, int]],
    specificity: float,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    resamples: int = DEFAULT_RESAMPLES,
    level: float = 0.95,
) -> tuple[SensitivityDifference, ...]:
    """Compare arms' sensitivities at one specificity by a paired patient bootstrap.

    Parameters
    ----------
    labels, scores
        [N] and [K, N].
    pairs
        Indices (a, b) of the arms; the difference is a minus b. In every resample each arm has
        its own threshold, so both arms are held at the wanted specificity.
    """
    curves = bootstrap_curves(
        labels,
        scores,
        rng,
        patients=patients,
        specificities=(specificity,),
        resamples=resamples,
    )
    positive, matrix = checked_cases(labels, scores)
    values = [threshold_at_specificity(positive, row, specificity).sensitivity for row in matrix]
    method = f"paired_{resamples_text(resamples)}"
    return tuple(
        _difference(
            values[a] - values[b],
            curves.sensitivity[0, a] - curves.sensitivity[0, b],
            method,
            level,
        )
        for a, b in pairs
    )


def _difference(
    difference: float, replicates: FloatArray, method: str, level: float
) -> SensitivityDifference:
    if is_degenerate(replicates):
        # Equal in every resample: no evidence of a difference if there is none to begin with.
        same = difference == 0.0
        return SensitivityDifference(
            difference,
            0.0,
            difference,
            difference,
            0.0 if same else None,
            1.0 if same else None,
            method,
            IDENTICAL if same else "degenerate: they differ by the same amount in every resample",
        )
    se = float(np.std(replicates, ddof=1))
    statistic = difference / se
    half = -float(ndtri((1.0 - level) / 2.0)) * se
    return SensitivityDifference(
        difference,
        se,
        difference - half,
        difference + half,
        statistic,
        float(2.0 * ndtr(-abs(statistic))),
        method,
    )
