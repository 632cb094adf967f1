"""Subgroups of the same patients: their AUCs are correlated, and so is any comparison of them.

The two views of a breast, or two lesion types seen in one patient, are subgroups that share
patients. The contributions of Obuchowski 1997 (Biometrics 53:567) to the AUC of a subgroup are
summed within patients; the covariance of two subgroups' AUCs then follows as that of two curves
does, with the small-sample factor of a pair taken as the geometric mean of the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import (
    FloatArray,
    checked_cases,
    cluster_codes,
    placements,
    small_sample_factors,
    sums_by_cluster,
    undefined_flags,
)
from mammoshift.statistics.comparisons import ChiSquareTest, omnibus


@dataclass(frozen=True)
class SubgroupEstimate:
    """AUC of K curves in G subgroups with the covariance of all of them.

    Attributes
    ----------
    names
        The G subgroups, sorted.
    auc
        [G, K]; NaN in a subgroup where it is undefined.
    covariance
        [G, K, G, K]; NaN where it is undefined.
    n_pos, n_neg
        Cases of each subgroup.
    notes
        For each subgroup why it is undefined; empty otherwise.
    """

    names: tuple[str, ...]
    auc: FloatArray
    covariance: FloatArray
    n_pos: tuple[int, ...]
    n_neg: tuple[int, ...]
    notes: tuple[str, ...]


def subgroup_covariance(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, clusters: ArrayLike
) -> SubgroupEstimate:
    """Return the AUC of every curve in every subgroup and the covariance between all of them.

    Parameters
    ----------
    labels, scores
        [N] and [K, N], as for `auc_covariance`.
    groups
        [N] names of the subgroups; every case belongs to one.
    clusters
        [N] patients.

    Raises
    ------
    StatisticsError
        As `auc_covariance`, or if there is not one group for each case.
    """
    positive, matrix = checked_cases(labels, scores)
    codes = cluster_codes(clusters, positive.size)
    given = np.asarray(groups)
    if given.shape != positive.shape:
        raise StatisticsError(f"groups have shape {given.shape}, expected {positive.shape}")
    found = given.astype(str)
    names = np.unique(found)
    G, K, size = names.size, matrix.shape[0], int(codes.max(initial=-1)) + 1
    auc = np.full((G, K), np.nan)
    # Each block holds the patients' sums, scaled so that their products are the covariance.
    A, B, P, Q = (np.full((G, K, size), np.nan) for _ in range(4))
    n_pos, n_neg, notes = [], [], []
    for g, name in enumerate(names):
        chosen = found == name
        is_positive, patients = positive[chosen], codes[chosen]
        n_pos.append(int(np.count_nonzero(is_positive)))
        n_neg.append(int(np.count_nonzero(~is_positive)))
        undefined = undefined_flags(is_positive, patients)
        notes.append("; ".join(undefined))
        if not (n_pos[g] and n_neg[g]):
            continue
        placed = placements(is_positive, matrix[:, chosen])
        auc[g] = placed.auc
        if undefined:
            continue
        sides = patients[is_positive], patients[~is_positive]
        of_positives = sums_by_cluster(placed.positives / n_pos[g], sides[0], size)
        of_negatives = sums_by_cluster(placed.negatives / n_neg[g], sides[1], size)
        f10, f01, f = (math.sqrt(factor) for factor in small_sample_factors(*sides, size))
        A[g], B[g] = f10 * of_positives, f01 * of_negatives
        P[g], Q[g] = f * of_positives, f * of_negatives
    A, B, P, Q = (block.reshape(G * K, size) for block in (A, B, P, Q))
    cross = P @ Q.T
    covariance = (A @ A.T + B @ B.T + cross + cross.T).reshape(G, K, G, K)
    return SubgroupEstimate(
        tuple(names.tolist()), auc, covariance, tuple(n_pos), tuple(n_neg), tuple(notes)
    )


def interaction_within_patients(estimate: SubgroupEstimate, weights: ArrayLike) -> ChiSquareTest:
    """Test whether a contrast of the curves is the same in all subgroups.

    Parameters
    ----------
    estimate
        Of `subgroup_covariance`.
    weights
        [K], for example (1, -1) for the difference of two arms, or (1) to compare one arm's AUC
        between subgroups. Subgroups without a defined variance are left out, and the note says
        how many.
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != estimate.auc.shape[1:]:
        raise StatisticsError(
            f"a contrast of {w.size} weights does not fit {estimate.auc.shape[1]} curves"
        )
    d = estimate.auc @ w
    V = np.einsum("k,gkhl,l->gh", w, estimate.covariance, w)
    usable = np.isfinite(d) & np.isfinite(np.diag(V))
    left_out = int(np.count_nonzero(~usable))
    note = f"{left_out} of {d.size} subgroups left out: undefined" if left_out else ""
    if np.count_nonzero(usable) < 2:
        return ChiSquareTest(None, 0, None, note or "undefined: fewer than two subgroups")
    test = omnibus(d[usable], V[np.ix_(usable, usable)])
    return ChiSquareTest(
        test.statistic, test.df, test.p, "; ".join(filter(None, (note, test.note)))
    )
