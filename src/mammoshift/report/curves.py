"""Points of the curves that the figures draw: ROC and reliability.

Numbers that the report states come from the evaluation; here are only the coordinates of lines.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammoshift.statistics.calibration_error import reliability_curve
from mammoshift.statistics.proportions import wilson_interval

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]

FALSE_POSITIVE_GRID: Floats = np.round(np.linspace(0.0, 1.0, 101), 2)
"""False positive rates at which every ROC curve is read, so that curves can be averaged."""

BAND_RESAMPLES = 400
_WEIGHTS_IN_MEMORY = 8_000_000


@dataclass(frozen=True)
class RocBand:
    """The mean ROC curve of several seeds over `FALSE_POSITIVE_GRID`.

    Attributes
    ----------
    seeds
        Shape (S, 101): true positive rate of each seed.
    mean, low, high
        Shape (101,): vertical average (Fawcett 2006, section 8) and its pointwise 95 % limits.
    """

    seeds: Floats
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class ReliabilityBins:
    """Reliability in bins of equal width, see `mammoshift.statistics.calibration_error`.

    Attributes
    ----------
    bin_low, bin_high
        Shape (B,): edges.
    count
        Shape (B,): cases of each bin, averaged over the seeds.
    predicted, observed
        Shape (B,): mean probability and share of positives; NaN in an empty bin.
    low, high
        Shape (B,): Wilson 95 % limits of `observed` with `count` cases.
    """

    bin_low: Floats
    bin_high: Floats
    count: Floats
    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats


def cell_generator(*names: str) -> np.random.Generator:
    """Return a generator whose stream depends on the names of a cell only, not on any order."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def roc_band(
    labels: Labels,
    logits: Floats,
    clusters: NDArray[np.intp],
    rng: np.random.Generator,
    resamples: int = BAND_RESAMPLES,
) -> RocBand | None:
    """Return the ROC curves of the seeds with a pointwise bootstrap band of their mean.

    Patients are resampled within two strata, those with a positive image and those without; the
    same draw serves all seeds, which are kept fixed. The band shows the spread due to patients.

    Parameters
    ----------
    labels
        Shape (N,), 1 positive and 0 negative.
    logits
        Shape (S, N), one row per seed; higher is more suspicious.
    clusters
        Shape (N,), patient of each image as an integer from 0.

    Returns
    -------
    RocBand or None
        None when a class is empty, so that there is no curve.
    """
    positives = int(labels.sum())
    if positives in (0, labels.size):
        return None
    sorted_seeds = [_sorted_cases(labels, scores, clusters) for scores in logits]
    whole = np.ones((1, int(clusters.max()) + 1))
    seeds = np.vstack([_weighted_curves(cases, whole) for cases in sorted_seeds])
    draws = np.empty((resamples, FALSE_POSITIVE_GRID.size))
    chunk = max(1, _WEIGHTS_IN_MEMORY // labels.size)
    with_positive = np.unique(clusters[labels == 1])
    without = np.setdiff1d(np.unique(clusters), with_positive)
    for start in range(0, resamples, chunk):
        weights = np.zeros((min(chunk, resamples - start), whole.shape[1]))
        for stratum in (with_positive, without):
            if stratum.size:
                equal = np.full(stratum.size, 1.0 / stratum.size)
                weights[:, stratum] = rng.multinomial(stratum.size, equal, size=len(weights))
        curves = [_weighted_curves(cases, weights) for cases in sorted_seeds]
        draws[start : start + len(weights)] = np.mean(curves, axis=0)
    low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
    return RocBand(seeds=seeds, mean=seeds.mean(axis=0), low=low, high=high)


def pooled_reliability(labels: Labels, logits: Floats, bins: int = 10) -> ReliabilityBins:
    """Return the reliability of the seeds' predictions, pooled over the seeds bin by bin.

    Pooled seeds are not independent cases, so that the limits are those of the mean count.

    Parameters
    ----------
    labels
        Shape (N,), 1 positive and 0 negative.
    logits
        Shape (S, N), log-odds.
    """
    curves = [reliability_curve(seed, labels, bins=bins) for seed in logits]
    count = np.mean([curve.count for curve in curves], axis=0)
    positive = np.mean([curve.positives for curve in curves], axis=0)
    mass = [np.nan_to_num(curve.mean_predicted) * curve.count for curve in curves]
    low, high = wilson_interval(positive, count)
    with np.errstate(invalid="ignore"):
        predicted, observed = np.mean(mass, axis=0) / count, positive / count
    first = curves[0]
    return ReliabilityBins(first.bin_low, first.bin_high, count, predicted, observed, low, high)


@dataclass(frozen=True)
class _SortedCases:
    """Cases from the highest score down; `last` marks the end of each run of equal scores."""

    label: Labels
    cluster: NDArray[np.intp]
    last: NDArray[np.intp]


def _sorted_cases(labels: Labels, scores: Floats, clusters: NDArray[np.intp]) -> _SortedCases:
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    return _SortedCases(labels[order], clusters[order], ends)


def _weighted_curves(cases: _SortedCases, weights: Floats) -> Floats:
    """Return, for each row of patient weights (R, patients), the curve on the grid (R, 101).

    The value at a false positive rate is the largest true positive rate that a threshold reaches
    without exceeding it, so that the curve is the step function of the data.
    """
    curves = np.full((len(weights), FALSE_POSITIVE_GRID.size), np.nan)
    is_positive = cases.label == 1
    for row, weight in enumerate(weights):
        case_weight = weight[cases.cluster]
        true = np.cumsum(np.where(is_positive, case_weight, 0.0))
        false = np.cumsum(np.where(is_positive, 0.0, case_weight))
        if true[-1] == 0 or false[-1] == 0:
            continue
        true_rate = np.append(0.0, true[cases.last] / true[-1])
        false_rate = np.append(0.0, false[cases.last] / false[-1])
        within = np.searchsorted(false_rate, FALSE_POSITIVE_GRID + 1e-12, side="right") - 1
        curves[row] = true_rate[within]
    return curves
