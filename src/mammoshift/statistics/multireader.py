"""Comparing architectures with training seeds as random readers (Obuchowski and Rockette).

An AUC of arm i and seed j varies because the patients were sampled and because the seed was:
AUC_ij = mu_i + seed effect + patient effect, and the patient effects of all curves are correlated
since the patients are the same. The analysis of variance estimates the seed part from the spread
of the AUCs, and the patient part from the covariance C of the curves:

    Cov2  mean covariance of two seeds of the same arm
    Cov3  mean covariance of two seeds of different arms (crossed: of different seeds)
    den   = MS + S max(Cov2 - Cov3, 0)
    t     = (mean AUC of the first - mean AUC of the second) / sqrt(2 den / S)

`nested`: every arm has seeds of its own (the usual case: seed 1 of one architecture has nothing
in common with seed 1 of another). `crossed`: the seed means the same for both arms, as a reader
does, for example the same order of the data and the same augmentation.

References
----------
Obuchowski and Rockette 1995, Communications in Statistics 24:285.
Hillis 2007, Statistics in Medicine 26:596 (denominator and its degrees of freedom).
Hillis, Obuchowski, Schartz and Berbaum 2005, Statistics in Medicine 24:1579.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import FloatArray
from mammoshift.statistics.comparisons import UNDEFINED, Combined, combined, difference_test

NESTED = "obuchowski_rockette_nested"
CROSSED = "obuchowski_rockette_crossed"
TOO_FEW = "undefined: seeds as random need two seeds of each arm at least"


def obuchowski_rockette_nested(
    values: FloatArray,
    covariance: FloatArray,
    first: Sequence[int],
    second: Sequence[int],
    level: float = 0.95,
) -> Combined:
    """Test two arms' mean AUC with seeds random and nested in the arm.

    With S seeds of both arms MS is the mean of the two variances of the seeds' AUC and
    df = den^2 / (MS^2 / (2 (S - 1))). With S and S' seeds MS is the pooled variance, and

        Var = MS (1/S + 1/S') + max(Cov2 + Cov2' - 2 Cov3, 0)
        df  = Var^2 / ((MS (1/S + 1/S'))^2 / (S + S' - 2)),

    which is the same for S = S'.

    Parameters
    ----------
    values, covariance
        [K] and [K, K], of `AucEstimate`.
    first, second
        Positions of the two arms' curves; the arms may have different numbers of seeds.
    level
        Of the interval.
    """
    sizes = len(first), len(second)
    if min(sizes) < 2:
        return _too_few(NESTED, values, first, second)
    A, B = values[list(first)], values[list(second)]
    squares = ((A - A.mean()) ** 2).sum() + ((B - B.mean()) ** 2).sum()
    seed_part = float(squares / (sum(sizes) - 2) * (1.0 / sizes[0] + 1.0 / sizes[1]))
    within = [_mean_off_diagonal(covariance, indices) for indices in (first, second)]
    between = float(covariance[np.ix_(list(first), list(second))].mean())
    return _finish(
        NESTED,
        float(A.mean() - B.mean()),
        seed_part,
        within[0] + within[1] - 2.0 * between,
        sum(sizes) - 2,
        float(np.abs(covariance[np.ix_([*first, *second], [*first, *second])]).max()),
        level,
    )


def obuchowski_rockette_crossed(
    values: FloatArray,
    covariance: FloatArray,
    first: Sequence[int],
    second: Sequence[int],
    level: float = 0.95,
) -> Combined:
    """Test two arms' mean AUC with seeds random and shared by both arms.

    MS is the mean square of arm by seed, half the variance of the paired differences, and
    df = den^2 / (MS^2 / (S - 1)) (Hillis 2007). With human readers for seeds and modalities for
    arms this is the usual multi-reader multi-case analysis, and t^2 its F.

    Parameters
    ----------
    values, covariance
        [K] and [K, K], of `AucEstimate`.
    first, second
        Positions of the two arms' curves, seed by seed in the same order.
    level
        Of the interval.

    Raises
    ------
    StatisticsError
        If the arms have different numbers of seeds.
    """
    S = len(first)
    if len(second) != S:
        raise StatisticsError(
            f"{S} and {len(second)} seeds cannot be crossed: give the same seeds of both arms"
        )
    if S < 2:
        return _too_few(CROSSED, values, first, second)
    d = values[list(first)] - values[list(second)]
    block = covariance[np.ix_(list(first), list(second))]
    other_seed = ~np.eye(S, dtype=bool)
    within = sum(_mean_off_diagonal(covariance, indices) for indices in (first, second))
    return _finish(
        CROSSED,
        float(d.mean()),
        float(d.var(ddof=1)) / S,
        within - 2.0 * float(block[other_seed].mean()),
        S - 1,
        float(np.abs(covariance[np.ix_([*first, *second], [*first, *second])]).max()),
        level,
    )


def _finish(
    method: str,
    estimate: float,
    seed_part: float,
    patient_part: float,
    seed_df: int,
    scale: float,
    level: float,
) -> Combined:
    """Test `estimate` with the variance seed part + patient part and Satterthwaite's df."""
    variance = seed_part + max(patient_part, 0.0)
    df = math.inf
    # Rounding of equal AUCs leaves about 1e-33; one swapped pair of a million cases 1e-24.
    if math.isfinite(variance) and seed_part > 1e-28:
        df = seed_df * (variance / seed_part) ** 2
    return combined(method, difference_test(estimate, variance, scale, df, level))


def _mean_off_diagonal(covariance: FloatArray, indices: Sequence[int]) -> float:
    block = covariance[np.ix_(list(indices), list(indices))]
    S = len(indices)
    return float((block.sum() - np.trace(block)) / (S * (S - 1)))


def _too_few(
    method: str, values: FloatArray, first: Sequence[int], second: Sequence[int]
) -> Combined:
    known = bool(first) and bool(second) and np.isfinite(values[[*first, *second]]).all()
    if not known:
        return Combined(method, None, None, None, math.inf, None, None, None, UNDEFINED)
    estimate = float(values[list(first)].mean() - values[list(second)].mean())
    return Combined(method, estimate, None, None, math.inf, None, None, None, TOO_FEW)
