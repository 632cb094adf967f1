"""Comparisons of AUCs on the same cases, on different cases, and between subgroups.

Every function takes estimates and covariances from `mammoshift.statistics.auc` (or `auprc`), so
the curves are sorted once, however many comparisons are made.

References
----------
DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837, equation 7 (contrasts, omnibus test).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from mammoshift.errors import StatisticsError
from mammoshift.statistics.distributions import (
    chi_square_p,
    critical_value,
    two_sided_log10_p,
    two_sided_p,
)
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.loss_interval import LossInterval

IDENTICAL = "no difference, and no variance to test it by"
DEGENERATE = "degenerate: there is a difference but its variance estimate is zero"
UNDEFINED = "undefined: an estimate or its variance is undefined"
ONE_SIDED = (
    "degenerate: the variance estimate of one of the two is zero, so the interval holds the "
    "uncertainty of the other alone"
)


BETWEEN_0_AND_1 = frozenset(
    {
        "auc",
        "auc_standardised",
        "auprc",
        "partial_auc",
        "sensitivity",
        "specificity",
        "accuracy",
        "brier",
    }
)
"""Metrics of which no two values differ by more than 1."""


@dataclass(frozen=True)
class Difference:
    """A difference, its test against zero and its interval; None where undefined.

    Attributes
    ----------
    estimate, se
        On the scale of the AUC.
    statistic
        estimate / se, with `df` degrees of freedom (infinity: normal).
    p, log10_p
        Two-sided; the logarithm stays finite where a normal p underflows.
    ci_low, ci_high
        estimate -+ critical value * se.
    note
        Why something is undefined or degenerate; empty otherwise.
    """

    estimate: float | None
    se: float | None
    statistic: float | None
    df: float
    p: float | None
    log10_p: float | None
    ci_low: float | None
    ci_high: float | None
    note: str = ""


@dataclass(frozen=True)
class Combined:
    """A comparison over several seeds or datasets, and the method that combined them.

    The fields are those of `Difference`; `estimate` is the mean difference, None (like `se` and
    the interval) for methods that combine test statistics and estimate nothing. With a `shape` the
    interval, and with it the statistic and p, are not those of estimate -+ t se, but its own.
    """

    method: str
    estimate: float | None
    se: float | None
    statistic: float | None
    df: float
    p: float | None
    ci_low: float | None
    ci_high: float | None
    note: str = ""
    shape: LossInterval | None = None


@dataclass(frozen=True)
class ChiSquareTest:
    """A joint test of several contrasts; None where undefined, with the reason in `note`."""

    statistic: float | None
    df: int
    p: float | None
    note: str = ""


def difference_test(
    estimate: float, variance: float, scale: float, df: float = math.inf, level: float = 0.95
) -> Difference:
    """Return the test of one estimate against zero and its interval.

    Parameters
    ----------
    estimate, variance
        NaN where undefined.
    scale
        Sum of the sizes of the terms that make up `variance`: a variance within their rounding
        error counts as zero.
    df
        Degrees of freedom of the variance; infinity for the normal distribution.
    level
        Of the interval.

    Returns
    -------
    Difference
        No difference with no variance gives statistic 0 and p = 1. A difference with no variance
        has no test: p is None and the note says why.
    """
    if not (math.isfinite(estimate) and math.isfinite(variance)):
        known = float(estimate) if math.isfinite(estimate) else None
        return Difference(known, None, None, df, None, None, None, None, UNDEFINED)
    estimate = float(estimate)
    if variance <= 64.0 * np.finfo(np.float64).eps * scale:
        # Two AUCs on m and n cases differ by 1 / (2 m n) at least, far above this rounding.
        if abs(estimate) <= 1e-14:
            return Difference(0.0, 0.0, 0.0, df, 1.0, 0.0, 0.0, 0.0, IDENTICAL)
        return Difference(estimate, 0.0, None, df, None, None, None, None, DEGENERATE)
    se = math.sqrt(variance)
    statistic = estimate / se
    p = two_sided_p(statistic, df)
    log10_p = math.log10(p) if p > 0.0 else None
    if math.isinf(df):
        log10_p = two_sided_log10_p(statistic)
    half = critical_value(level, df) * se
    return Difference(estimate, se, statistic, df, p, log10_p, estimate - half, estimate + half)


def contrast(
    values: FloatArray,
    covariance: FloatArray,
    weights: ArrayLike,
    level: float = 0.95,
    df: float = math.inf,
) -> Difference:
    """Test a linear contrast of estimates on the same cases, paired by their covariance.

    Parameters
    ----------
    values, covariance
        [K] and [K, K], of `AucEstimate` or `AuprcEstimate`.
    weights
        [K], for example (1, -1) for a difference. A curve with weight zero plays no part, even
        where it is undefined.
    level
        Of the interval.
    df
        Degrees of freedom of the covariance; infinity for the normal distribution.

    Raises
    ------
    StatisticsError
        If there is not one weight for each curve.
    """
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != values.shape:
        raise StatisticsError(
            f"a contrast of {given.size} weights does not fit {values.size} curves"
        )
    used = np.flatnonzero(given)
    w = given[used]
    terms = np.outer(w, w) * covariance[np.ix_(used, used)]
    return difference_test(
        float(w @ values[used]), float(terms.sum()), float(np.abs(terms).sum()), df, level
    )


def paired(
    values: FloatArray, covariance: FloatArray, first: int, second: int, level: float = 0.95
) -> Difference:
    """Test curve `first` minus curve `second` on the same cases (paired DeLong)."""
    weights = np.zeros(values.shape)
    weights[first] += 1.0
    weights[second] -= 1.0
    return contrast(values, covariance, weights, level)


def omnibus(
    values: FloatArray, covariance: FloatArray, contrasts: ArrayLike | None = None
) -> ChiSquareTest:
    """Test jointly that every contrast is zero: (L A)' (L C L')^-1 (L A) is chi-square.

    Parameters
    ----------
    values, covariance
        [K] and [K, K].
    contrasts
        [R, K]; by default every curve against the first, that is, all AUCs are equal.

    Returns
    -------
    ChiSquareTest
        `df` is the rank of L C L'. Contrasts without variance are left out when they are zero
        and make the test undefined when they are not.
    """
    K = values.size
    if contrasts is None:
        L = np.hstack([-np.ones((K - 1, 1)), np.eye(K - 1)])
    else:
        L = np.atleast_2d(np.asarray(contrasts, dtype=np.float64))
    if L.shape[1] != K:
        raise StatisticsError(f"contrasts of {L.shape[1]} weights do not fit {K} curves")
    used = np.flatnonzero(np.any(L != 0.0, axis=0))
    if used.size == 0:
        return ChiSquareTest(0.0, 0, 1.0, "there is nothing to compare")
    L, A, C = L[:, used], values[used], covariance[np.ix_(used, used)]
    if not (np.isfinite(A).all() and np.isfinite(C).all()):
        return ChiSquareTest(None, 0, None, UNDEFINED)
    d, V = L @ A, L @ C @ L.T
    scale = float(np.abs(L).max() ** 2 * np.abs(C).sum())
    roots, vectors = np.linalg.eigh((V + V.T) / 2.0)
    kept = roots > 64.0 * np.finfo(np.float64).eps * max(scale, float(roots.max(initial=0.0)))
    along = vectors.T @ d
    if np.any(np.abs(along[~kept]) > 1e-10):
        return ChiSquareTest(None, int(kept.sum()), None, DEGENERATE)
    df = int(kept.sum())
    if df == 0:
        return ChiSquareTest(0.0, 0, 1.0, IDENTICAL)
    statistic = float(np.sum(along[kept] ** 2 / roots[kept]))
    note = "" if df == L.shape[0] else f"{L.shape[0]} contrasts, {df} of them independent"
    return ChiSquareTest(statistic, df, chi_square_p(statistic, df), note)


def combined(method: str, difference: Difference, note: str = "") -> Combined:
    """Return a difference as the outcome of `method`; `note` is put before its own."""
    return Combined(
        method,
        difference.estimate,
        difference.se,
        difference.statistic,
        difference.df,
        difference.p,
        difference.ci_low,
        difference.ci_high,
        "; ".join(filter(None, (note, difference.note))),
    )


def unpaired(
    first: float,
    first_variance: float,
    second: float,
    second_variance: float,
    sizes: tuple[int, int] | None = None,
    level: float = 0.95,
) -> Difference:
    """Test `first` minus `second`, estimated on different patients: the variances add.

    With `sizes` (cases of the first and the second) the statistic is referred to Student's t
    with Welch and Satterthwaite's degrees of freedom, otherwise to the normal distribution. Where
    just one of the two variance estimates is zero the note says so.
    """
    variance = first_variance + second_variance
    df = math.inf
    if sizes is not None and variance > 0.0 and min(sizes) > 1:
        df = variance**2 / (
            first_variance**2 / (sizes[0] - 1) + second_variance**2 / (sizes[1] - 1)
        )
    test = difference_test(first - second, variance, variance, df, level)
    one_sided = variance > 0.0 and 0.0 in (first_variance, second_variance)
    return replace(test, note=ONE_SIDED) if one_sided else test


def detectable_difference(
    se: float, power: float = 0.8, alpha: float = 0.05, df: float = math.inf
) -> float:
    """Return the true difference that a two-sided test with this standard error finds.

    (t(1 - alpha/2) + t(power)) * se, with normal quantiles for infinite `df`: what a comparison
    of this size could have shown, in the units of `se`. For finite `df` it is an approximation
    to the noncentral t distribution.
    """
    # A two-sided level of 2 q - 1 has the critical value at the quantile q.
    return (critical_value(1.0 - alpha, df) + critical_value(2.0 * power - 1.0, df)) * se


def detectable_by(test: Difference | Combined, exact_se: float | None = None) -> float | None:
    """Return the true difference that a test finds with a power of 80 %, None where undefined.

    `exact_se` is the standard error of the same difference with the checkpoints held fixed, below
    which that of the test is not taken: seeds that happen to agree give one that no sample of
    patients allows.
    """
    if not test.se:
        return None
    return detectable_difference(max(test.se, exact_se or 0.0), df=test.df)


def within_bounds(limit: float | None, metric: str) -> float | None:
    """Return a limit of a difference, cut where no difference of that metric can lie beyond."""
    if limit is None or metric not in BETWEEN_0_AND_1:
        return limit
    return min(1.0, max(-1.0, limit))


def power_of_difference(difference: float, se: float, alpha: float = 0.05) -> float:
    """Return the power of a two-sided normal test for a true difference, se > 0."""
    c, shift = critical_value(1.0 - alpha), difference / se
    return float(ndtr(shift - c) + ndtr(-shift - c))


def _moments(difference: Difference) -> tuple[float, float]:
    """Return (estimate, variance), NaN where undefined."""
    if difference.estimate is None or difference.se is None:
        return math.nan, math.nan
    return difference.estimate, difference.se**2
