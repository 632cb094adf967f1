"""Transfer drops: means over seeds on an arm's own domain minus means over seeds on another."""

from __future__ import annotations

import numpy as np

from mammoshift.evaluation.grid import Cell, FloatArray
from mammoshift.statistics.comparisons import Difference, contrast, unpaired


def mean_drop(own: Cell, other: Cell, arm: str) -> Difference:
    """Test the mean AUC of an arm's seeds on its own domain minus that on another."""
    return _drop(own, other, {arm: 1.0})


def difference_of_mean_drops(own: Cell, other: Cell, arm: str, reference: str) -> Difference:
    """Test whether an arm loses more than the reference, which has the same own domain.

    On each domain the arms are paired; the domains have different patients, so that their
    variances add.
    """
    return _drop(own, other, {arm: 1.0, reference: -1.0})


def arm_weights(cell: Cell, signs: dict[str, float]) -> FloatArray:
    """Return the contrast of a cell's curves: the signed means over the seeds of some arms."""
    weights = np.zeros((len(cell.arms), len(cell.seeds)))
    for arm, sign in signs.items():
        weights[cell.arms.index(arm)] = sign / len(cell.seeds)
    return weights.ravel()


def _drop(own: Cell, other: Cell, signs: dict[str, float]) -> Difference:
    before, after = (
        contrast(cell.auc.auc, cell.auc.covariance, arm_weights(cell, signs))
        for cell in (own, other)
    )
    return unpaired(*_moments(before), *_moments(after))


def _moments(test: Difference) -> tuple[float, float]:
    """Return (estimate, variance), NaN where undefined."""
    if test.estimate is None or test.se is None:
        return float("nan"), float("nan")
    return test.estimate, test.se**2
