"""Brier score, likelihood and calibration error of several curves on the same patients.

The two proper scores are means over cases. The calibration error is the debiased square of Kumar,
Liang and Ma 2019 (`calibration.debiased_square`): about zero for a calibrated model whatever the
number of cases, which no ECE is, so that a difference of two does not favour the arm whose
predictions lie closer together. Its covariance is the jackknife's over patients with the bins of
the whole sample. Where two arms are both calibrated the jackknife is on the wide side, and a test
of their difference rejects too seldom.

`curve_values.difference_of_arms` takes what comes out.

References
----------
Kumar, Liang and Ma 2019, NeurIPS, definition 5.1. Efron and Stein 1981, Annals of Statistics 9:586
(the jackknife's variance is not too small on average).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from mammoshift.statistics.calibration import brier_terms, nll_terms
from mammoshift.statistics.calibration_error import DEFAULT_BINS, equal_count_bins
from mammoshift.statistics.curve_values import CurveValues, means_over_patients, patients_df
from mammoshift.statistics.inputs import FloatArray, IntArray, checked_cases, cluster_codes
from mammoshift.statistics.variance_parts import VariancePart


def brier_scores(
    labels: ArrayLike, logits: ArrayLike, patients: ArrayLike | None = None
) -> CurveValues:
    """Return the Brier scores of K curves from their logits [K, N]; smaller is better."""
    positive, matrix = checked_cases(labels, logits)
    return _mean_of_both_classes(brier_terms(matrix, positive), positive, patients)


def likelihoods(
    labels: ArrayLike, logits: ArrayLike, patients: ArrayLike | None = None
) -> CurveValues:
    """Return the mean negative log-likelihoods of K curves in nats; smaller is better."""
    positive, matrix = checked_cases(labels, logits)
    return _mean_of_both_classes(nll_terms(matrix, positive), positive, patients)


def squared_calibration_errors(
    labels: ArrayLike,
    logits: ArrayLike,
    patients: ArrayLike | None = None,
    bins: int = DEFAULT_BINS,
) -> CurveValues:
    """Return the debiased squared calibration errors of K curves; smaller is better.

    Parameters
    ----------
    labels, logits
        [N], 0 or 1, and [K, N], finite log-odds of the positive class.
    patients
        [N], or None.
    bins
        Of equal count, for each curve its own.
    """
    positive, matrix = checked_cases(labels, logits)
    K, N = matrix.shape
    codes = np.arange(N) if patients is None else cluster_codes(patients, N)
    values, without = np.empty(K), np.empty((K, int(codes.max()) + 1))
    for k, row in enumerate(matrix):
        index, size = equal_count_bins(row, bins)
        values[k], without[k] = _with_and_without_each(expit(row), positive, index, size, codes)
    I = without.shape[1]  # noqa: E741
    centred = without - without.mean(axis=1, keepdims=True)
    covariance = (I - 1) / I * centred @ centred.T if I > 1 else np.full((K, K), np.nan)
    parts = (
        (VariancePart(covariance, patients_df(codes), _rarer(positive, codes)),) if I > 1 else ()
    )
    return CurveValues(values, covariance, parts)


def _mean_of_both_classes(
    terms: FloatArray, positive: NDArray[np.bool_], patients: ArrayLike | None
) -> CurveValues:
    """Return the means of terms [K, N]; the patients of the rarer class are those that count."""
    owners = np.arange(positive.size) if patients is None else patients
    rarer = _rarer(positive, cluster_codes(owners, positive.size))
    found = means_over_patients(terms, patients)
    return replace(found, parts=tuple(replace(part, patients=rarer) for part in found.parts))


def _rarer(positive: NDArray[np.bool_], owners: IntArray) -> int:
    """Return how many patients have a case of the rarer class."""
    return min(np.unique(owners[side]).size for side in (positive, ~positive))


def _with_and_without_each(
    p: FloatArray, positive: NDArray[np.bool_], index: IntArray, size: int, codes: IntArray
) -> tuple[float, FloatArray]:
    """Return the error of all cases, and those [patients] without the cases of each."""
    patients = int(codes.max()) + 1
    place = codes * size + index
    of_patients = [
        np.bincount(place, weights=weights, minlength=patients * size).reshape(patients, size)
        for weights in (None, positive, p)
    ]
    totals = [own.sum(axis=0) for own in of_patients]
    whole = _debiased_squares(*(total[None, :] for total in totals))
    rest = _debiased_squares(*(t - own for t, own in zip(totals, of_patients, strict=True)))
    return float(whole[0]), rest


def _debiased_squares(count: FloatArray, positives: FloatArray, mass: FloatArray) -> FloatArray:
    """Return the error of each row of bins [R, bins]; a bin of fewer than two cases has none."""
    n = np.where(count > 1, count, 2.0)
    share = positives / n
    gaps = (share - mass / n) ** 2 - share * (1.0 - share) / (n - 1.0)
    return np.where(count > 1, n * gaps, 0.0).sum(axis=1) / count.sum(axis=1)
