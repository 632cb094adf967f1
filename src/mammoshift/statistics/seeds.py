"""Combining the comparisons of several training seeds on one test set, seeds held fixed.

The S seeds of an arm are scored on the same patients, so their paired differences are
correlated. The covariance of all curves is known from the placement values, so nothing has to be
assumed about that correlation: `exact_fixed` uses it directly. These tests speak about *these
checkpoints*; a claim about the architecture needs `multireader`, where seeds are random.

In all functions `first` and `second` are the positions of the two arms' curves in `values` [K]
and `covariance` [K, K]; differences are first minus second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.comparisons import (
    DEGENERATE,
    IDENTICAL,
    UNDEFINED,
    Combined,
    Difference,
    combined,
    contrast,
    paired,
)
from mammoshift.statistics.distributions import two_sided_p
from mammoshift.statistics.inputs import FloatArray, checked_cases
from mammoshift.statistics.variance_parts import VariancePart, degrees_of_freedom

NAIVE = "as published; treats seeds on one test set as independent, rejects true nulls too often"


def exact_fixed(
    values: FloatArray,
    covariance: FloatArray,
    first: Sequence[int],
    second: Sequence[int],
    level: float = 0.95,
    parts: Sequence[VariancePart] = (),
) -> Combined:
    """Test the mean AUC of these checkpoints of one arm against that of another, exactly.

    The contrast l has 1/S for each curve of `first` and -1/S' for each of `second`, and the
    variance of the mean difference is l' C l (DeLong 1988, equation 7). The arms may have
    different numbers of seeds. With the `parts` of the covariance the test is Student's t.
    """
    weights = np.zeros(values.shape)
    np.add.at(weights, list(first), 1.0 / len(first))
    np.add.at(weights, list(second), -1.0 / len(second))
    df = degrees_of_freedom(parts, weights)
    return combined("exact_fixed", contrast(values, covariance, weights, level, df))


def stouffer_naive(
    values: FloatArray, covariance: FloatArray, first: Sequence[int], second: Sequence[int]
) -> Combined:
    """Combine the seeds' paired z by Stouffer's sum as if each seed had its own patients.

    Z = sum z_s / sqrt(S) (Stouffer 1949). Kept to reproduce published tables: on one test set
    the variance of Z is 1 + (S - 1) rho, not 1.
    """
    tests, mean = _paired_tests(values, covariance, first, second)
    z = [test.statistic for test in tests if test.statistic is not None]
    if len(z) < len(tests):
        return _undefined("stouffer_naive", mean, NAIVE)
    statistic = sum(z) / math.sqrt(len(z))
    return Combined(
        "stouffer_naive", mean, None, statistic, math.inf, two_sided_p(statistic), None, None, NAIVE
    )


def strube(
    values: FloatArray, covariance: FloatArray, first: Sequence[int], second: Sequence[int]
) -> Combined:
    """Combine the seeds' paired z with the variance of their sum (Strube 1985).

    Z = sum z_s / sqrt(1' R 1), where R is the correlation of the paired differences, known from
    the covariance of the curves (Strube 1985, Psychological Bulletin 97:334).
    """
    tests, mean = _paired_tests(values, covariance, first, second)
    z = [test.statistic for test in tests if test.statistic is not None]
    if len(z) < len(tests):
        return _undefined("strube", mean)
    # A seed whose two curves rank alike has z = 0, which adds no variance to the sum.
    scaled = np.array([1.0 / test.se if test.se else 0.0 for test in tests])
    L = _pair_contrasts(values.size, first, second)
    variance = float(scaled @ L @ covariance @ L.T @ scaled)
    total = sum(z)
    if variance <= 1e-12 * len(z) ** 2:
        if abs(total) <= 1e-12:
            return Combined("strube", mean, None, 0.0, math.inf, 1.0, None, None, IDENTICAL)
        return Combined("strube", mean, None, None, math.inf, None, None, None, DEGENERATE)
    statistic = total / math.sqrt(variance)
    p = two_sided_p(statistic)
    return Combined("strube", mean, None, statistic, math.inf, p, None, None)


def ensemble(
    labels: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Combined:
    """Compare two seed ensembles by one paired test.

    The scores of an arm's seeds (log-odds) are averaged case by case. The ensemble is another
    classifier than its members, usually a better one: this test is about the ensemble.

    Parameters
    ----------
    labels
        [N], 0 or 1.
    first, second
        [S, N] and [S', N] log-odds.
    clusters
        [N] patients or None.
    """
    means = [checked_cases(labels, scores)[1].mean(axis=0) for scores in (first, second)]
    estimate = auc_covariance(labels, np.stack(means), clusters)
    return combined("ensemble", paired(estimate.auc, estimate.covariance, 0, 1, level))


def seed_correlation(
    covariance: FloatArray, first: Sequence[int], second: Sequence[int]
) -> float | None:
    """Return the mean correlation of the seeds' paired differences, None for fewer than two.

    With this correlation rho, the naive sum of S seeds' z has the variance 1 + (S - 1) rho.
    """
    L = _pair_contrasts(covariance.shape[0], first, second)
    V = L @ covariance @ L.T
    deviations = np.sqrt(np.diag(V).clip(0.0))
    S = len(first)
    if S < 2 or not (np.isfinite(V).all() and (deviations > 0.0).all()):
        return None
    R = V / np.outer(deviations, deviations)
    return float((R.sum() - np.trace(R)) / (S * (S - 1)))


def _pair_contrasts(K: int, first: Sequence[int], second: Sequence[int]) -> FloatArray:
    if len(first) != len(second) or not first:
        raise StatisticsError(
            f"{len(first)} and {len(second)} seeds cannot be paired: "
            "give the same seeds of both arms, in the same order"
        )
    L = np.zeros((len(first), K))
    rows = np.arange(len(first))
    L[rows, list(first)] += 1.0
    L[rows, list(second)] -= 1.0
    return L


def _paired_tests(
    values: FloatArray, covariance: FloatArray, first: Sequence[int], second: Sequence[int]
) -> tuple[list[Difference], float | None]:
    """Return the paired test of each seed and the mean difference."""
    L = _pair_contrasts(values.size, first, second)
    used = [*first, *second]
    mean = float(np.mean(L @ np.nan_to_num(values))) if np.isfinite(values[used]).all() else None
    return [paired(values, covariance, a, b) for a, b in zip(first, second, strict=True)], mean


def _undefined(method: str, mean: float | None, note: str = "") -> Combined:
    reason = "; ".join(filter(None, (note, f"{UNDEFINED}, for one seed at least")))
    return Combined(method, mean, None, None, math.inf, None, None, None, reason)
