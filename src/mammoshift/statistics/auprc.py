"""Area under the precision-recall curve (average precision) with its covariance.

AP is the mean over the positives of the precision at their own score, ties included (the step
definition, without interpolation). It depends on the prevalence: values from datasets with
different prevalence are not comparable, whatever their intervals.

The variance is the infinitesimal jackknife (Efron 1982, The Jackknife, the Bootstrap and Other
Resampling Plans, chapter 6) within each class, with the numbers of positives and negatives taken
as fixed; for the AUC the same recipe gives DeLong's estimator. For a case j, with TP_i and FP_i
counted at the score of the positive i,

    U_j = (P_j - AP) + sum over positives i with s_i <= s_j of FP_i / (TP_i + FP_i)^2   (j positive)
    U_j = - (n / m) sum over positives i with s_i <= s_j of TP_i / (TP_i + FP_i)^2      (j negative)

and AP's variance is that of the two class means of U.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mammoshift.statistics.auc import sum_of_parts, two_class_parts
from mammoshift.statistics.estimates import CurveEstimates, describe_curves, undefined_flags
from mammoshift.statistics.inputs import FloatArray, checked_cases, cluster_codes
from mammoshift.statistics.intervals import Intervals, intervals


@dataclass(frozen=True, kw_only=True)
class AuprcEstimate(CurveEstimates):
    """Average precision of K curves on the same cases.

    Attributes
    ----------
    auprc
        [K], in [0, 1]; NaN where undefined, and then `flags` says why.
    """

    auprc: FloatArray


def auprc_covariance(
    labels: ArrayLike, scores: ArrayLike, clusters: ArrayLike | None = None
) -> AuprcEstimate:
    """Return the average precision of every curve and the covariance between all of them.

    Parameters, degenerate cases and errors are those of `auc_covariance`. AP is undefined
    without a positive; without a negative it is 1 and its variance undefined.
    """
    positive, matrix = checked_cases(labels, scores)
    codes = None if clusters is None else cluster_codes(clusters, positive.size)
    K, parts = matrix.shape[0], ()
    auprc, covariance = np.full(K, np.nan), np.full((K, K), np.nan)
    constant = matrix.min(axis=1) == matrix.max(axis=1) if positive.size else np.zeros(K, bool)
    if positive.any():
        contributions = np.empty((K, positive.size))
        for k in range(K):
            auprc[k] = _average_precision(positive, matrix[k], contributions[k])
        if not undefined_flags(positive, codes):
            parts = two_class_parts(
                _centred(contributions[:, positive]),
                _centred(contributions[:, ~positive]),
                positive,
                codes,
            )
            covariance = sum_of_parts(parts)
    described = describe_curves(auprc, covariance, constant, positive, codes, parts)
    return AuprcEstimate(auprc=auprc, **vars(described))


def auprc_intervals(
    estimate: AuprcEstimate,
    level: float = 0.95,
    method: Literal["logit_t", "logit", "wald"] = "logit",
) -> Intervals:
    """Return an interval for each AP, by the rules of `auc_intervals`."""
    return intervals(estimate.auprc, estimate, level, method)


def _average_precision(
    positive: np.ndarray[tuple[int], np.dtype[np.bool_]], scores: FloatArray, out: FloatArray
) -> float:
    """Return AP and write every case's contribution U (not yet centred) to `out` [N]."""
    order = np.argsort(-scores)
    ordered, is_positive = scores[order], positive[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    group = np.repeat(np.arange(last.size), np.diff(last, prepend=-1))
    true_positives = np.cumsum(is_positive)[last].astype(np.float64)
    called = last + 1.0
    within = np.diff(true_positives, prepend=0.0)
    m, n = true_positives[-1], called[-1] - true_positives[-1]
    precision = true_positives / called
    value = float(within @ precision / m)
    gain = _sum_from_here_down(within * (called - true_positives) / called**2)
    loss = _sum_from_here_down(within * true_positives / called**2)
    out[order] = np.where(is_positive, (precision - value + gain)[group], -(n / m) * loss[group])
    return value


def _sum_from_here_down(values: FloatArray) -> FloatArray:
    return np.cumsum(values[::-1])[::-1]


def _centred(values: FloatArray) -> FloatArray:
    return values - values.mean(axis=1, keepdims=True)
