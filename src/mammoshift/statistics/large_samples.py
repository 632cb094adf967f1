"""Operating points of many cases: variances by linearisation instead of a bootstrap.

A bootstrap of B resamples costs B passes over the cases. From `MANY_CASES` on its answer is known
without it: the sensitivity at an estimated threshold is, but for terms that vanish,

    Se + sum over positives (1[s >= t] - Se) / m - r sum over negatives (1[s < t] - Sp) / n,

with r the slope of the ROC curve there (Hsieh and Turnbull 1996), and its variance is that of the
terms, summed within patients. One sort is all that it takes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.inputs import FloatArray, IntArray
from mammoshift.statistics.proportions import Estimate

MANY_CASES = 50_000
LINEARISED = "linearised_logit"

Booleans = NDArray[np.bool_]


def sensitivity_terms(
    positive: Booleans, scores: FloatArray, threshold: float, codes: IntArray | None
) -> tuple[float, FloatArray]:
    """Return the sensitivity at a threshold re-estimated at its specificity, and its terms.

    Parameters
    ----------
    positive, scores
        [N] of one arm.
    threshold
        That these cases gave.
    codes
        [N] patients, or None.

    Returns
    -------
    value, terms
        The terms [patients] have the variance of the sensitivity as their sum of squares.
    """
    m = int(np.count_nonzero(positive))
    n = positive.size - m
    called = scores >= threshold
    value = float(np.count_nonzero(called & positive)) / m
    specificity = 1.0 - float(np.count_nonzero(called & ~positive)) / n
    slope = roc_slope(positive, scores, specificity)
    terms = np.where(positive, (called - value) / m, -slope * (~called - specificity) / n)
    if codes is not None:
        terms = np.bincount(codes, weights=terms).astype(np.float64, copy=False)
    return value, terms


def roc_slope(positive: Booleans, scores: FloatArray, specificity: float) -> float:
    """Return the slope of the ROC curve at a specificity, over a window of width n^(-1/3)."""
    positives, negatives = np.sort(scores[positive]), np.sort(scores[~positive])
    width = 0.5 * negatives.size ** (-1.0 / 3.0)
    ends = np.clip([specificity - width, specificity + width], 0.0, 1.0)
    cuts = np.quantile(negatives, ends)
    sensitivity = 1.0 - np.searchsorted(positives, cuts, side="left") / positives.size
    return float((sensitivity[0] - sensitivity[1]) / (ends[1] - ends[0]))


def linearised_interval(value: float, terms: FloatArray, level: float) -> Estimate:
    """Return a proportion with its interval on the logit scale."""
    se = math.sqrt(float(terms @ terms))
    if value in (0.0, 1.0) or se == 0.0:
        return Estimate(value, note="no interval: all cases agree")
    half = critical_value(level) * se / (value * (1.0 - value))
    centre = math.log(value / (1.0 - value))
    low, high = (0.5 + 0.5 * math.tanh(0.5 * (centre + side)) for side in (-half, half))
    return Estimate(value, low, high, LINEARISED)


def threshold_draws(
    positive: Booleans,
    scores: FloatArray,
    specificity: float,
    codes: IntArray | None,
    rng: np.random.Generator,
    draws: int,
) -> FloatArray:
    """Return thresholds [draws] that samples such as these would give at a specificity."""
    negatives = np.sort(scores[~positive])
    threshold = np.quantile(negatives, specificity, method="higher")
    terms = ((scores[~positive] < threshold) - specificity) / negatives.size
    if codes is not None:
        terms = np.bincount(codes[~positive], weights=terms)
    reached = specificity + math.sqrt(float(terms @ terms)) * rng.normal(size=draws)
    return np.quantile(negatives, np.clip(reached, 0.0, 1.0), method="higher")


def rates_at_thresholds(
    positive: Booleans,
    scores: FloatArray,
    thresholds: FloatArray,
    codes: IntArray | None,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Return sensitivity and specificity [B], each with the sampling error of these cases added."""
    out = []
    middle = float(np.median(thresholds))
    for side, above in ((positive, True), (~positive, False)):
        ordered = np.sort(scores[side])
        below = np.searchsorted(ordered, thresholds, side="left") / ordered.size
        rate = 1.0 - below if above else below
        hit = (scores[side] >= middle) == above
        terms = (hit - hit.mean()) / ordered.size
        if codes is not None:
            terms = np.bincount(codes[side], weights=terms)
        noise = math.sqrt(float(terms @ terms)) * rng.normal(size=thresholds.size)
        out.append(np.clip(rate + noise, 0.0, 1.0))
    return out[0], out[1]
