"""Confidence intervals of areas under curves: by the score, logit, with Student's t, and Wald's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mammoshift.statistics.auc import AucEstimate
from mammoshift.statistics.curve_values import aucs, share_of_arm
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.estimates import CurveEstimates, Flag
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.variance_parts import degrees_of_freedom

IntervalMethod = Literal["auto", "score", "logit_t", "logit", "wald"]
INTERVAL_METHODS: tuple[IntervalMethod, ...] = ("auto", "score", "logit_t", "logit", "wald")


@dataclass(frozen=True)
class Intervals:
    """Two-sided intervals of K estimates: `low` and `high` are [K], NaN where undefined.

    `method` is the one that was used, where `auto` was asked for too.
    """

    low: FloatArray
    high: FloatArray
    level: float
    method: IntervalMethod


def auc_intervals(
    estimate: AucEstimate, level: float = 0.95, method: IntervalMethod = "logit"
) -> Intervals:
    """Return an interval for each AUC.

    `score`, which is `auto`, is that of `shares`: it holds with few patients, few misplaced cases
    and perfect separation. `logit` is symmetric in log(A / (1 - A)) with standard error
    se / (A (1 - A)); `logit_t` is the same with Student's t and the degrees of freedom of the
    variance. `wald` is A +- c se, cut at 0 and 1. These three are for comparison with other
    software: a variance estimated as zero gives none (NaN). A curve with constant scores has the
    interval [0.5, 0.5].
    """
    if method not in ("auto", "score"):
        return intervals(estimate.auc, estimate, level, method)
    values = aucs(estimate)
    low, high = np.full_like(estimate.auc, np.nan), np.full_like(estimate.auc, np.nan)
    for k, flags in enumerate(estimate.flags):
        share = share_of_arm(values, [k])
        if share is not None:
            point = share.value, share.value
            low[k], high[k] = point if Flag.CONSTANT_SCORES in flags else share.interval(level)
    return Intervals(low, high, level, "score")


def intervals(
    values: FloatArray, estimate: CurveEstimates, level: float, method: IntervalMethod
) -> Intervals:
    """Return the intervals of K areas [K] by the rules of `auc_intervals`, `score` excepted."""
    se = estimate.se
    c = np.full(values.shape, critical_value(level))
    if method == "logit_t":
        c = np.array([critical_value(level, df) for df in _degrees_of_freedom(estimate)])
    if method == "wald":
        low, high = np.maximum(values - c * se, 0.0), np.minimum(values + c * se, 1.0)
    else:
        low, high = logit_interval(values, se, c)
    for k, flagged in enumerate(estimate.flags):
        if Flag.CONSTANT_SCORES in flagged and np.isfinite(se[k]):
            low[k] = high[k] = values[k]
        elif Flag.PERFECT_SEPARATION in flagged or Flag.ZERO_VARIANCE in flagged:
            low[k] = high[k] = np.nan
    return Intervals(low, high, level, method)


def _degrees_of_freedom(estimate: CurveEstimates) -> list[float]:
    return [degrees_of_freedom(estimate.parts, own) for own in np.eye(len(estimate.flags))]


def logit_interval(
    estimate: FloatArray, se: FloatArray, critical: float | FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the ends of estimate +- critical * se on the logit scale; NaN outside (0, 1)."""
    inside = (estimate > 0.0) & (estimate < 1.0)
    safe = np.where(inside, estimate, 0.5)
    centre = np.log(safe) - np.log1p(-safe)
    half = critical * se / (safe * (1.0 - safe))
    low, high = (0.5 + 0.5 * np.tanh(0.5 * (centre + side)) for side in (-half, half))
    return np.where(inside, low, np.nan), np.where(inside, high, np.nan)
