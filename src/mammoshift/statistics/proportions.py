"""Estimates with their intervals: Wilson's for a proportion, and one over patients for a ratio.

References
----------
Wilson 1927, Journal of the American Statistical Association 22:209 (score interval).
Newcombe 1998, Statistics in Medicine 17:873, method 10; Zou and Donner 2008, Statistics in
Medicine 27:1693 (interval of a sum from the intervals of its terms, MOVER). Cochran 1977, Sampling
Techniques, section 11.7, and Rao and Scott 1992, Biometrics 48:577 (ratio over clusters).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mammoshift.errors import StatisticsError
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.variance_parts import effective_number

ALIKE = "all patients agree: Wilson interval on the number of patients"


@dataclass(frozen=True)
class Estimate:
    """One number with its interval.

    Attributes
    ----------
    value
        None where undefined; `note` then says why.
    ci_low, ci_high
        Limits; None where there is no interval, and `note` says why.
    method
        How the interval was made, such as `wilson` or `patient_bootstrap_2000`.
    note
        What a reader must know; empty otherwise.
    """

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    method: str = ""
    note: str = ""


def undefined(reason: str) -> Estimate:
    """Return the estimate of a quantity that does not exist, with the reason."""
    return Estimate(None, note=reason)


def wald_estimate(
    value: float, se: float, method: str, level: float, df: float = math.inf, note: str = ""
) -> Estimate:
    """Return value -+ critical value * se, without an interval where the standard error is none."""
    if not math.isfinite(se):
        return Estimate(value, note="no interval: the information matrix is singular")
    half = critical_value(level, df) * se
    return Estimate(value, value - half, value + half, method, note)


def wilson_interval(
    successes: ArrayLike, trials: ArrayLike, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return the limits of Wilson's score interval, elementwise.

    Parameters
    ----------
    successes, trials
        Any common shape. They need not be whole numbers: an effective sample size will do.
    level
        Confidence level, in (0, 1).

    Returns
    -------
    low, high
        In [0, 1]; NaN where there is no trial.
    """
    x, n = np.broadcast_arrays(
        np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    )
    z = critical_value(checked_level(level))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = x / n
        centre = (share + z * z / (2.0 * n)) / (1.0 + z * z / n)
        half = (z / (1.0 + z * z / n)) * np.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))
    low = np.where(x == 0, 0.0, np.clip(centre - half, 0.0, 1.0))
    high = np.where(x == n, 1.0, np.clip(centre + half, 0.0, 1.0))
    empty = n <= 0
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def proportion(successes: int, trials: int, *, empty: str, level: float = 0.95) -> Estimate:
    """Return a proportion with its Wilson interval; `empty` is the reason when trials is 0."""
    if trials == 0:
        return undefined(empty)
    low, high = wilson_interval(successes, trials, level)
    return Estimate(successes / trials, float(low), float(high), "wilson")


def clustered_ratio(
    hits: ArrayLike, cases: ArrayLike, *, empty: str, level: float = 0.95
) -> Estimate:
    """Return a proportion of cases that belong to patients, with an interval over patients.

    The share is sum x / sum n. Its variance is that of a ratio of two totals over patients,
    I / (I - 1) sum (x - p n)^2 / (sum n)^2, taken to the logit scale with Student's t; its degrees
    of freedom count patients of unequal size as the fewer equal ones that they are worth. With
    all or none of the cases hit it is Wilson's interval on the number of patients.

    Parameters
    ----------
    hits, cases
        [I], for each patient; patients without a case do not count.
    empty
        Why there is no value when there is no case.
    level
        Confidence level.
    """
    n = np.asarray(cases, dtype=np.float64)
    x = np.asarray(hits, dtype=np.float64)[n > 0]
    n = n[n > 0]
    if not n.size:
        return undefined(empty)
    total = float(n.sum())
    p = float(x.sum()) / total
    if n.size < 2:
        return Estimate(p, note="no interval: there is only one patient")
    residuals = (x - p * n) / total
    variance = n.size / (n.size - 1) * float(residuals @ residuals)
    if p in (0.0, 1.0) or variance == 0.0:
        low, high = wilson_interval(p * n.size, n.size, level)
        return Estimate(p, float(low), float(high), "wilson_patients", ALIKE)
    df = max(1.0, effective_number(n.astype(np.intp)) - 1.0)
    half = critical_value(checked_level(level), df) * math.sqrt(variance) / (p * (1.0 - p))
    centre = math.log(p / (1.0 - p))
    low, high = (0.5 + 0.5 * math.tanh(0.5 * (centre + side)) for side in (-half, half))
    return Estimate(p, low, high, "ratio_over_patients_t")


def mean_of_two(first: Estimate, second: Estimate) -> Estimate:
    """Return the mean of two independent estimates with the MOVER interval.

    The distance of each limit from the mean is half the root of the summed squared distances of
    the two estimates' own limits (Zou and Donner 2008, equation 4 with coefficients 1/2).
    """
    for part in (first, second):
        if part.value is None:
            return undefined(part.note)
    assert first.value is not None and second.value is not None
    value = (first.value + second.value) / 2.0
    limits = (first.ci_low, first.ci_high, second.ci_low, second.ci_high)
    if any(limit is None for limit in limits):
        return Estimate(value, note=first.note or second.note)
    low1, high1, low2, high2 = (float(limit) for limit in limits if limit is not None)
    below = math.hypot(first.value - low1, second.value - low2) / 2.0
    above = math.hypot(high1 - first.value, high2 - second.value) / 2.0
    return Estimate(value, max(0.0, value - below), min(1.0, value + above), "mover_wilson")


def checked_level(level: float) -> float:
    """Return `level`, or raise `StatisticsError` when it is not a confidence level."""
    if not 0.0 < level < 1.0:
        raise StatisticsError(f"the confidence level is {level}; it must lie between 0 and 1")
    return level
