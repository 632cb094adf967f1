"""Confidence intervals of areas under curves: logit, with Student's t, by the score, and Wald's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mammoshift.statistics.auc import AucEstimate
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.estimates import CurveEstimates, Flag
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.score_interval import score_interval
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

    `logit` is symmetric in log(A / (1 - A)) with standard error se / (A (1 - A)); it stays within
    (0, 1). `logit_t` is the same with Student's t and the degrees of freedom of the variance.
    `score` (see `score_interval`) is the one for fewer than 20 patients of a class. `auto` is
    `score` there, and for perfect separation, and `logit_t` elsewhere. `wald` is A +- c se, cut at
    0 and 1, for comparison with other software. A curve with constant scores has the interval
    [0.5, 0.5]; any other curve whose variance estimate is zero has none (NaN), but for `score`.
    """
    used = method if method != "auto" else "score" if estimate.few else "logit_t"
    if used != "score":
        found = intervals(estimate.auc, estimate, level, used)
        perfect = [Flag.PERFECT_SEPARATION in flags for flags in estimate.flags]
        if method != "auto" or not any(perfect):
            return found
        score = auc_intervals(estimate, level, "score")
        low, high = (
            np.where(perfect, of_score, own)
            for of_score, own in ((score.low, found.low), (score.high, found.high))
        )
        return Intervals(low, high, level, found.method)
    patients = estimate.patients_pos, estimate.patients_neg
    low, high = np.empty_like(estimate.auc), np.empty_like(estimate.auc)
    dfs = _degrees_of_freedom(estimate)
    for k, (value, variance) in enumerate(
        zip(estimate.auc, np.diag(estimate.covariance), strict=True)
    ):
        low[k], high[k] = score_interval(value, variance, patients, dfs[k], level)
        if Flag.CONSTANT_SCORES in estimate.flags[k] and np.isfinite(variance):
            low[k] = high[k] = value
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
