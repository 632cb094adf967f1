"""Reliability in bins of the predicted probability, and the calibration error with its null band.

The calibration error of this project has ONE definition: the predicted probability is that of
the positive class, P(y = 1), in 15 bins of equal width on [0, 1], right-closed (the first also
holds 0), and

    ECE = sum over bins of (cases in bin / N) * |share of positives - mean probability|.

It is biased upwards: a perfectly calibrated model shows about 0.10 at 140 cases and 0.04 at 1000.
It must therefore be read beside its null band, the values that the same predictions would show
if they were calibrated perfectly.

References
----------
Naeini, Cooper and Hauskrecht 2015, AAAI:2901 (ECE). Bröcker and Smith 2007, Weather and
Forecasting 22:651 (simulating labels from the predictions). Kumar, Liang and Ma 2019, NeurIPS,
section 5 (debiased squared error).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from mammoshift.errors import StatisticsError
from mammoshift.statistics.inputs import FloatArray, IntArray, checked_curve, cluster_codes
from mammoshift.statistics.proportions import wilson_interval

DEFAULT_BINS = 15
NULL_SIMULATIONS = 1000
_LARGE_VARIANCE = 100.0
_CHUNK_ELEMENTS = 4_000_000
Binning = Literal["equal_width", "equal_mass"]


@dataclass(frozen=True)
class ReliabilityCurve:
    """The share of positives in each bin of the predicted probability.

    All arrays are [bins], from low to high probability; bins without a case have count 0 and
    NaN elsewhere than in `bin_low` and `bin_high`.

    Attributes
    ----------
    bin_low, bin_high
        Edges; a bin holds bin_low < p <= bin_high, the first also p = bin_low.
    count, positives
        Cases and positive cases.
    mean_predicted, observed
        Mean probability and share of positives.
    ci_low, ci_high
        Wilson interval of `observed`, cases taken as independent.
    """

    bin_low: FloatArray
    bin_high: FloatArray
    count: IntArray
    positives: IntArray
    mean_predicted: FloatArray
    observed: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray


@dataclass(frozen=True)
class CalibrationError:
    """An expected calibration error and the values it would take under perfect calibration.

    `null_mean` and `null_high` are the mean and the upper limit (95 % unless told otherwise) of
    the error when the labels are drawn from the predictions themselves.
    """

    value: float
    null_mean: float
    null_high: float
    bins: int
    binning: Binning
    level: float

    @property
    def within_null(self) -> bool:
        """Whether this error is no larger than chance alone would make it."""
        return self.value <= self.null_high


def expected_calibration_error(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    bins: int = DEFAULT_BINS,
    binning: Binning = "equal_width",
) -> float:
    """Return the ECE as this module defines it, in [0, 1]; N >= 1.

    `equal_mass` bins hold nearly equal numbers of cases; equal probabilities stay together.
    """
    positive, row = checked_curve(labels, logits, "calibration")
    p = expit(row)
    index, size = bin_index(p, bins, binning)
    _, positives, mass = bin_sums(index, size, p, positive)
    return float(np.abs(positives - mass).sum() / p.size)


@dataclass(frozen=True)
class Grouped:
    """Cases in an order in which those of a group stand together, the largest logit first.

    Attributes
    ----------
    order
        [N]; None where every case is a group of its own, in their own order.
    first
        [N], true where a group begins, in that order.
    """

    order: IntArray | None
    first: NDArray[np.bool_]


def group_together(logits: FloatArray, groups: ArrayLike | Grouped | None) -> Grouped:
    """Put the cases [N] of each group together; an increasing map of the logits changes nothing."""
    if isinstance(groups, Grouped):
        return groups
    if groups is None:
        return Grouped(None, np.ones(logits.size, dtype=bool))
    owner = np.asarray(groups)
    order = np.lexsort((-logits, owner))
    ordered = owner[order]
    first = np.ones(owner.size, dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return Grouped(order, first)


def outcomes_together(
    logits: FloatArray, positive: NDArray[np.bool_], patients: ArrayLike | None
) -> Grouped:
    """Put the cases [N] of each patient that share a label together; None: each case alone."""
    groups = None if patients is None else 2 * cluster_codes(patients, logits.size) + positive
    return group_together(logits, groups)


def calibration_errors(
    logits: ArrayLike,
    labels: ArrayLike,
    rng: np.random.Generator,
    binnings: Sequence[Binning],
    *,
    patients: ArrayLike | Grouped | None = None,
    bins: int = DEFAULT_BINS,
    simulations: int = NULL_SIMULATIONS,
    level: float = 0.95,
) -> list[CalibrationError]:
    """Return the ECE with its null band for each binning; parameters as in `calibration_error`.

    `patients` may also be what `outcomes_together` made of them.
    """
    positive, row = checked_curve(labels, logits, "calibration")
    together = (
        patients if isinstance(patients, Grouped) else outcomes_together(row, positive, patients)
    )
    p = expit(row)
    found = []
    for binning in binnings:
        index, size = bin_index(p, bins, binning)
        null = _null_errors(p, index, size, together, rng, simulations)
        _, positives, mass = bin_sums(index, size, p, positive)
        value = float(np.abs(positives - mass).sum() / p.size)
        high = float(np.quantile(null, level))
        found.append(CalibrationError(value, float(null.mean()), high, bins, binning, level))
    return found


def calibration_error(
    logits: ArrayLike,
    labels: ArrayLike,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    bins: int = DEFAULT_BINS,
    binning: Binning = "equal_width",
    simulations: int = NULL_SIMULATIONS,
    level: float = 0.95,
) -> CalibrationError:
    """Return the ECE with its null band (see `CalibrationError`).

    With patients, cases of one patient that share a label count as one outcome, since two views
    of a breast are not two cancers; the band is then on the wide side.
    """
    (found,) = calibration_errors(
        logits,
        labels,
        rng,
        (binning,),
        patients=patients,
        bins=bins,
        simulations=simulations,
        level=level,
    )
    return found


def null_calibration_errors(
    logits: ArrayLike,
    rng: np.random.Generator,
    *,
    groups: ArrayLike | Grouped | None = None,
    bins: int = DEFAULT_BINS,
    binning: Binning = "equal_width",
    simulations: int = NULL_SIMULATIONS,
) -> FloatArray:
    """Return the ECE [simulations] of labels drawn from the predictions themselves.

    Only the number of positives in each bin matters. It is counted from simulated labels, but
    drawn from the normal distribution where its variance exceeds 100 (its skewness is then below
    0.1), so that a million cases cost no more than ten thousand. Bins are drawn independently.

    Parameters
    ----------
    groups
        [N] whole numbers, or what `group_together` made of them; the labels of a group follow
        from one random number, the strongest dependence that the probabilities allow. None draws
        every label by itself.
    """
    row = np.asarray(logits, dtype=np.float64)
    p = expit(row)
    index, size = bin_index(p, bins, binning)
    return _null_errors(p, index, size, group_together(row, groups), rng, simulations)


def _null_errors(
    p: FloatArray,
    index: IntArray,
    size: int,
    together: Grouped,
    rng: np.random.Generator,
    simulations: int,
) -> FloatArray:
    """Return the errors [simulations] of labels drawn from probabilities [N] in given bins."""
    if together.order is not None:
        p, index = p[together.order], index[together.order]
    # Bins rise with the probability, so that a group's cases in one bin stand together.
    first = together.first | (np.diff(index, prepend=index[:1]) != 0)
    run = np.cumsum(first) - 1
    starts = np.flatnonzero(first)
    sizes, bin_of = np.diff(starts, append=p.size), index[starts]
    variances = _variances_of_positives(p, index, run, starts, bin_of, size)
    largest = np.zeros(size, dtype=np.intp)
    np.maximum.at(largest, bin_of, sizes)
    total = np.zeros(simulations)
    for b in range(size):
        if not largest[b]:
            continue
        if variances[b] > _LARGE_VARIANCE * int(largest[b]) ** 2:
            total += np.abs(rng.normal(0.0, math.sqrt(variances[b]), simulations))
        else:
            inside = index == b
            codes = np.unique(run[inside], return_inverse=True)[1]
            drawn = _simulated_positives(p[inside], codes, simulations, rng)
            total += np.abs(drawn - p[inside].sum())
    return total / p.size


def debiased_l2(logits: ArrayLike, labels: ArrayLike, *, bins: int = DEFAULT_BINS) -> float:
    """Return the root of the debiased squared calibration error over bins of equal count.

    From each bin's squared gap its expectation under perfect calibration, s(1 - s)/(n - 1) with
    the bin's share of positives s, is taken away (Kumar 2019, definition 5.1); a negative total
    counts as 0. A bin of one case has no such estimate and is left out. Bins are those of the
    paper's package, see `equal_count_bins`.
    """
    positive, row = checked_curve(labels, logits, "calibration")
    index, size = equal_count_bins(row, bins)
    return math.sqrt(max(0.0, debiased_square(expit(row), positive, index, size)))


def debiased_square(
    p: FloatArray, positive: NDArray[np.bool_], index: IntArray, size: int
) -> float:
    """Return the debiased squared calibration error of probabilities [N] in given bins.

    About zero for a calibrated model, whatever the number of cases; it may be negative.
    """
    count, positives, mass = bin_sums(index, size, p, positive)
    some = count > 1
    n = count[some].astype(np.float64)
    share = positives[some] / n
    gaps = (share - mass[some] / n) ** 2 - share * (1.0 - share) / (n - 1.0)
    return float(np.sum(n * gaps) / p.size)


def equal_count_bins(values: FloatArray, bins: int) -> tuple[IntArray, int]:
    """Return the bin of each of N values [N] and the number of bins.

    The sorted values are cut into bins of N / bins values, the first N mod bins with one more;
    values that are equal belong to the lower bin. An increasing map of the values changes nothing.
    """
    if bins < 1:
        raise StatisticsError(f"calibration: {bins} bins; at least one is needed")
    ordered = np.sort(values)
    parts = min(bins, values.size)
    ends = np.cumsum(
        np.full(parts, values.size // parts) + (np.arange(parts) < values.size % parts)
    )
    edges = np.unique(ordered[ends[:-1] - 1])
    index = np.searchsorted(edges, values, side="left")
    return index, edges.size + 1


def reliability_curve(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    bins: int = DEFAULT_BINS,
    binning: Binning = "equal_width",
    level: float = 0.95,
) -> ReliabilityCurve:
    """Return the points and bars of a reliability diagram (see `ReliabilityCurve`)."""
    positive, row = checked_curve(labels, logits, "calibration")
    p = expit(row)
    edges = _edges(p, bins, binning)
    index = np.searchsorted(edges, p, side="left")
    count, positives, mass = bin_sums(index, edges.size + 1, p, positive)
    with np.errstate(invalid="ignore"):
        mean, observed = mass / count, positives / count
    ends = np.concatenate([[0.0], edges]), np.concatenate([edges, [1.0]])
    interval = wilson_interval(positives, count, level)
    return ReliabilityCurve(*ends, count, positives, mean, observed, *interval)


def bin_index(
    probabilities: FloatArray, bins: int, binning: Binning = "equal_width"
) -> tuple[IntArray, int]:
    """Return the bin of each probability and the number of bins (equal mass may merge some)."""
    edges = _edges(probabilities, bins, binning)
    return np.searchsorted(edges, probabilities, side="left"), edges.size + 1


def _edges(probabilities: FloatArray, bins: int, binning: Binning) -> FloatArray:
    """Return the inner edges; a probability on an edge belongs to the bin below it."""
    if bins < 1:
        raise StatisticsError(f"calibration: {bins} bins; at least one is needed")
    inner = np.arange(1, bins) / bins
    if binning == "equal_width":
        return inner
    return np.unique(np.quantile(probabilities, inner, method="inverted_cdf"))


def bin_sums(
    index: IntArray, size: int, p: FloatArray, positive: NDArray[np.bool_]
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return for each bin the cases, the positives and the sum of the probabilities."""
    return (
        np.bincount(index, minlength=size),
        np.bincount(index[positive], minlength=size),
        np.bincount(index, weights=p, minlength=size).astype(np.float64, copy=False),
    )


def _variances_of_positives(
    p: FloatArray,
    index: IntArray,
    run: IntArray,
    starts: IntArray,
    bin_of: IntArray,
    size: int,
) -> FloatArray:
    """Return the variance of the number of positives of each bin [size].

    A run [R] is a group within a bin, the largest probability first. Two labels of a run have the
    covariance min(p, q) - p q; for each case the terms min(p, q) with the larger probabilities of
    its run are its own p.
    """
    larger = np.arange(p.size) - starts[run]
    means = np.bincount(run, weights=p)
    joint = np.bincount(index, weights=p * (1.0 + 2.0 * larger), minlength=size)
    own = np.bincount(bin_of, weights=means**2, minlength=size)
    return np.asarray(joint - own, dtype=np.float64)


def _simulated_positives(
    p: FloatArray, codes: IntArray, simulations: int, rng: np.random.Generator
) -> FloatArray:
    groups, width = int(codes.max()) + 1, max(1, _CHUNK_ELEMENTS // p.size)
    counts = [
        np.count_nonzero(
            rng.random((min(width, simulations - start), groups))[:, codes] < p, axis=1
        )
        for start in range(0, simulations, width)
    ]
    return np.concatenate(counts).astype(np.float64)
