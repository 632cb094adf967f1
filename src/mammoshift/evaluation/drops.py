"""Transfer drops: means over seeds on an arm's own domain minus means over seeds on another."""

from __future__ import annotations

import numpy as np

from mammoshift.evaluation.grid import Cell, FloatArray
from mammoshift.statistics.comparisons import Difference, contrast, unpaired
from mammoshift.statistics.subgroups import subgroup_covariance


def mean_drop(own: Cell, other: Cell, arm: str) -> Difference:
    """Test the mean AUC of an arm's seeds on its own domain minus that on another."""
    return _drop(own, other, {arm: 1.0})


def difference_of_mean_drops(own: Cell, other: Cell, arm: str, reference: str) -> Difference:
    """Test whether an arm loses more than the reference, which has the same own domain.

    On each domain the arms are paired.
    """
    return _drop(own, other, {arm: 1.0, reference: -1.0})


def arm_weights(cell: Cell, signs: dict[str, float]) -> FloatArray:
    """Return the contrast of a cell's curves: the signed means over the seeds of some arms."""
    weights = np.zeros((len(cell.arms), len(cell.seeds)))
    for arm, sign in signs.items():
        weights[cell.arms.index(arm)] = sign / len(cell.seeds)
    return weights.ravel()


def share_patients(one: Cell, other: Cell) -> bool:
    """Return whether two cells are of domains that are declared to hold the same patients."""
    return other.domain in one.same_patients_as


def _drop(own: Cell, other: Cell, signs: dict[str, float]) -> Difference:
    """Return a contrast on one domain minus that on another.

    The variances add between different patients; with the same patients, the covariance of the
    two counts too, as between two subgroups that share patients.
    """
    if share_patients(own, other):
        return _paired_drop(own, other, signs)
    before, after = (
        contrast(cell.auc.auc, cell.auc.covariance, arm_weights(cell, signs))
        for cell in (own, other)
    )
    return unpaired(*_moments(before), *_moments(after))


def _paired_drop(own: Cell, other: Cell, signs: dict[str, float]) -> Difference:
    cells = (own, other)
    scores = np.hstack([np.vstack([cell.of(arm) for arm in signs]) for cell in cells])
    groups = np.repeat(np.arange(2), [len(cell.labels) for cell in cells])
    patients = np.concatenate([cell.cases["cluster"].to_numpy(dtype=str) for cell in cells])
    labels = np.concatenate([cell.labels for cell in cells])
    found = subgroup_covariance(labels, scores, groups, np.unique(patients, return_inverse=True)[1])
    weights = np.repeat([*signs.values()], len(own.seeds)) / len(own.seeds)
    size = 2 * len(weights)
    both = np.concatenate([weights, -weights])
    return contrast(found.auc.ravel(), found.covariance.reshape(size, size), both)


def _moments(test: Difference) -> tuple[float, float]:
    """Return (estimate, variance), NaN where undefined."""
    if test.estimate is None or test.se is None:
        return float("nan"), float("nan")
    return test.estimate, test.se**2
