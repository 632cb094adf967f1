"""Metrics of a two-by-two confusion matrix, each with its interval.

A metric whose denominator is zero is undefined: its value is None and its note says why, never
0 or NaN. Intervals for independent cases: Wilson for proportions; F1 by the Wilson interval of
the Jaccard index J = tp / (tp + fp + fn), of which it is the monotone function 2J / (1 + J);
balanced accuracy by MOVER from the Wilson limits of its two terms; the Matthews correlation by
the delta method on Fisher's z scale. With several cases for each patient: `patient_confusion`.

References
----------
Matthews 1975, Biochimica et Biophysica Acta 405:442. Wilson 1927; Zou and Donner 2008 (see
`mammoshift.statistics.proportions`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from mammoshift.errors import StatisticsError
from mammoshift.statistics.inputs import checked_cases
from mammoshift.statistics.proportions import (
    Estimate,
    mean_of_two,
    proportion,
    undefined,
    wilson_interval,
)

NO_POSITIVE = "undefined: there is no positive case"
NO_NEGATIVE = "undefined: there is no negative case"
NO_CALLED_POSITIVE = "undefined: no case is called positive"
NO_CALLED_NEGATIVE = "undefined: no case is called negative"
NO_CASE = "undefined: there is no case"
PERFECT_CORRELATION = "no interval: the correlation is perfect, so its variance estimate is zero"


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts of true negatives, false positives, false negatives and true positives."""

    tn: int
    fp: int
    fn: int
    tp: int

    def __post_init__(self) -> None:
        for cell in fields(self):
            value = getattr(self, cell.name)
            if value < 0 or value != int(value):
                raise StatisticsError(
                    f"confusion matrix: {cell.name} is {value}; counts are whole and not negative"
                )

    @property
    def n(self) -> int:
        """All cases."""
        return self.tn + self.fp + self.fn + self.tp


@dataclass(frozen=True)
class ConfusionMetrics:
    """The usual metrics; sensitivity is also called recall, precision positive predictive value.

    `npv` is the negative predictive value, `mcc` the Matthews correlation coefficient in [-1, 1];
    all others lie in [0, 1].
    """

    accuracy: Estimate
    precision: Estimate
    sensitivity: Estimate
    specificity: Estimate
    npv: Estimate
    f1: Estimate
    balanced_accuracy: Estimate
    mcc: Estimate


def confusion_matrix(labels: ArrayLike, decisions: ArrayLike) -> ConfusionMatrix:
    """Count the cells.

    Parameters
    ----------
    labels, decisions
        [N], 0 or 1.

    Raises
    ------
    StatisticsError
        If shapes differ or a value is neither 0 nor 1.
    """
    indicators = _cells(labels, decisions).sum(axis=0)
    return ConfusionMatrix(*(int(count) for count in indicators))


def confusion_metrics(matrix: ConfusionMatrix, level: float = 0.95) -> ConfusionMetrics:
    """Return every metric with its interval, the cases taken as independent."""
    tn, fp, fn, tp = matrix.tn, matrix.fp, matrix.fn, matrix.tp
    sensitivity = proportion(tp, tp + fn, empty=NO_POSITIVE, level=level)
    specificity = proportion(tn, tn + fp, empty=NO_NEGATIVE, level=level)
    return ConfusionMetrics(
        accuracy=proportion(tp + tn, matrix.n, empty=NO_CASE, level=level),
        precision=proportion(tp, tp + fp, empty=NO_CALLED_POSITIVE, level=level),
        sensitivity=sensitivity,
        specificity=specificity,
        npv=proportion(tn, tn + fn, empty=NO_CALLED_NEGATIVE, level=level),
        f1=_f1(matrix, level),
        balanced_accuracy=mean_of_two(sensitivity, specificity),
        mcc=_mcc(matrix, level),
    )


def _cells(labels: ArrayLike, decisions: ArrayLike) -> np.ndarray:
    """Return indicators [N, 4] of the cells tn, fp, fn, tp."""
    positive, _ = checked_cases(labels, np.zeros(np.shape(labels)))
    called = np.asarray(decisions)
    if called.shape != positive.shape:
        raise StatisticsError(
            f"decisions have shape {called.shape}, labels {positive.shape}: they must agree"
        )
    wrong = np.flatnonzero(~np.isin(called, (0, 1)))
    if wrong.size:
        raise StatisticsError(f"decisions: case {wrong[0]} (from 0) is neither 0 nor 1")
    called = called == 1
    return np.stack(
        [~positive & ~called, ~positive & called, positive & ~called, positive & called], axis=1
    )


def _f1(matrix: ConfusionMatrix, level: float) -> Estimate:
    relevant = matrix.tp + matrix.fp + matrix.fn
    if relevant == 0:
        return undefined("undefined: no case is positive and none is called positive")
    low, high = wilson_interval(matrix.tp, relevant, level)
    value = 2.0 * matrix.tp / (matrix.tp + relevant)
    low, high = (float(2.0 * limit / (1.0 + limit)) for limit in (low, high))
    return Estimate(value, low, high, "wilson_jaccard")


def _mcc(matrix: ConfusionMatrix, level: float) -> Estimate:
    tn, fp, fn, tp = (float(cell) for cell in (matrix.tn, matrix.fp, matrix.fn, matrix.tp))
    margins = {
        NO_CALLED_POSITIVE: tp + fp,
        NO_POSITIVE: tp + fn,
        NO_NEGATIVE: tn + fp,
        NO_CALLED_NEGATIVE: tn + fn,
    }
    for reason, margin in margins.items():
        if margin == 0:
            return undefined(reason)
    called, positive, negative, passed = margins.values()
    root = math.sqrt(called * positive * negative * passed)
    value = (tp * tn - fp * fn) / root
    if abs(value) >= 1.0 - 1e-12:
        return Estimate(math.copysign(1.0, value), note=PERFECT_CORRELATION)
    # Partial derivatives with respect to each count; they are homogeneous of degree -1, so the
    # multinomial variance reduces to the sum of count * derivative^2.
    slopes = (
        (tp, tn / root - value / 2.0 * (1.0 / called + 1.0 / positive)),
        (tn, tp / root - value / 2.0 * (1.0 / negative + 1.0 / passed)),
        (fp, -fn / root - value / 2.0 * (1.0 / called + 1.0 / negative)),
        (fn, -fp / root - value / 2.0 * (1.0 / positive + 1.0 / passed)),
    )
    se = math.sqrt(sum(count * slope**2 for count, slope in slopes))
    half = -float(ndtri((1.0 - level) / 2.0)) * se / (1.0 - value**2)
    centre = math.atanh(value)
    return Estimate(value, math.tanh(centre - half), math.tanh(centre + half), "delta_fisher_z")
