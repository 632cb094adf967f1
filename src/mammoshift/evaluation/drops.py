"""Transfer drops of arms: means over seeds at the source minus means over seeds at a target."""

from __future__ import annotations

import numpy as np

from mammoshift.evaluation.grid import Cell, FloatArray
from mammoshift.statistics.comparisons import Difference, contrast, unpaired


def mean_drop(source: Cell, target: Cell, arm: str) -> Difference:
    """Test the mean AUC of an arm's seeds at the source minus that at a target."""
    return _drop(source, target, {arm: 1.0})


def difference_of_mean_drops(source: Cell, target: Cell, arm: str, reference: str) -> Difference:
    """Test whether an arm loses more than the reference from source to target.

    At each dataset the arms are paired; the datasets have different patients, so that their
    variances add.
    """
    return _drop(source, target, {arm: 1.0, reference: -1.0})


def arm_weights(cell: Cell, signs: dict[str, float]) -> FloatArray:
    """Return the contrast of a cell's curves: the signed means over the seeds of some arms."""
    weights = np.zeros((len(cell.arms), len(cell.seeds)))
    for arm, sign in signs.items():
        weights[cell.arms.index(arm)] = sign / len(cell.seeds)
    return weights.ravel()


def _drop(source: Cell, target: Cell, signs: dict[str, float]) -> Difference:
    there, here = (
        contrast(cell.auc.auc, cell.auc.covariance, arm_weights(cell, signs))
        for cell in (source, target)
    )
    return unpaired(*_moments(there), *_moments(here))


def _moments(test: Difference) -> tuple[float, float]:
    """Return (estimate, variance), NaN where undefined."""
    if test.estimate is None or test.se is None:
        return float("nan"), float("nan")
    return test.estimate, test.se**2
