"""Partial area under the ROC curve, over the false positive rates up to a limit e.

With F the distribution of negatives, G that of positives and q the score that a share e of the
negatives lies above, the area is the mean over positives of the share of negatives that they beat
among those above q, ties counting one half (the trapezoids of the empirical curve, cut at e within
the step where the limit falls). Its variance takes no density: to first order

    a positive x adds   P(q < Y < x),                     capped at e
    a negative y adds   P(X > y) - P(X > q)   if y > q,   else 0

so that the covariance of curves, of dependent cases too, is that of `auc` with these terms. The
area divided by e is the mean sensitivity over those rates. McClish's correction is linear in it,
and so keeps every test.

References
----------
McClish 1989, Medical Decision Making 9:190 (partial area, correction). He and Escobar 2008,
Statistics in Medicine 27:5291 (non-parametric variance). Obuchowski 1997, Biometrics 53:567.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import sum_of_parts, two_class_parts
from mammoshift.statistics.estimates import CurveEstimates, describe_curves, undefined_flags
from mammoshift.statistics.inputs import FloatArray, checked_cases, cluster_codes


@dataclass(frozen=True, kw_only=True)
class PartialAucEstimate(CurveEstimates):
    """Partial area of K curves, divided by its greatest value.

    Attributes
    ----------
    mean_sensitivity
        [K], the area over e, in [0, 1]; NaN where undefined. `covariance` is of this.
    highest_fpr
        e, in (0, 1].
    """

    mean_sensitivity: FloatArray
    highest_fpr: float

    @property
    def corrected(self) -> FloatArray:
        """McClish's correction [K]: 0.5 for no discrimination, 1 for perfect."""
        chance = self.highest_fpr / 2.0
        return 0.5 + 0.5 * (self.mean_sensitivity - chance) / (1.0 - chance)


def partial_auc(
    labels: ArrayLike,
    scores: ArrayLike,
    lowest_specificity: float,
    clusters: ArrayLike | None = None,
) -> PartialAucEstimate:
    """Return the partial areas of K curves over specificities from a lowest one to 1.

    Parameters
    ----------
    labels
        [N], 0 or 1.
    scores
        [K, N] or [N], finite.
    lowest_specificity
        In [0, 1); 0 gives the whole AUC.
    clusters
        [N] patients, or None when the cases are independent.

    Raises
    ------
    StatisticsError
        If the input cannot be used.
    """
    if not 0.0 <= lowest_specificity < 1.0:
        raise StatisticsError(
            f"partial AUC: the lowest specificity is {lowest_specificity}; it must lie in [0, 1)"
        )
    e = 1.0 - lowest_specificity
    positive, matrix = checked_cases(labels, scores)
    codes = None if clusters is None else cluster_codes(clusters, positive.size)
    undefined = undefined_flags(positive, codes)
    K, m = len(matrix), int(np.count_nonzero(positive))
    n = positive.size - m
    values, covariance = np.full(K, math.nan), np.full((K, K), math.nan)
    constant = np.ptp(matrix, axis=1) == 0 if positive.size else np.zeros(K, dtype=bool)
    parts = ()
    if m and n:
        own = [_terms(row[positive], row[~positive], e) for row in matrix]
        upper, lower = np.stack([a for a, _ in own]), np.stack([b for _, b in own])
        values = upper.mean(axis=1)
        if not undefined:
            centred = (upper - values[:, None], lower - lower.mean(axis=1, keepdims=True))
            parts = two_class_parts(*centred, positive, codes)
            covariance = sum_of_parts(parts)
    described = describe_curves(values, covariance, constant, positive, codes, parts)
    return PartialAucEstimate(mean_sensitivity=values, highest_fpr=e, **vars(described))


def _terms(positives: FloatArray, negatives: FloatArray, e: float) -> tuple[FloatArray, FloatArray]:
    """Return each positive's share of the area, whose mean it is, and each negative's influence."""
    n = negatives.size
    ordered, ordered_positives = np.sort(negatives), np.sort(positives)
    above = n - np.searchsorted(ordered, positives, side="right")
    tied = n - np.searchsorted(ordered, positives, side="left") - above
    # A positive of false positive rates from `above` to `above + tied`, over n, rises evenly
    # between them; the area to the left of e is what counts.
    width = tied / n
    inside = np.clip(e - above / n, 0.0, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        rising = inside**2 / (2.0 * width)
    share = np.where(inside < width, rising, inside - width / 2.0)
    limit = 1.0
    if e < 1.0:
        limit = float(_sensitivities(ordered_positives, ordered[[n - math.ceil(e * n)]])[0])
    counts = n - np.searchsorted(ordered, negatives, side="right") < e * n
    own = np.where(counts, _sensitivities(ordered_positives, negatives) - limit, 0.0)
    return share / e, own / e


def _sensitivities(ordered_positives: FloatArray, at: FloatArray) -> FloatArray:
    """Return the share of positives above each score, ties counting one half."""
    low = np.searchsorted(ordered_positives, at, side="left")
    high = np.searchsorted(ordered_positives, at, side="right")
    return 1.0 - 0.5 * (low + high) / ordered_positives.size
