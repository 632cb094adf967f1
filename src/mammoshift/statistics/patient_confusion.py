"""Metrics of decisions on several cases of each patient, with intervals over patients.

Sensitivity, specificity, predictive values and accuracy are ratios of totals over patients (see
`proportions.clustered_ratio`), as is the Jaccard index, of which F1 is a monotone function. The
balanced accuracy and the Matthews correlation are linearised: their derivatives by the four
counts, summed within a patient, give the variance. A bootstrap of patients, which was used here
before, covers 88 to 92 % where patients have one to eight images.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.statistics.confusion import (
    NO_CALLED_NEGATIVE,
    NO_CALLED_POSITIVE,
    NO_CASE,
    NO_NEGATIVE,
    NO_POSITIVE,
    ConfusionMatrix,
    ConfusionMetrics,
    confusion_metrics,
)
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.inputs import FloatArray, checked_cases, cluster_codes
from mammoshift.statistics.proportions import Estimate, clustered_ratio, undefined
from mammoshift.statistics.variance_parts import effective_number

NO_SPREAD = "no interval: all patients agree"


def patient_confusion_metrics(
    labels: ArrayLike, decisions: ArrayLike, patients: ArrayLike, level: float = 0.95
) -> ConfusionMetrics:
    """Return every metric with an interval over patients.

    Parameters
    ----------
    labels, decisions
        [N], 0 or 1.
    patients
        [N].
    """
    positive, called = checked_cases(labels, decisions)
    called = called[0] == 1.0
    codes = cluster_codes(patients, positive.size)
    tn, fp, fn, tp = (
        np.bincount(codes[cell], minlength=int(codes.max(initial=-1)) + 1)
        for cell in (
            ~positive & ~called,
            ~positive & called,
            positive & ~called,
            positive & called,
        )
    )
    cells = np.stack([tn, fp, fn, tp], axis=1)

    def ratio(hits: NDArray[np.intp], cases: NDArray[np.intp], empty: str) -> Estimate:
        return clustered_ratio(hits, cases, empty=empty, level=level)

    plain = confusion_metrics(ConfusionMatrix(*(int(x) for x in cells.sum(axis=0))), level)
    return ConfusionMetrics(
        accuracy=ratio(tp + tn, cells.sum(axis=1), NO_CASE),
        precision=ratio(tp, tp + fp, NO_CALLED_POSITIVE),
        sensitivity=ratio(tp, tp + fn, NO_POSITIVE),
        specificity=ratio(tn, tn + fp, NO_NEGATIVE),
        npv=ratio(tn, tn + fn, NO_CALLED_NEGATIVE),
        f1=_f1(ratio(tp, tp + fp + fn, plain.f1.note)),
        balanced_accuracy=_balanced_accuracy(cells, plain.balanced_accuracy, level),
        mcc=_mcc(cells, plain.mcc, level),
    )


def _f1(jaccard: Estimate) -> Estimate:
    if jaccard.value is None:
        return undefined(jaccard.note)
    value, low, high = (
        None if x is None else 2.0 * x / (1.0 + x)
        for x in (jaccard.value, jaccard.ci_low, jaccard.ci_high)
    )
    return Estimate(value, low, high, f"{jaccard.method}_jaccard", jaccard.note)


def _balanced_accuracy(cells: NDArray[np.intp], plain: Estimate, level: float) -> Estimate:
    value = plain.value
    if value is None:
        return plain
    tn, fp, fn, tp = cells.sum(axis=0).astype(np.float64)
    m, n = tp + fn, tn + fp
    slopes = 0.5 * np.array([fp / n**2, -tn / n**2, -tp / m**2, fn / m**2])
    se, df = _spread(cells, slopes)
    if se == 0.0 or value in (0.0, 1.0):
        return Estimate(value, note=NO_SPREAD)
    half = critical_value(level, df) * se / (value * (1.0 - value))
    centre = math.log(value / (1.0 - value))
    low, high = (0.5 + 0.5 * math.tanh(0.5 * (centre + side)) for side in (-half, half))
    return Estimate(value, low, high, "linearised_logit_t")


def _mcc(cells: NDArray[np.intp], plain: Estimate, level: float) -> Estimate:
    value = plain.value
    if value is None or abs(value) >= 1.0:
        return plain
    tn, fp, fn, tp = cells.sum(axis=0).astype(np.float64)
    called, positive, negative, passed = tp + fp, tp + fn, tn + fp, tn + fn
    root = math.sqrt(called * positive * negative * passed)
    slopes = np.array(
        [
            tp / root - value / 2.0 * (1.0 / negative + 1.0 / passed),
            -fn / root - value / 2.0 * (1.0 / called + 1.0 / negative),
            -fp / root - value / 2.0 * (1.0 / positive + 1.0 / passed),
            tn / root - value / 2.0 * (1.0 / called + 1.0 / positive),
        ]
    )
    se, df = _spread(cells, slopes)
    if se == 0.0:
        return Estimate(value, note=NO_SPREAD)
    half = critical_value(level, df) * se / (1.0 - value**2)
    centre = math.atanh(value)
    return Estimate(
        value, math.tanh(centre - half), math.tanh(centre + half), "linearised_fisher_z_t"
    )


def _spread(cells: NDArray[np.intp], slopes: FloatArray) -> tuple[float, float]:
    """Return the standard error of a function of the four totals, and its degrees of freedom.

    The functions have degree zero, so the terms sum to zero over patients. The degrees of freedom
    are those of the class with fewer patients.
    """
    terms = cells @ slopes
    I = len(terms)  # noqa: E741
    if I < 2:
        return 0.0, 1.0
    sides = cells[:, 2] + cells[:, 3], cells[:, 0] + cells[:, 1]
    df = min(max(1.0, effective_number(side[side > 0]) - 1.0) for side in sides)
    return math.sqrt(I / (I - 1) * float(terms @ terms)), df
