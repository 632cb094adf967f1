"""Area under the ROC curve for many curves at once, with their full covariance.

Every curve is sorted once. The number of negatives below a positive, and of positives above a
negative, follows from the pooled order, so K curves on N cases cost O(K N log N + K^2 N).

Symbols: m positives, n negatives; the placement value of a positive is the share of negatives
that it beats (V10), that of a negative the share of positives that beat it (V01), ties counting
one half. The mean of either is the AUC.

References
----------
DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837, equations 3-6 (V10, V01, S10, S01).
Sun and Xu 2014, IEEE Signal Processing Letters 21:1389 (placements by ranks).
Obuchowski 1997, Biometrics 53:567 (clustered covariance).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.statistics.estimates import (
    CurveEstimates,
    Flag,
    describe_curves,
    undefined_flags,
)
from mammoshift.statistics.inputs import FloatArray, IntArray, checked_cases, cluster_codes
from mammoshift.statistics.shares import ENOUGH_MISTAKES, mistakes
from mammoshift.statistics.variance_parts import VariancePart, effective_number, unit_variance


@dataclass(frozen=True, kw_only=True)
class AucEstimate(CurveEstimates):
    """AUC of K curves on the same cases.

    Attributes
    ----------
    auc
        [K], in [0, 1]; NaN where undefined, and then `flags` says why.
    """

    auc: FloatArray


@dataclass(frozen=True)
class Placements:
    """Placement values of K curves, positives first.

    Attributes
    ----------
    auc
        [K], in [0, 1].
    positives, negatives
        V10 - AUC, [K, m], and V01 - AUC, [K, n], each class in the order of the cases.
    constant
        [K], true where all scores of a curve are equal.
    """

    auc: FloatArray
    positives: FloatArray
    negatives: FloatArray
    constant: NDArray[np.bool_]


def auc_covariance(
    labels: ArrayLike, scores: ArrayLike, clusters: ArrayLike | None = None
) -> AucEstimate:
    """Return the AUC of every curve and the covariance between all of them.

    Without clusters this is C = S10/m + S01/n (DeLong 1988). With clusters it is the estimator
    of Obuchowski 1997, which allows the cases of one patient to be dependent and equals DeLong's
    when every patient has one case. Label 1 is positive and a higher score is more suspicious;
    an AUC below 0.5 is never turned round.

    Parameters
    ----------
    labels
        [N], 0 or 1.
    scores
        [K, N] or [N], finite, any scale: only the order matters.
    clusters
        [N] patient identifiers (integers or text), or None when the cases are independent.

    Returns
    -------
    AucEstimate
        With fewer than two cases, or clusters, of a class the covariance is NaN and flagged;
        with none the AUC is NaN too.

    Raises
    ------
    StatisticsError
        If shapes differ, a label is neither 0 nor 1, a score is not finite, or a cluster is
        missing.
    """
    positive, matrix = checked_cases(labels, scores)
    codes = None if clusters is None else cluster_codes(clusters, positive.size)
    m = int(np.count_nonzero(positive))
    n = positive.size - m
    undefined = undefined_flags(positive, codes)
    parts: tuple[VariancePart, ...] = ()
    K = matrix.shape[0]
    if m == 0 or n == 0:
        auc, covariance = np.full(K, np.nan), np.full((K, K), np.nan)
        constant = np.zeros(K, dtype=bool)
    else:
        placed = placements(positive, matrix)
        auc, constant = placed.auc, placed.constant
        covariance = np.full((K, K), np.nan)
        if not undefined:
            parts = two_class_parts(placed.positives, placed.negatives, positive, codes)
            covariance = sum_of_parts(parts)
    described = describe_curves(auc, covariance, constant, positive, codes, parts, has_share=True)
    if not described.few:
        described = replace(described, flags=_with_few_mistakes(described.flags, auc, parts))
    return AucEstimate(auc=auc, **vars(described))


def _with_few_mistakes(
    flags: tuple[tuple[Flag, ...], ...], auc: FloatArray, parts: tuple[VariancePart, ...]
) -> tuple[tuple[Flag, ...], ...]:
    few = (mistakes(parts, value) < ENOUGH_MISTAKES for value in auc.tolist())
    return tuple(
        (*own, Flag.FEW_MISTAKES) if one else own for own, one in zip(flags, few, strict=True)
    )


def placements(positive: NDArray[np.bool_], scores: FloatArray) -> Placements:
    """Return the centred placement values of every curve; both classes must have a case.

    Parameters
    ----------
    positive
        [N], true for a positive case.
    scores
        [K, N], finite.
    """
    K, N = scores.shape
    columns = np.concatenate([np.flatnonzero(positive), np.flatnonzero(~positive)])
    m = int(np.count_nonzero(positive))
    n = N - m
    values, auc, constant = np.empty((K, N)), np.empty(K), np.empty(K, dtype=bool)
    for k in range(K):
        constant[k] = _twice_beaten(scores[k][columns], m, values[k])
        # The sum of whole numbers is exact below 2^53, that is for m n below 4.5e15.
        auc[k] = values[k, :m].sum() / (2.0 * m * n)
    values[:, :m] /= 2.0 * n
    values[:, m:] /= 2.0 * m
    values -= auc[:, None]
    return Placements(auc, values[:, :m], values[:, m:], constant)


def two_class_parts(
    positives: FloatArray,
    negatives: FloatArray,
    positive: NDArray[np.bool_],
    codes: IntArray | None,
) -> tuple[VariancePart, ...]:
    """Return the covariance of K statistics that are means over positives and over negatives.

    Parameters
    ----------
    positives, negatives
        [K, m] and [K, n], each case's centred contribution (for the AUC V10 - A and V01 - A).
    positive
        [N], which case is positive.
    codes
        [N] clusters as 0, 1, 2, ..., or None for independent cases (DeLong 1988).

    Returns
    -------
    tuple of VariancePart
        They sum to the covariance: that of positives and of negatives, or with clusters that of
        patients with positive cases only, negative cases only, and both.
    """
    m, n = positives.shape[1], negatives.shape[1]
    if codes is None:
        return (
            VariancePart(positives @ positives.T / (m - 1) / m, m - 1, m, 1.0 / m),
            VariancePart(negatives @ negatives.T / (n - 1) / n, n - 1, n, 1.0 / n),
        )
    return clustered_parts(positives / m, negatives / n, codes[positive], codes[~positive])


def sum_of_parts(parts: tuple[VariancePart, ...]) -> FloatArray:
    """Return the covariance [K, K] that the parts add up to."""
    return np.sum([part.covariance for part in parts], axis=0)


def clustered_parts(
    positives: FloatArray,
    negatives: FloatArray,
    codes_positive: IntArray,
    codes_negative: IntArray,
    weights: tuple[FloatArray, FloatArray] | None = None,
) -> tuple[VariancePart, ...]:
    """Return the covariance of K statistics from centred contributions of dependent cases.

    Obuchowski 1997: within a cluster the contributions are summed, each class over its own
    number of clusters, and the products of the two classes over all clusters.

    Parameters
    ----------
    positives, negatives
        [K, m] and [K, n], each case's centred contribution to the statistic, already divided by
        the size of its class.
    codes_positive, codes_negative
        [m] and [n], clusters as 0, 1, 2, ... in one common numbering.
    weights
        [m] and [n], what each case counts within its class; 1 / m and 1 / n by default.
    """
    m, n = codes_positive.size, codes_negative.size
    u, v = weights or (np.full(m, 1.0 / m), np.full(n, 1.0 / n))
    size = int(max(codes_positive.max(), codes_negative.max())) + 1
    A = sums_by_cluster(positives, codes_positive, size)
    B = sums_by_cluster(negatives, codes_negative, size)
    f10, f01, f = small_sample_factors(codes_positive, codes_negative, size)
    counts = [np.bincount(codes, minlength=size) for codes in (codes_positive, codes_negative)]
    has_positive, has_negative = (count > 0 for count in counts)
    total = counts[0] + counts[1]
    parts = []
    for own, factors in (
        (has_positive & ~has_negative, (f10, 0.0, 0.0)),
        (has_negative & ~has_positive, (0.0, f01, 0.0)),
        (has_positive & has_negative, (f10, f01, f)),
    ):
        if not own.any():
            continue
        a, b = (sums if own.all() else sums[:, own] for sums in (A, B))
        covariance = np.zeros((A.shape[0], A.shape[0]))
        if factors[0]:
            covariance += factors[0] * (a @ a.T)
        if factors[1]:
            covariance += factors[1] * (b @ b.T)
        if factors[2]:
            cross = a @ b.T
            covariance += factors[2] * (cross + cross.T)
        unit = sum(
            unit_variance(codes[own[codes]], counted[own[codes]])
            for codes, counted in ((codes_positive, u), (codes_negative, v))
        )
        df = max(1.0, effective_number(total[own]) - 1.0)
        parts.append(VariancePart(covariance, df, int(own.sum()), unit))
    return tuple(parts)


def sums_by_cluster(values: FloatArray, codes: IntArray, size: int) -> FloatArray:
    """Return the sums [K, size] of `values` [K, cases] within each cluster."""
    sums = np.empty((values.shape[0], size))
    for k, row in enumerate(values):
        sums[k] = np.bincount(codes, weights=row, minlength=size)
    return sums


def small_sample_factors(
    codes_positive: IntArray, codes_negative: IntArray, size: int
) -> tuple[float, float, float]:
    """Return I / (I - 1) for the clusters with a positive, with a negative, and with any case."""
    with_positive, with_negative = (
        np.bincount(codes, minlength=size) > 0 for codes in (codes_positive, codes_negative)
    )
    counts = (with_positive, with_negative, with_positive | with_negative)
    positive, negative, both = (int(np.count_nonzero(which)) for which in counts)
    return positive / (positive - 1), negative / (negative - 1), both / (both - 1)


def _twice_beaten(scores: FloatArray, m: int, out: FloatArray) -> bool:
    """Write twice the number of opponents beaten (for negatives: of those that beat them).

    `scores` [N] holds the m positives first. The doubled counts are whole numbers, so that ties
    stay exact. Returns whether all scores are equal.
    """
    order = np.argsort(scores)
    ordered = scores[order]
    positive = order < m
    positives_upto = np.cumsum(positive)
    starts = ordered[1:] != ordered[:-1]
    if starts.all():
        negatives_upto = np.arange(1, scores.size + 1) - positives_upto
        out[order] = 2 * np.where(positive, negatives_upto, m - positives_upto)
        return scores.size == 1
    first = np.flatnonzero(np.concatenate([[True], starts]))
    end = np.append(first[1:], scores.size)
    positives_below = positives_upto[first] - positive[first]
    positives_within = positives_upto[end - 1]
    for_positive = first - positives_below + end - positives_within
    for_negative = 2 * m - positives_below - positives_within
    size = end - first
    out[order] = np.where(positive, np.repeat(for_positive, size), np.repeat(for_negative, size))
    return first.size == 1
