"""Bootstrap of ROC quantities: AUC, thresholds and what they do, from counts along sorted scores.

Each arm is sorted once. Multiplicities of the patients (`mammoshift.statistics.bootstrap`),
cumulated along the sorted negatives, give for every positive the resampled number of negatives
below it, and with that the AUC, the threshold at a specificity and the sensitivity there: O(N)
for each resample and arm, exact with ties, and every arm sees the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError
from mammoshift.statistics.bootstrap import (
    DEFAULT_RESAMPLES,
    CountArray,
    Strata,
    multiplicities,
    strata_of,
)
from mammoshift.statistics.inputs import FloatArray, IntArray, checked_cases


@dataclass(frozen=True)
class CurveReplicates:
    """Bootstrap replicates of K arms, all on the same B draws.

    Attributes
    ----------
    auc
        [K, B], in [0, 1].
    specificities
        The L wanted specificities.
    sensitivity, specificity, threshold
        [L, K, B]: at the threshold that each resample's own negatives ask for. A case is
        positive if its score reaches `threshold`, which is one of the arm's scores (or, where
        none is high enough, the next larger number).
    n_patients
        Patients that were resampled.
    """

    auc: FloatArray
    specificities: tuple[float, ...]
    sensitivity: FloatArray
    specificity: FloatArray
    threshold: FloatArray
    n_patients: int


def bootstrap_curves(
    labels: ArrayLike,
    scores: ArrayLike,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    specificities: Sequence[float] = (),
    resamples: int = DEFAULT_RESAMPLES,
) -> CurveReplicates:
    """Return bootstrap replicates of the AUC and of the sensitivities at given specificities.

    Parameters
    ----------
    labels
        [N], 0 or 1.
    scores
        [K, N] or [N], finite; only their order matters.
    rng
        Source of the draws, such as `mammoshift.statistics.seeding.generator_for`.
    patients
        [N]; None treats every case as its own patient.
    specificities
        Each in (0, 1]. In every resample the threshold is the smallest one at which that
        resample's negatives reach the specificity.
    resamples
        B.

    Raises
    ------
    StatisticsError
        If the input cannot be used; the message names the case.
    """
    _, matrix = checked_cases(labels, scores)
    strata = strata_of(labels, patients)
    wanted = tuple(checked_specificity(value) for value in specificities)
    arms = [_SortedArm.of(strata, row, bool(wanted)) for row in matrix]
    K, L = len(arms), len(wanted)
    auc = np.empty((K, resamples))
    sensitivity, specificity, threshold = (np.empty((L, K, resamples)) for _ in range(3))
    start = 0
    for drawn in multiplicities(strata, resamples, rng):
        chunk = slice(start, start + drawn.shape[1])
        for k, arm in enumerate(arms):
            counts = arm.counts(drawn)
            auc[k, chunk] = counts.auc()
            for level, value in enumerate(wanted):
                found = counts.at_specificity(value)
                threshold[level, k, chunk], specificity[level, k, chunk] = found[0], found[1]
                sensitivity[level, k, chunk] = found[2]
        start = chunk.stop
    return CurveReplicates(auc, wanted, sensitivity, specificity, threshold, strata.n_patients)


def bootstrap_at_thresholds(
    labels: ArrayLike,
    scores: ArrayLike,
    thresholds: FloatArray,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return sensitivity and specificity, resample by resample, each at a threshold of its own.

    With thresholds that come from a bootstrap of other cases (`CurveReplicates.threshold` of the
    validation cases) the spread holds the uncertainty of both samples.

    Parameters
    ----------
    labels, scores
        [N] of one arm.
    thresholds
        [B], one for each resample.

    Returns
    -------
    sensitivity, specificity
        [B].
    """
    _, matrix = checked_cases(labels, scores)
    if matrix.shape[0] != 1:
        raise StatisticsError(f"bootstrap at thresholds: one arm is expected, not {len(matrix)}")
    strata = strata_of(labels, patients)
    order = np.argsort(matrix[0], kind="stable")
    is_positive, codes, ordered = strata.positive[order], strata.codes[order], matrix[0][order]
    sensitivity, specificity = np.empty(thresholds.size), np.empty(thresholds.size)
    start = 0
    for drawn in multiplicities(strata, thresholds.size, rng):
        chunk = slice(start, start + drawn.shape[1])
        column = np.arange(drawn.shape[1])
        for chosen, is_above, out in (
            (is_positive, True, sensitivity),
            (~is_positive, False, specificity),
        ):
            cumulated = np.cumsum(drawn.take(codes[chosen], axis=0), axis=0)
            cumulated = np.vstack([np.zeros((1, column.size), cumulated.dtype), cumulated])
            position = np.searchsorted(ordered[chosen], thresholds[chunk], side="left")
            share = cumulated[position, column] / cumulated[-1]
            out[chunk] = 1.0 - share if is_above else share
        start = chunk.stop
    return sensitivity, specificity


def scores_above(ordered: FloatArray, values: FloatArray) -> FloatArray:
    """Return for each value the smallest of the sorted scores above it.

    Where there is none, the next larger floating-point number is returned.
    """
    position = np.searchsorted(ordered, values, side="right")
    beyond = position == ordered.size
    return np.where(
        beyond, np.nextafter(values, np.inf), ordered[np.minimum(position, ordered.size - 1)]
    )


def checked_specificity(specificity: float) -> float:
    """Return `specificity`, or raise `StatisticsError` when it is not in (0, 1]."""
    if not 0.0 < specificity <= 1.0:
        raise StatisticsError(f"the specificity is {specificity}; it must lie in (0, 1]")
    return float(specificity)


def negatives_needed(n_neg: ArrayLike, specificity: float) -> NDArray[np.int64]:
    """Return the smallest counts k with k / n_neg >= specificity in float64, elementwise.

    Comparing quotients keeps decimal fractions exact: 55 of 100 negatives are a specificity of
    0.55, although 0.55 * 100 exceeds 55 in floating point.
    """
    n = np.asarray(n_neg, dtype=np.float64)
    k = np.ceil(specificity * n)
    k = np.where((k - 1.0) / n >= specificity, k - 1.0, k)
    return np.where(k / n < specificity, k + 1.0, k).astype(np.int64)


@dataclass(frozen=True)
class _SortedArm:
    """One arm's cases in the order of their scores, as far as resamples need it.

    `thresholds[j]` is the smallest score of any case above the j-th sorted negative;
    `below[i]` and `upto[i]` are the numbers of negatives with a score below, and not above, that
    of the i-th sorted positive; `group_end[j]` is the last sorted negative tied with the j-th;
    `positives_upto[j]` the number of positives that do not exceed the j-th sorted negative.
    """

    positive_patients: IntArray
    negative_patients: IntArray
    thresholds: FloatArray
    below: IntArray
    upto: IntArray
    tied: bool
    group_end: IntArray
    positives_upto: IntArray

    @classmethod
    def of(cls, strata: Strata, scores: FloatArray, thresholds: bool) -> _SortedArm:
        order = np.argsort(scores, kind="stable")
        is_positive = strata.positive[order]
        codes = strata.codes[order]
        positives, negatives = scores[order[is_positive]], scores[order[~is_positive]]
        below = np.searchsorted(negatives, positives, side="left")
        upto = np.searchsorted(negatives, positives, side="right")
        none = np.empty(0, dtype=np.intp)
        return cls(
            codes[is_positive],
            codes[~is_positive],
            scores_above(scores[order], negatives) if thresholds else np.empty(0),
            below,
            upto,
            bool((below != upto).any()),
            np.searchsorted(negatives, negatives, side="right") - 1 if thresholds else none,
            np.searchsorted(positives, negatives, side="right") if thresholds else none,
        )

    def counts(self, drawn: CountArray) -> _Counts:
        return _Counts(self, drawn)


class _Counts:
    """One arm's cumulated counts in a chunk of b resamples."""

    def __init__(self, arm: _SortedArm, drawn: CountArray) -> None:
        self._arm = arm
        self._positives = drawn.take(arm.positive_patients, axis=0)
        n, b = arm.negative_patients.size, drawn.shape[1]
        self._negatives_upto = np.empty((n + 1, b), dtype=np.int32)
        self._negatives_upto[0] = 0
        np.cumsum(drawn.take(arm.negative_patients, axis=0), axis=0, out=self._negatives_upto[1:])
        self._n_neg = self._negatives_upto[-1].astype(np.float64)
        self._n_pos = self._positives.sum(axis=0, dtype=np.float64)

    def auc(self) -> FloatArray:
        beaten = self._negatives_upto.take(self._arm.below, axis=0)
        if self._arm.tied:
            beaten += self._negatives_upto.take(self._arm.upto, axis=0)
        # Sums of whole numbers stay exact in float64 below 2^53.
        total = np.einsum("ib,ib->b", self._positives, beaten, dtype=np.float64, casting="safe")
        return total / ((2.0 if self._arm.tied else 1.0) * self._n_pos * self._n_neg)

    def at_specificity(self, wanted: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        arm, cumulated = self._arm, self._negatives_upto[1:]
        needed = negatives_needed(self._n_neg, wanted)
        reached = (cumulated < needed).sum(axis=0)
        column = np.arange(cumulated.shape[1])
        specificity = cumulated[arm.group_end[reached], column] / self._n_neg
        positives_upto = np.vstack(
            [np.zeros((1, column.size), dtype=np.int64), np.cumsum(self._positives, axis=0)]
        )
        missed = positives_upto[arm.positives_upto[reached], column]
        return arm.thresholds[reached], specificity, 1.0 - missed / self._n_pos
