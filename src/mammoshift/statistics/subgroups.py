"""Subgroups of one set of cases: their AUCs, and whether they differ.

The two views of a breast, or two lesion types seen in one patient, are subgroups that share
patients; densities or devices usually are not. The contributions of Obuchowski 1997 (Biometrics
53:567) to the AUC of a subgroup are summed within patients; the covariance of two subgroups' AUCs
then follows as that of two curves does, with the small-sample factor of a pair taken as the
geometric mean of the two.

Whether one arm's AUC differs between subgroups is tested on the logit scale: an AUC of a small
group that came out high has a variance estimate that came out small, and on the scale of the AUC
itself such groups make the test reject up to a fifth of true nulls. With the estimate alone it
still rejects up to 9 % of them, so that the variance of a group is averaged with what is known of
such variances beforehand, as that of an AUC by itself is (`shares`). The statistic is referred to
an F distribution whose degrees of freedom count the patients of each class in each subgroup
(Johansen 1980); a subgroup with fewer than `FEWEST_PATIENTS` patients of a class is named and not
tested.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import (
    placements,
    small_sample_factors,
    sum_of_parts,
    sums_by_cluster,
)
from mammoshift.statistics.comparisons import DEGENERATE, IDENTICAL
from mammoshift.statistics.estimates import undefined_flags
from mammoshift.statistics.inputs import FloatArray, IntArray, checked_cases, cluster_codes
from mammoshift.statistics.shares import averaged
from mammoshift.statistics.variance_parts import (
    WITHIN_PATIENT,
    VariancePart,
    effective_number,
    johansen,
)

FEWEST_PATIENTS = 10
ORDINARY_AREA = 0.3
"""What is known beforehand of a group's variance, as `shares.AREA`, but that of binormal scores.
With the most that it can be the test rejects 0.1 % of true nulls at worst; by simulation."""


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
    patients_pos, patients_neg
        Patients with a positive, and with a negative case in each subgroup.
    notes
        For each subgroup why it is undefined; empty otherwise.
    parts
        The covariance as a sum of independent parts [G K, G K], one for the patients that occur
        in the same subgroups with the same classes.
    """

    names: tuple[str, ...]
    auc: FloatArray
    covariance: FloatArray
    n_pos: tuple[int, ...]
    n_neg: tuple[int, ...]
    patients_pos: tuple[int, ...]
    patients_neg: tuple[int, ...]
    notes: tuple[str, ...]
    parts: tuple[VariancePart, ...]

    def inside(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Return the AUC [K] and covariance [K, K] inside one subgroup, for any comparison."""
        g = self.names.index(name)
        return self.auc[g], self.covariance[g, :, g, :]


@dataclass(frozen=True)
class InteractionTest:
    """The test whether a contrast of curves differs between subgroups.

    Attributes
    ----------
    statistic, df, df_error, p
        F and its degrees of freedom; None (0 for `df`) where undefined, with the reason in `note`.
    tested, left_out
        The subgroups that took part, and those that are too small.
    note
        Names of the subgroups left out, or why there is no test; empty otherwise.
    """

    statistic: float | None
    df: int
    df_error: float | None
    p: float | None
    tested: tuple[str, ...]
    left_out: tuple[str, ...]
    note: str = ""


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
    names, member = np.unique(given.astype(str), return_inverse=True)
    G, K, size = names.size, matrix.shape[0], int(codes.max(initial=-1)) + 1
    auc = np.full((G, K), np.nan)
    # Each block holds the patients' sums, scaled so that their products are the covariance.
    A, B, P, Q = (np.zeros((G, K, size)) for _ in range(4))
    n_pos, n_neg, notes = [], [], []
    for g in range(G):
        chosen = member == g
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
    cells = _cells(member, positive, codes, G, size)
    parts = _parts((A, B, P, Q), cells)
    covariance = sum_of_parts(parts).reshape(G, K, G, K)
    unknown = np.array([bool(note) for note in notes])
    covariance[unknown] = np.nan
    covariance[:, :, unknown] = np.nan
    counts = np.count_nonzero(cells, axis=2)
    return SubgroupEstimate(
        tuple(names.tolist()),
        auc,
        covariance,
        tuple(n_pos),
        tuple(n_neg),
        tuple(counts[0].tolist()),
        tuple(counts[1].tolist()),
        tuple(notes),
        parts,
    )


def interaction_within_patients(estimate: SubgroupEstimate, weights: ArrayLike) -> InteractionTest:
    """Test whether a contrast of the curves is the same in all subgroups.

    Parameters
    ----------
    estimate
        Of `subgroup_covariance`.
    weights
        [K], for example (1, -1) for the difference of two arms, or (1/S, ..., 1/S) to compare one
        arm's mean AUC between subgroups. Weights that sum to zero are tested on the scale of the
        AUC, others on the logit scale.

    Raises
    ------
    StatisticsError
        If there is not one weight for each curve.
    """
    w = np.asarray(weights, dtype=np.float64)
    G, K = estimate.auc.shape
    if w.shape != (K,):
        raise StatisticsError(f"a contrast of {w.size} weights does not fit {K} curves")
    x = estimate.auc @ w
    on_logit = abs(float(w.sum())) > 1e-12
    enough = np.minimum(estimate.patients_pos, estimate.patients_neg) >= FEWEST_PATIENTS
    usable = enough & np.array([not note for note in estimate.notes])
    slope = np.ones(G)
    if on_logit:
        x = x / w.sum()
        # An AUC of 0 or 1 has no logit, and its variance estimate is zero.
        usable &= (x > 0.0) & (x < 1.0)
        safe = np.where(usable, x, 0.5)
        slope = np.sqrt(_averaging(estimate, safe)) / (safe * (1.0 - safe)) / w.sum()
        x = np.log(safe) - np.log1p(-safe)
    tested, left_out = (
        tuple(name for name, own in zip(estimate.names, which, strict=True) if own)
        for which in (usable, ~usable)
    )
    note = _left_out(left_out)
    if len(tested) < 2:
        reason = "undefined: fewer than two subgroups"
        note = "; ".join(filter(None, (note, reason)))
        return InteractionTest(None, 0, None, None, tested, left_out, note)
    rows = slope[usable, None] * np.eye(G)[usable]
    to_groups = np.einsum("ug,k->ugk", rows, w).reshape(len(tested), G * K)
    own = [
        VariancePart(to_groups @ part.covariance @ to_groups.T, part.df, part.patients)
        for part in estimate.parts
    ]
    return _tested(x[usable], own, tested, left_out, note)


def _averaging(estimate: SubgroupEstimate, values: FloatArray) -> FloatArray:
    """Return by what the averaging multiplies the variance of each group, [G].

    That of the mean of some curves counts as a part of that of one, the same part afterwards.
    """
    factors = np.ones(values.size)
    for g, value in enumerate(values.tolist()):
        single = float(np.diag(estimate.covariance[g, :, g, :]).mean())
        if not single > 0.0:
            continue
        patients = (estimate.patients_pos[g], estimate.patients_neg[g])
        cases = (estimate.n_pos[g], estimate.n_neg[g])
        units = sum(
            WITHIN_PATIENT / own + (1.0 - WITHIN_PATIENT) / n
            for own, n in zip(patients, cases, strict=True)
        )
        k = single / (value * (1.0 - value))
        factors[g] = averaged(k, min(patients) - 1.0, value, ORDINARY_AREA * units)[0] / k
    return factors


def _tested(
    x: FloatArray,
    parts: list[VariancePart],
    tested: tuple[str, ...],
    left_out: tuple[str, ...],
    note: str,
) -> InteractionTest:
    size = x.size
    contrasts = np.hstack([-np.ones((size - 1, 1)), np.eye(size - 1)])
    V = contrasts @ sum_of_parts(tuple(parts)) @ contrasts.T
    d = contrasts @ x
    roots = np.linalg.eigvalsh((V + V.T) / 2.0)
    if roots.min() <= 1e-12 * max(float(roots.max()), 1e-12):
        same = bool(np.abs(d).max() <= 1e-12)
        reason = "; ".join(filter(None, (note, IDENTICAL if same else DEGENERATE)))
        outcome = (0.0, 1.0) if same else (None, None)
        return InteractionTest(outcome[0], size - 1, None, outcome[1], tested, left_out, reason)
    found = johansen(contrasts, x, [part for part in parts if part.covariance.any()])
    return InteractionTest(
        found.statistic, found.df, found.df_error, found.p, tested, left_out, note
    )


def _cells(
    member: IntArray, positive: NDArray[np.bool_], codes: IntArray, G: int, size: int
) -> NDArray[np.intp]:
    """Return the number of cases [2, G, patients]: positive ones first, then negative ones."""
    which = (np.where(positive, 0, 1) * G + member) * size + codes
    return np.bincount(which, minlength=2 * G * size).reshape(2, G, size)


def _parts(
    blocks: tuple[FloatArray, FloatArray, FloatArray, FloatArray], cells: NDArray[np.intp]
) -> tuple[VariancePart, ...]:
    """Return one part of the covariance for each pattern of cells that patients occur in."""
    size = cells.shape[2]
    A, B, P, Q = (block.reshape(-1, size) for block in blocks)
    occurs = (cells > 0).reshape(-1, size)
    _, pattern = np.unique(occurs, axis=1, return_inverse=True)
    images = cells.sum(axis=(0, 1))
    parts = []
    for k in range(int(pattern.max(initial=-1)) + 1):
        own = np.flatnonzero(pattern.ravel() == k)
        a, b, p, q = (block[:, own] for block in (A, B, P, Q))
        cross = p @ q.T
        covariance = a @ a.T + b @ b.T + cross + cross.T
        df = max(1.0, effective_number(images[own]) - 1.0)
        parts.append(VariancePart(covariance, df, own.size))
    return tuple(parts)


def _left_out(names: tuple[str, ...]) -> str:
    return (
        f"left out, fewer than {FEWEST_PATIENTS} patients of a class or no variance: "
        f"{', '.join(names)}"
        if names
        else ""
    )
