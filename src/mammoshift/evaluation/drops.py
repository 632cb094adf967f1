"""Transfer drops of all curves of some arms: their own domain minus another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammoshift.configuration.judged import Subgroup
from mammoshift.errors import StatisticsError
from mammoshift.evaluation.grid import Cell, FloatArray
from mammoshift.statistics.curve_values import CurveValues, aucs
from mammoshift.statistics.standardisation import StandardisedDrop, standardised_drop
from mammoshift.statistics.subgroups import subgroup_covariance
from mammoshift.statistics.transfer import Drops, drops_between
from mammoshift.statistics.variance_parts import VariancePart


def arm_weights(cell: Cell, signs: dict[str, float]) -> FloatArray:
    """Return the contrast of a cell's curves: the signed means over the seeds of some arms."""
    weights = np.zeros((len(cell.arms), len(cell.seeds)))
    for arm, sign in signs.items():
        weights[cell.arms.index(arm)] = sign / len(cell.seeds)
    return weights.ravel()


def aucs_of(cell: Cell) -> CurveValues:
    """Return the AUC of every curve of a cell."""
    return aucs(cell.auc)


def positions_of(cell: Cell, arms: Sequence[str]) -> list[int]:
    """Return where the curves of some arms are in a cell, arm by arm and seed by seed."""
    return [k for arm in arms for k in cell.positions(arm)]


def seeds_of(arms: Sequence[str], seeds: Sequence[int]) -> dict[str, list[int]]:
    """Return where the seeds of each arm are among the curves of these arms alone."""
    size = len(seeds)
    return {arm: list(range(a * size, (a + 1) * size)) for a, arm in enumerate(arms)}


def may_share_patients(one: Cell, other: Cell) -> bool:
    """Return whether two cells are of domains that hold the same patients, or images of them."""
    return other.domain in {*one.same_patients_as, *one.shares_datasets_with}


def drops_of_values(
    own: Cell, other: Cell, arms: Sequence[str], values: tuple[CurveValues, CurveValues]
) -> Drops:
    """Return the drops of any measure of these arms; `values` are those of all curves of a cell.

    Raises
    ------
    StatisticsError
        If the domains hold the same patients: the covariance of the two is not known then.
    """
    if may_share_patients(own, other):
        raise StatisticsError(
            f"undefined: {own.domain} and {other.domain} may hold the same patients"
        )
    source, target = (
        found.only(positions_of(cell, arms))
        for cell, found in zip((own, other), values, strict=True)
    )
    return drops_between(source, target)


def auc_drops(own: Cell, other: Cell, arms: Sequence[str]) -> Drops:
    """Return the AUC drops of the curves of these arms from one cell to another.

    The variances add between different patients; with the same patients, the covariance of the
    two counts too, as between two subgroups that share patients.
    """
    if may_share_patients(own, other):
        return _paired_drops(own, other, arms)
    return drops_of_values(own, other, arms, (aucs_of(own), aucs_of(other)))


def standardised_auc_drops(
    own: Cell, other: Cell, arms: Sequence[str], columns: Sequence[Subgroup]
) -> StandardisedDrop:
    """Return the AUC drops at the case mix of the own domain, with their support.

    Raises
    ------
    StatisticsError
        If the domains hold the same patients, no stratum of a class is in both, or the strata
        that are hold too few cases.
    """
    if may_share_patients(own, other):
        raise StatisticsError(
            f"undefined: {own.domain} and {other.domain} may hold the same patients"
        )
    source, target = (
        (cell.labels, cell.curves[positions_of(cell, arms)], cell.strata(columns), cell.clusters)
        for cell in (own, other)
    )
    found = standardised_drop(source, target)
    for cell, weighted in ((own, found.source), (other, found.target)):
        if weighted.note:
            raise StatisticsError(f"{cell.domain}, strata that both have: {weighted.note}")
    return found


def _paired_drops(own: Cell, other: Cell, arms: Sequence[str]) -> Drops:
    cells = (own, other)
    scores = np.hstack([cell.curves[positions_of(cell, arms)] for cell in cells])
    groups = np.repeat(np.arange(2), [len(cell.labels) for cell in cells])
    patients = np.concatenate([cell.cases["cluster"].to_numpy(dtype=str) for cell in cells])
    labels = np.concatenate([cell.labels for cell in cells])
    found = subgroup_covariance(labels, scores, groups, np.unique(patients, return_inverse=True)[1])
    K = scores.shape[0]
    minus = np.hstack([np.eye(K), -np.eye(K)])
    return Drops(
        found.auc[0] - found.auc[1],
        minus @ found.covariance.reshape(2 * K, 2 * K) @ minus.T,
        tuple(VariancePart(minus @ p.covariance @ minus.T, p.df, p.patients) for p in found.parts),
    )
