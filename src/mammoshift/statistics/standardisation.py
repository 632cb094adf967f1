"""The transfer drop at an equal case mix: target cases weighted to the source's composition.

An AUC depends on which positives and which negatives there are: a target with more dense breasts
or more calcifications is harder with no change of sensor. Here cases are divided into strata of
measured case mix (density x lesion type x age band x view, say), and within each class the
target's cases are weighted so that the strata have the shares that they have at the source.
Prevalence needs no weight, since the AUC conditions on the class. A stratum that one of the two
datasets lacks is left out of both, and the support says how much of each class that is.

What is left of the drop after that is sensor, labels and everything that was not measured; it is
not the effect of the sensor alone.

The weighted AUC is sum u v psi / (sum u sum v) over pairs of a positive (weight u) and a negative
(v); its variance is Obuchowski's with u (V10 - A) / sum u and v (V01 - A) / sum v as contributions.
The weights are taken as known.

References
----------
Obuchowski 1997, Biometrics 53:567. Direct standardisation: Fleiss, Levin and Paik 2003,
Statistical Methods for Rates and Proportions, chapter 19.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import clustered_parts, sum_of_parts
from mammoshift.statistics.curve_values import CurveValues, areas_beforehand
from mammoshift.statistics.estimates import undefined_flags
from mammoshift.statistics.inputs import FloatArray, checked_cases, cluster_codes
from mammoshift.statistics.transfer import Drops, drops_between
from mammoshift.statistics.variance_parts import VariancePart


@dataclass(frozen=True)
class WeightedAuc:
    """Weighted AUC [K] with its covariance [K, K]; NaN with the reason in `note`."""

    auc: FloatArray
    covariance: FloatArray
    parts: tuple[VariancePart, ...]
    note: str = ""


@dataclass(frozen=True)
class Support:
    """How far two datasets hold the same kinds of cases.

    Attributes
    ----------
    strata
        Strata that both datasets have, for positives and for negatives.
    source_share, target_share
        Shares of the positives, and of the negatives, that lie in them.
    effective
        How many equally weighted positives and negatives the weighted target is worth.
    """

    strata: tuple[int, int]
    source_share: tuple[float, float]
    target_share: tuple[float, float]
    effective: tuple[float, float]


@dataclass(frozen=True)
class StandardisedDrop:
    """Drops of K curves at the source's case mix, and the support that they rest on."""

    source: WeightedAuc
    target: WeightedAuc
    drops: Drops
    support: Support


def standardised_drop(
    source: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike | None],
    target: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike | None],
) -> StandardisedDrop:
    """Return the drops of K curves with the target's case mix weighted to the source's.

    Parameters
    ----------
    source, target
        Labels [N], scores [K, N], strata [N] (any text or numbers that mean the same in both)
        and patients [N] or None. The curves are the same; the patients are different.

    Raises
    ------
    StatisticsError
        If the datasets share no stratum of a class, or the input cannot be used.
    """
    weights, support = case_mix_weights((source[0], source[2]), (target[0], target[2]))
    at_source = weighted_auc(source[0], source[1], weights[0], source[3])
    at_target = weighted_auc(target[0], target[1], weights[1], target[3])
    drops = drops_between(_values(at_source), _values(at_target))
    return StandardisedDrop(at_source, at_target, drops, support)


def case_mix_weights(
    source: tuple[ArrayLike, ArrayLike], target: tuple[ArrayLike, ArrayLike]
) -> tuple[tuple[FloatArray, FloatArray], Support]:
    """Return the weights [N] of the cases of both datasets, and the support that they rest on.

    Those of the source are 1 in the strata that both have, those of the target such that the
    strata have the source's shares within each class; all others are 0.

    Parameters
    ----------
    source, target
        Labels [N] and strata [N].

    Raises
    ------
    StatisticsError
        If the datasets share no stratum of a class, or the input cannot be used.
    """
    positives, names = [], []
    for labels, strata in (source, target):
        positive, _ = checked_cases(labels, np.zeros(np.shape(labels)))
        named = np.asarray(strata).astype(str)
        if named.shape != positive.shape:
            raise StatisticsError(f"strata have shape {named.shape}, expected {positive.shape}")
        positives.append(positive)
        names.append(named)
    weights = [np.zeros(positive.size) for positive in positives]
    found, source_shares, target_shares, effective = [], [], [], []
    for is_positive in (True, False):
        sides = [positive == is_positive for positive in positives]
        common = np.intersect1d(names[0][sides[0]], names[1][sides[1]])
        if not common.size:
            kind = "positive" if is_positive else "negative"
            raise StatisticsError(f"case mix: no stratum of {kind} cases occurs in both datasets")
        counts = []
        for strata, side in zip(names, sides, strict=True):
            counts.append(np.array([np.count_nonzero(side & (strata == one)) for one in common]))
        # Shares among the strata that both have: the source's own weights are 1.
        wanted, given = (count / count.sum() for count in counts)
        for stratum, ratio in zip(common, wanted / given, strict=True):
            weights[0][sides[0] & (names[0] == stratum)] = 1.0
            weights[1][sides[1] & (names[1] == stratum)] = ratio
        own = weights[1][sides[1]]
        found.append(int(common.size))
        source_shares.append(float(counts[0].sum() / np.count_nonzero(sides[0])))
        target_shares.append(float(counts[1].sum() / np.count_nonzero(sides[1])))
        effective.append(float(own.sum() ** 2 / (own @ own)))
    support = Support(
        (found[0], found[1]),
        (source_shares[0], source_shares[1]),
        (target_shares[0], target_shares[1]),
        (effective[0], effective[1]),
    )
    return (weights[0], weights[1]), support


def weighted_auc(
    labels: ArrayLike, scores: ArrayLike, weights: ArrayLike, clusters: ArrayLike | None = None
) -> WeightedAuc:
    """Return the weighted AUC of K curves and its covariance over patients.

    Parameters
    ----------
    labels, scores, clusters
        As for `auc_covariance`.
    weights
        [N], finite and not negative; cases of weight 0 play no part.

    Raises
    ------
    StatisticsError
        If a weight is negative or not finite, or the input cannot be used.
    """
    positive, matrix = checked_cases(labels, scores)
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != positive.shape or not (np.isfinite(w).all() and (w >= 0.0).all()):
        raise StatisticsError("weights: one number that is not negative is needed for each case")
    used = w > 0.0
    owners = np.arange(positive.size) if clusters is None else np.asarray(clusters)
    positive, matrix, w = positive[used], matrix[:, used], w[used]
    codes = cluster_codes(owners[used], positive.size)
    undefined = undefined_flags(positive, codes)
    K = matrix.shape[0]
    if undefined:
        nothing = np.full(K, np.nan), np.full((K, K), np.nan)
        return WeightedAuc(*nothing, (), note="; ".join(undefined))
    auc = np.empty(K)
    A, B = np.empty((K, int(positive.sum()))), np.empty((K, int((~positive).sum())))
    for k, row in enumerate(matrix):
        auc[k], A[k], B[k] = _contributions(positive, row, w)
    u, v = w[positive], w[~positive]
    parts = clustered_parts(A, B, codes[positive], codes[~positive], (u / u.sum(), v / v.sum()))
    return WeightedAuc(auc, sum_of_parts(parts), parts)


def _values(weighted: WeightedAuc) -> CurveValues:
    return CurveValues(
        weighted.auc, weighted.covariance, weighted.parts, areas_beforehand(weighted.parts)
    )


def _contributions(
    positive: NDArray[np.bool_], scores: FloatArray, weights: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Return the AUC and the weighted, centred placement values of positives and negatives."""
    u, v = weights[positive], weights[~positive]
    beaten = _share_below(scores[~positive], v, scores[positive])
    lost_to = 1.0 - _share_below(scores[positive], u, scores[~positive])
    auc = float(u @ beaten / u.sum())
    return auc, u * (beaten - auc) / u.sum(), v * (lost_to - auc) / v.sum()


def _share_below(others: FloatArray, weights: FloatArray, values: FloatArray) -> FloatArray:
    """Return the weighted share of `others` below each value, ties counting one half."""
    order = np.argsort(others)
    cumulated = np.concatenate([[0.0], np.cumsum(weights[order])])
    low = cumulated[np.searchsorted(others[order], values, side="left")]
    high = cumulated[np.searchsorted(others[order], values, side="right")]
    return (low + high) / (2.0 * cumulated[-1])
