"""How well k labelled local patients restore calibration and the operating point.

A site labels the cases of k patients, fits a temperature or Platt's two parameters and chooses
a threshold on them. Here that is played many times: patients are put into a random order, the
first k are the site's, and the last half of the order is held back and measured. The same order
serves every k and the state before any label, so that all are judged on the same cases of each
draw and differ by the labels alone. Where the k patients do not allow a fit (no positive, a
reversed slope, a temperature at its limit), the site keeps what it had; how often that happens is
reported, and how often the result was worse than no local label.

The band of a point holds 95 % of the draws: it says how much depends on which k patients of this
target are labelled and which are held back. It is not the uncertainty of the mean, and not a
prediction for another hospital: all draws share the patients of one target, whose own sampling it
leaves out (of fresh sites of the same population 56 to 72 % lay inside such a band).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError
from mammoshift.statistics.bootstrap_curves import checked_specificity, negatives_needed
from mammoshift.statistics.calibration_error import (
    DEFAULT_BINS,
    bin_index,
    debiased_square,
    equal_count_bins,
)
from mammoshift.statistics.inputs import FloatArray, IntArray, checked_cases, cluster_codes
from mammoshift.statistics.logistic_fits import at_limit, platt_of, temperatures_of
from mammoshift.statistics.proportions import checked_level

DEFAULT_SIZES = (10, 25, 50, 100, 200)
DEFAULT_DRAWS = 200

_CHUNK_ELEMENTS = 2_000_000

Method = Literal["none", "temperature", "platt", "transferred_threshold", "local_threshold"]
Metric = Literal["nll", "brier", "ece", "debiased_l2", "sensitivity", "specificity"]

CALIBRATION_METRICS: tuple[Metric, ...] = ("nll", "brier", "ece", "debiased_l2")
THRESHOLD_METRICS: tuple[Metric, ...] = ("sensitivity", "specificity")


@dataclass(frozen=True)
class BudgetPoint:
    """One measure on the patients held back after spending k labelled patients.

    Attributes
    ----------
    patients
        k; 0 is the state before any local label, on the same cases held back.
    method
        `none` and `transferred_threshold` at k = 0; `temperature`, `platt` and
        `local_threshold` above.
    metric
        `nll`, `brier`, `ece`, `debiased_l2` (see `mammoshift.statistics.calibration`),
        `sensitivity` or `specificity`. The `ece` is biased upwards by the number of cases held
        back, the same for every k; `debiased_l2` does not depend on it.
    mean, low, high
        Over the draws; `low` and `high` are the quantiles that hold `level` of the draws. Of
        `debiased_l2` they are the roots of those of its square, a negative one counting as 0.
    mean_se
        Monte-Carlo standard error of the mean; None for `debiased_l2`.
    draws
        Draws that count: where a class is missing among those held back, none of its measures
        exists.
    failed
        Share of all draws in which no fit was possible and the earlier state was kept.
    worse
        Share of the draws in which this measure of calibration was worse than at k = 0 on the
        same cases; None at k = 0 and for sensitivity and specificity.
    """

    patients: int
    method: Method
    metric: Metric
    mean: float
    low: float
    high: float
    mean_se: float | None
    draws: int
    failed: float
    worse: float | None = None


@dataclass(frozen=True)
class RecalibrationBudget:
    """All points, and the sizes left out because they exceed half of the patients.

    `held_back` of the `n_patients` were measured in every draw.
    """

    points: tuple[BudgetPoint, ...]
    n_patients: int
    held_back: int
    left_out: tuple[int, ...]


def recalibration_budget(
    logits: ArrayLike,
    labels: ArrayLike,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    sizes: Sequence[int] = DEFAULT_SIZES,
    draws: int = DEFAULT_DRAWS,
    specificity: float = 0.95,
    transferred_threshold: float | None = None,
    level: float = 0.95,
) -> RecalibrationBudget:
    """Return how well local labels restore calibration and the operating point.

    Parameters
    ----------
    logits
        [N], finite, as the source's model (with whatever source calibration) gives them.
    labels
        [N], 0 or 1; both must occur.
    rng
        Source of the draws.
    patients
        [N]; a labelled patient brings all of its cases. None: every case is its own patient.
    sizes
        Numbers k of labelled patients, at least 2 each.
    draws
        Random orders of the patients.
    specificity
        That the local threshold is chosen for.
    transferred_threshold
        The source's threshold on the logits: what a site uses at k = 0 and keeps where its
        labelled patients hold no negative case. Without it those draws do not count.
    level
        Share of the draws between `low` and `high`.

    Raises
    ------
    StatisticsError
        If the input cannot be used.
    """
    wanted = checked_specificity(specificity)
    positive, row, codes = _checked(logits, labels, patients)
    n_patients = int(codes.max()) + 1
    if draws < 2:
        raise StatisticsError(f"recalibration budget: {draws} draws; at least 2 are needed")
    too_small = [size for size in sizes if size < 2]
    if too_small:
        raise StatisticsError(f"recalibration budget: size {too_small[0]} is below 2 patients")
    used = tuple(sorted({size for size in sizes if 2 * size <= n_patients}))
    left_out = tuple(sorted({size for size in sizes if 2 * size > n_patients}))
    half = n_patients // 2
    collected: dict[tuple[int, Method, Metric], list[FloatArray]] = {}
    failures: dict[tuple[int, Method], int] = {}
    for order in _orders(row, positive, codes, n_patients, draws, rng, half):
        for size in (0, *used):
            found = (
                _before(order, transferred_threshold)
                if size == 0
                else _one_size(order, size, wanted, transferred_threshold)
            )
            for method, failed, values in found:
                failures[size, method] = failures.get((size, method), 0) + failed
                for metric, measured in values.items():
                    collected.setdefault((size, method, metric), []).append(measured)
    points = []
    for (size, method, metric), parts in collected.items():
        values = np.concatenate(parts)
        known = np.isfinite(values)
        if np.count_nonzero(known) < 2:
            continue
        worse = None
        if size and metric in CALIBRATION_METRICS:
            before = np.concatenate(collected[0, "none", metric])
            worse = float(np.mean(values[known] > before[known] + 1e-12))
        failed = failures[size, method] / draws
        points.append(_point(size, method, metric, values[known], failed, level, worse))
    points.sort(key=lambda point: point.patients)
    return RecalibrationBudget(tuple(points), n_patients, n_patients - half, left_out)


@dataclass(frozen=True)
class _Order:
    """Cases [d, N] in the order in which d draws label their patients.

    `place` is the place of a case's patient in that order, from 0; `held_back` [d, N] tells the
    cases that are measured, and `bins` [d, N] the bins of equal count among them.
    """

    logits: FloatArray
    positive: NDArray[np.bool_]
    place: IntArray
    held_back: NDArray[np.bool_]
    bins: IntArray


def _orders(
    logits: FloatArray,
    positive: NDArray[np.bool_],
    codes: IntArray,
    n_patients: int,
    draws: int,
    rng: np.random.Generator,
    half: int,
) -> Iterator[_Order]:
    width = max(1, _CHUNK_ELEMENTS // logits.size)
    for start in range(0, draws, width):
        count = min(width, draws - start)
        places = rng.permuted(np.tile(np.arange(n_patients), (count, 1)), axis=1)
        place = places[:, codes]
        order = np.argsort(place, axis=1, kind="stable")
        place = np.take_along_axis(place, order, axis=1)
        held_back, ordered = place >= half, logits[order]
        bins = np.zeros(place.shape, dtype=np.intp)
        for d in range(count):
            # Every map rises, so that the bins of equal count are the same for all of them.
            own = held_back[d]
            bins[d, own] = equal_count_bins(ordered[d, own], DEFAULT_BINS)[0]
        yield _Order(ordered, positive[order], place, held_back, bins)


def _one_size(
    order: _Order, size: int, specificity: float, transferred_threshold: float | None
) -> Iterator[tuple[Method, int, dict[Metric, FloatArray]]]:
    """Yield for each method the failures and the measures [d] on those held back."""
    local = order.place < size
    columns = int(local.sum(axis=1).max())
    z, y, mine = order.logits[:, :columns], order.positive[:, :columns], local[:, :columns]
    weights = mine.astype(np.float64)
    scales, no_temperature = temperatures_of(np.where(mine, z, 0.0), y)
    n_pos = (mine & y).sum(axis=1)
    no_temperature |= (n_pos == 0) | (n_pos == mine.sum(axis=1)) | at_limit(scales)
    scales = np.where(no_temperature, 1.0, scales)
    yield (
        "temperature",
        int(no_temperature.sum()),
        _calibration(order, scales, np.zeros(len(scales))),
    )
    intercepts, slopes, no_line = platt_of(z, y, weights)
    yield "platt", int(no_line.sum()), _calibration(order, slopes, intercepts)
    thresholds, no_threshold = _local_thresholds(z, y, mine, specificity)
    kept = math.nan if transferred_threshold is None else transferred_threshold
    thresholds = np.where(no_threshold, kept, thresholds)
    yield "local_threshold", int(no_threshold.sum()), _rates(order, thresholds)


def _calibration(order: _Order, scales: FloatArray, shifts: FloatArray) -> dict[Metric, FloatArray]:
    rest = order.held_back
    logits = scales[:, None] * order.logits + shifts[:, None]
    count = rest.sum(axis=1)
    # One exponential serves probability and likelihood; neither overflows.
    small = np.exp(-np.abs(logits))
    p = np.where(logits >= 0.0, 1.0, small) / (1.0 + small)
    gap = np.where(rest, p - order.positive, 0.0)
    wrong_side = np.where(order.positive, -logits, logits)
    loss = np.log1p(small) + np.maximum(wrong_side, 0.0)
    nll = np.einsum("dn,dn->d", loss, rest.astype(np.float64)) / count
    brier = np.einsum("dn,dn->d", gap, gap) / count
    index, bins = bin_index(p.ravel(), DEFAULT_BINS)
    cell = index.reshape(p.shape) + bins * np.arange(len(p))[:, None]
    gaps = np.bincount(cell.ravel(), weights=gap.ravel(), minlength=bins * len(p))
    ece = np.abs(gaps.reshape(len(p), bins)).sum(axis=1) / count
    squares = np.array(
        [
            debiased_square(p[d, own], order.positive[d, own], order.bins[d, own], DEFAULT_BINS)
            for d, own in enumerate(rest)
        ]
    )
    return {"nll": nll, "brier": brier, "ece": ece, "debiased_l2": squares}


def _local_thresholds(
    logits: FloatArray, positive: NDArray[np.bool_], mine: NDArray[np.bool_], specificity: float
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return each draw's smallest observed score that reaches the specificity."""
    negatives = np.sort(np.where(mine & ~positive, logits, np.inf), axis=1)
    n_neg = (mine & ~positive).sum(axis=1)
    failed = n_neg == 0
    needed = negatives_needed(np.maximum(n_neg, 1), specificity)
    last = negatives[np.arange(len(logits)), needed - 1]
    above = np.where(mine & (logits > last[:, None]), logits, np.inf).min(axis=1)
    return np.where(np.isfinite(above), above, np.nextafter(last, np.inf)), failed


def _rates(order: _Order, thresholds: FloatArray) -> dict[Metric, FloatArray]:
    rest = order.held_back
    called = order.logits >= thresholds[:, None]
    positive, negative = rest & order.positive, rest & ~order.positive
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity = (called & positive).sum(axis=1) / positive.sum(axis=1)
        specificity = (~called & negative).sum(axis=1) / negative.sum(axis=1)
    unknown = np.isnan(thresholds)
    return {
        "sensitivity": np.where(unknown, np.nan, sensitivity),
        "specificity": np.where(unknown, np.nan, specificity),
    }


def _before(
    order: _Order, threshold: float | None
) -> Iterator[tuple[Method, int, dict[Metric, FloatArray]]]:
    """Yield the measures [d] without local labels, on the same cases held back."""
    size = len(order.logits)
    yield "none", 0, _calibration(order, np.ones(size), np.zeros(size))
    if threshold is not None:
        yield "transferred_threshold", 0, _rates(order, np.full(size, threshold))


def _point(
    size: int,
    method: Method,
    metric: Metric,
    values: FloatArray,
    failed: float,
    level: float,
    worse: float | None,
) -> BudgetPoint:
    tail = (1.0 - checked_level(level)) / 2.0
    mean, low, high = (float(x) for x in (values.mean(), *np.quantile(values, [tail, 1.0 - tail])))
    mean_se: float | None = float(values.std(ddof=1) / math.sqrt(values.size))
    if metric == "debiased_l2":
        mean, low, high = (math.sqrt(max(0.0, x)) for x in (mean, low, high))
        mean_se = None
    return BudgetPoint(size, method, metric, mean, low, high, mean_se, values.size, failed, worse)


def _checked(
    logits: ArrayLike, labels: ArrayLike, patients: ArrayLike | None
) -> tuple[NDArray[np.bool_], FloatArray, IntArray]:
    positive, matrix = checked_cases(labels, logits)
    if matrix.shape[0] != 1:
        raise StatisticsError(f"recalibration budget: one arm is expected, not {len(matrix)}")
    if positive.all() or not positive.any():
        missing = "negative" if positive.all() else "positive"
        raise StatisticsError(f"recalibration budget: there is no {missing} case")
    N = positive.size
    codes = np.arange(N, dtype=np.intp) if patients is None else cluster_codes(patients, N)
    return positive, matrix[0], codes
