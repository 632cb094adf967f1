"""Patient bootstrap of ROC quantities by counts: scores are sorted once, never per resample.

A resample is a vector of multiplicities: how often each patient was drawn. Cumulated along the
sorted negatives it gives, for every positive, the resampled number of negatives below it, and
with that the AUC, the threshold at a specificity and the sensitivity there: O(N) for each
resample and arm, exact with ties, and every arm sees the same draws.

Patients are drawn with replacement within three strata: patients with positive cases only, with
negative cases only, and mixed patients (such as one cancerous and one healthy breast). Each
stratum keeps its number of patients, so a resample always holds both classes; with mixed
patients or several images per patient the numbers of cases vary, as they would in a new sample.
Without patient identifiers every case counts as its own patient.

References
----------
Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13 (clusters,
percentile interval). Rutter 2000, Academic Radiology 7:413 (patient bootstrap of ROC measures).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError
from mammoshift.statistics.inputs import FloatArray, IntArray, checked_cases, cluster_codes
from mammoshift.statistics.proportions import checked_level

DEFAULT_RESAMPLES = 2000
CountArray = NDArray[np.int32]

_CHUNK_ELEMENTS = 150_000
"""Cases times resamples that are held at once: counts that stay in a processor's cache."""
_SMALLEST_CHUNK, _LARGEST_CHUNK = 8, 128


@dataclass(frozen=True)
class Strata:
    """The patients of one set of cases, grouped as they are resampled.

    Attributes
    ----------
    positive
        [N], the class of each case.
    codes
        [N], the patient of each case as 0 .. n_patients - 1.
    members
        Patient codes of each stratum that is not empty: positive only, negative only, mixed.
    n_patients
        Number of patients.
    clustered
        False when every patient has one case.
    """

    positive: NDArray[np.bool_]
    codes: IntArray
    members: tuple[IntArray, ...]
    n_patients: int
    clustered: bool

    @property
    def note(self) -> str:
        """Say when a stratum of one patient makes the interval too narrow; else empty."""
        alone = sum(1 for group in self.members if group.size == 1)
        return (
            f"{alone} stratum of the patient bootstrap has one patient, who never varies"
            if alone
            else ""
        )


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


def strata_of(labels: ArrayLike, patients: ArrayLike | None = None) -> Strata:
    """Group the patients of N cases for resampling.

    Parameters
    ----------
    labels
        [N], 0 or 1.
    patients
        [N], identifiers; None when every case is its own patient.

    Raises
    ------
    StatisticsError
        If a label is neither 0 nor 1, a class is empty, or a patient is missing.
    """
    positive, _ = checked_cases(labels, np.zeros(np.shape(labels)))
    N = positive.size
    for present, name in ((positive.any(), "positive"), ((~positive).any(), "negative")):
        if not present:
            raise StatisticsError(f"bootstrap: there is no {name} case among {N}")
    codes = np.arange(N, dtype=np.intp) if patients is None else cluster_codes(patients, N)
    size = int(codes.max()) + 1
    has_positive = np.bincount(codes[positive], minlength=size) > 0
    has_negative = np.bincount(codes[~positive], minlength=size) > 0
    groups = (
        has_positive & ~has_negative,
        has_negative & ~has_positive,
        has_positive & has_negative,
    )
    members = tuple(np.flatnonzero(group) for group in groups if group.any())
    return Strata(positive, codes, members, size, size < N)


def multiplicities(
    strata: Strata, resamples: int, rng: np.random.Generator
) -> Iterator[CountArray]:
    """Yield chunks [n_patients, b] of how often each patient is drawn; the b sum to `resamples`.

    Each stratum has its own child of `rng`, so the draws do not depend on the size of a chunk.
    Memory is bounded, whatever the number of patients and resamples.
    """
    if resamples < 1:
        raise StatisticsError(f"bootstrap: {resamples} resamples; at least one is needed")
    streams = rng.spawn(len(strata.members))
    width = min(_LARGEST_CHUNK, max(_SMALLEST_CHUNK, _CHUNK_ELEMENTS // strata.codes.size))
    for start in range(0, resamples, width):
        count = min(width, resamples - start)
        drawn = np.empty((strata.n_patients, count), dtype=np.int32)
        for group, stream in zip(strata.members, streams, strict=True):
            drawn[group] = _drawn_counts(group.size, count, stream)
        yield drawn


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


def bootstrap_sums(
    strata: Strata,
    values: FloatArray,
    rng: np.random.Generator,
    *,
    resamples: int = DEFAULT_RESAMPLES,
) -> FloatArray:
    """Return the sums of case values over each resample.

    Parameters
    ----------
    values
        [N, J], for instance indicators of the four cells of a confusion matrix.

    Returns
    -------
    NDArray
        [B, J].
    """
    by_patient = np.stack(
        [
            np.bincount(strata.codes, weights=column, minlength=strata.n_patients)
            for column in values.T
        ]
    ).astype(np.float64, copy=False)
    return np.concatenate(
        [(by_patient @ drawn).T for drawn in multiplicities(strata, resamples, rng)]
    )


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


def percentile_interval(
    replicates: FloatArray, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return the percentile interval along the last axis (Efron and Tibshirani 1993, eq. 13.5)."""
    tail = (1.0 - checked_level(level)) / 2.0
    low, high = np.quantile(replicates, [tail, 1.0 - tail], axis=-1)
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


def is_degenerate(replicates: FloatArray) -> bool:
    """Return whether all replicates agree, so that their spread says nothing."""
    return bool(np.ptp(replicates) <= 1e-12)


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


def resamples_text(resamples: int) -> str:
    """Return the name of the method for a result table, such as `patient_bootstrap_2000`."""
    return f"patient_bootstrap_{resamples}"


def _drawn_counts(size: int, count: int, rng: np.random.Generator) -> CountArray:
    """Return [size, count]: draws with replacement of `size` members, counted, `count` times."""
    picked = rng.integers(0, size, size=(count, size))
    picked += (np.arange(count) * size)[:, None]
    counted = np.bincount(picked.ravel(), minlength=size * count)
    return counted.reshape(count, size).T.astype(np.int32)


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
