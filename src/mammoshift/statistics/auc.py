"""Area under the ROC curve for many curves at once, with their full covariance.

Every curve is sorted once. The number of negatives below a positive, and of positives above a
negative, follows from the pooled order, so K curves on N cases cost O(K N log N + K^2 N).

Symbols: m positives, n negatives; the placement value of a positive is the share of negatives
that it beats (V10), that of a negative the share of positives that beat it (V01), ties counting
one half. The mean of either is the AUC.

References
----------
DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837, equations 3-6 (V10, V01, S10, S01).
Sun and Xu 2014, IEEE Signal Processing Letters 21:1389 (placements by ranks).
Obuchowski 1997, Biometrics 53:567 (clustered covariance).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.score_interval import score_interval
from mammoshift.statistics.variance_parts import (
    VariancePart,
    degrees_of_freedom,
    effective_number,
)

IntervalMethod = Literal["auto", "score", "logit_t", "logit", "wald"]
INTERVAL_METHODS: tuple[IntervalMethod, ...] = ("auto", "score", "logit_t", "logit", "wald")
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

FEW_CASES = 20
FEW_CLUSTERS = 20


class Flag(StrEnum):
    """What a reader must know of an estimate; the value is the text that goes into a `note`."""

    NO_POSITIVE = "undefined: there is no positive case"
    NO_NEGATIVE = "undefined: there is no negative case"
    ONE_POSITIVE = "variance undefined: there is only one positive case"
    ONE_NEGATIVE = "variance undefined: there is only one negative case"
    ONE_POSITIVE_CLUSTER = "variance undefined: all positives belong to one patient"
    ONE_NEGATIVE_CLUSTER = "variance undefined: all negatives belong to one patient"
    CONSTANT_SCORES = "degenerate: all scores are equal"
    PERFECT_SEPARATION = (
        "degenerate: the classes are separated perfectly, so the variance estimate is zero"
    )
    ZERO_VARIANCE = "degenerate: the variance estimate is zero"
    FEW_CASES = f"fewer than {FEW_CASES} cases of one class: only the score interval holds"
    FEW_CLUSTERS = f"fewer than {FEW_CLUSTERS} patients of one class: only the score interval holds"


@dataclass(frozen=True, kw_only=True)
class CurveEstimates:
    """What is known of a summary of K curves on the same cases beside its values.

    Attributes
    ----------
    covariance
        [K, K]; all NaN when the variance is undefined (which depends on the labels and clusters
        alone, so it holds for every curve or for none).
    n, n_pos, n_neg
        Cases.
    n_clusters
        Patients; equal to `n` when no clusters were given.
    patients_pos, patients_neg
        Patients with a positive, and with a negative case.
    independence_assumed
        True when no clusters were given, so that every case counts as its own patient.
    flags
        For each curve what limits its estimate; empty where nothing does.
    parts
        The covariance as a sum of independent parts with their degrees of freedom; empty when it
        is undefined.
    """

    covariance: FloatArray
    n: int
    n_pos: int
    n_neg: int
    n_clusters: int
    patients_pos: int
    patients_neg: int
    independence_assumed: bool
    flags: tuple[tuple[Flag, ...], ...]
    parts: tuple[VariancePart, ...] = ()

    @property
    def se(self) -> FloatArray:
        """Standard errors, [K]; NaN where undefined."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def few(self) -> bool:
        """Whether one class has so few patients that only the score interval holds."""
        return min(self.patients_pos, self.patients_neg) < FEW_CLUSTERS

    @property
    def notes(self) -> tuple[str, ...]:
        """The flags of each curve as one text, empty where there are none."""
        return tuple("; ".join(flags) for flags in self.flags)


@dataclass(frozen=True, kw_only=True)
class AucEstimate(CurveEstimates):
    """AUC of K curves on the same cases.

    Attributes
    ----------
    auc
        [K], in [0, 1]; NaN where undefined, and then `flags` says why.
    """

    auc: FloatArray


@dataclass(frozen=True)
class Intervals:
    """Two-sided intervals of K estimates: `low` and `high` are [K], NaN where undefined.

    `method` is the one that was used, where `auto` was asked for too.
    """

    low: FloatArray
    high: FloatArray
    level: float
    method: IntervalMethod


@dataclass(frozen=True)
class Placements:
    """Placement values of K curves, positives first.

    Attributes
    ----------
    auc
        [K], in [0, 1].
    positives, negatives
        V10 - AUC, [K, m], and V01 - AUC, [K, n], each class in the order of the cases.
    constant
        [K], true where all scores of a curve are equal.
    """

    auc: FloatArray
    positives: FloatArray
    negatives: FloatArray
    constant: NDArray[np.bool_]


def auc_covariance(
    labels: ArrayLike, scores: ArrayLike, clusters: ArrayLike | None = None
) -> AucEstimate:
    """Return the AUC of every curve and the covariance between all of them.

    Without clusters this is C = S10/m + S01/n (DeLong 1988). With clusters it is the estimator
    of Obuchowski 1997, which allows the cases of one patient to be dependent and equals DeLong's
    when every patient has one case. Label 1 is positive and a higher score is more suspicious;
    an AUC below 0.5 is never turned round.

    Parameters
    ----------
    labels
        [N], 0 or 1.
    scores
        [K, N] or [N], finite, any scale: only the order matters.
    clusters
        [N] patient identifiers (integers or text), or None when the cases are independent.

    Returns
    -------
    AucEstimate
        With fewer than two cases, or clusters, of a class the covariance is NaN and flagged;
        with none the AUC is NaN too.

    Raises
    ------
    StatisticsError
        If shapes differ, a label is neither 0 nor 1, a score is not finite, or a cluster is
        missing.
    """
    positive, matrix = checked_cases(labels, scores)
    codes = None if clusters is None else cluster_codes(clusters, positive.size)
    m = int(np.count_nonzero(positive))
    n = positive.size - m
    undefined = undefined_flags(positive, codes)
    parts: tuple[VariancePart, ...] = ()
    K = matrix.shape[0]
    if m == 0 or n == 0:
        auc, covariance = np.full(K, np.nan), np.full((K, K), np.nan)
        constant = np.zeros(K, dtype=bool)
    else:
        placed = placements(positive, matrix)
        auc, constant = placed.auc, placed.constant
        covariance = np.full((K, K), np.nan)
        if not undefined:
            parts = two_class_parts(placed.positives, placed.negatives, positive, codes)
            covariance = sum_of_parts(parts)
    described = describe_curves(auc, covariance, constant, positive, codes, parts)
    return AucEstimate(auc=auc, **vars(described))


def describe_curves(
    values: FloatArray,
    covariance: FloatArray,
    constant: NDArray[np.bool_],
    positive: NDArray[np.bool_],
    codes: IntArray | None,
    parts: tuple[VariancePart, ...] = (),
) -> CurveEstimates:
    """Return what is to be known of a summary of K curves beside its values.

    Parameters
    ----------
    values, covariance
        [K] and [K, K]; NaN where undefined.
    constant
        [K], true where all scores of a curve are equal.
    positive, codes
        [N] labels, and patients as `cluster_codes` numbers them or None.
    """
    n_pos = int(np.count_nonzero(positive))
    undefined = undefined_flags(positive, codes)
    warnings = () if undefined else size_warnings(positive, codes)
    sides = (
        [n_pos, positive.size - n_pos]
        if codes is None
        else [int(np.count_nonzero(np.bincount(codes[side]))) for side in (positive, ~positive)]
    )
    own = map(degenerate_flags, values, np.diag(covariance), constant.tolist())
    return CurveEstimates(
        covariance=covariance,
        n=positive.size,
        n_pos=n_pos,
        n_neg=positive.size - n_pos,
        n_clusters=positive.size if codes is None else int(codes.max(initial=-1)) + 1,
        patients_pos=sides[0],
        patients_neg=sides[1],
        independence_assumed=codes is None,
        flags=tuple((*undefined, *flags, *warnings) for flags in own),
        parts=parts,
    )


def auc_intervals(
    estimate: AucEstimate, level: float = 0.95, method: IntervalMethod = "logit"
) -> Intervals:
    """Return an interval for each AUC.

    `logit` is symmetric in log(A / (1 - A)) with standard error se / (A (1 - A)); it stays within
    (0, 1). `logit_t` is the same with Student's t and the degrees of freedom of the variance.
    `score` (see `score_interval`) is the one for fewer than 20 patients of a class. `auto` is
    `score` there and `logit_t` elsewhere. `wald` is A +- c se, cut at 0 and 1, for comparison with
    other software. A curve with constant scores has the interval [0.5, 0.5]; any other curve whose
    variance estimate is zero has none (NaN), but for `score`.
    """
    used = method if method != "auto" else "score" if estimate.few else "logit_t"
    if used != "score":
        return intervals(estimate.auc, estimate, level, used)
    patients = estimate.patients_pos, estimate.patients_neg
    low, high = np.empty_like(estimate.auc), np.empty_like(estimate.auc)
    dfs = _degrees_of_freedom(estimate)
    for k, (value, variance) in enumerate(
        zip(estimate.auc, np.diag(estimate.covariance), strict=True)
    ):
        low[k], high[k] = score_interval(value, variance, patients, dfs[k], level)
        if Flag.CONSTANT_SCORES in estimate.flags[k] and np.isfinite(variance):
            low[k] = high[k] = value
    return Intervals(low, high, level, "score")


def intervals(
    values: FloatArray, estimate: CurveEstimates, level: float, method: IntervalMethod
) -> Intervals:
    """Return the intervals of K areas [K] by the rules of `auc_intervals`, `score` excepted."""
    se = estimate.se
    c = np.full(values.shape, critical_value(level))
    if method == "logit_t":
        c = np.array([critical_value(level, df) for df in _degrees_of_freedom(estimate)])
    if method == "wald":
        low, high = np.maximum(values - c * se, 0.0), np.minimum(values + c * se, 1.0)
    else:
        low, high = logit_interval(values, se, c)
    for k, flagged in enumerate(estimate.flags):
        if Flag.CONSTANT_SCORES in flagged and np.isfinite(se[k]):
            low[k] = high[k] = values[k]
        elif Flag.PERFECT_SEPARATION in flagged or Flag.ZERO_VARIANCE in flagged:
            low[k] = high[k] = np.nan
    return Intervals(low, high, level, method)


def _degrees_of_freedom(estimate: CurveEstimates) -> list[float]:
    return [degrees_of_freedom(estimate.parts, own) for own in np.eye(len(estimate.flags))]


def logit_interval(
    estimate: FloatArray, se: FloatArray, critical: float | FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the ends of estimate +- critical * se on the logit scale; NaN outside (0, 1)."""
    inside = (estimate > 0.0) & (estimate < 1.0)
    safe = np.where(inside, estimate, 0.5)
    centre = np.log(safe) - np.log1p(-safe)
    half = critical * se / (safe * (1.0 - safe))
    low, high = (0.5 + 0.5 * np.tanh(0.5 * (centre + side)) for side in (-half, half))
    return np.where(inside, low, np.nan), np.where(inside, high, np.nan)


def placements(positive: NDArray[np.bool_], scores: FloatArray) -> Placements:
    """Return the centred placement values of every curve; both classes must have a case.

    Parameters
    ----------
    positive
        [N], true for a positive case.
    scores
        [K, N], finite.
    """
    K, N = scores.shape
    columns = np.concatenate([np.flatnonzero(positive), np.flatnonzero(~positive)])
    m = int(np.count_nonzero(positive))
    n = N - m
    values, auc, constant = np.empty((K, N)), np.empty(K), np.empty(K, dtype=bool)
    for k in range(K):
        constant[k] = _twice_beaten(scores[k][columns], m, values[k])
        # The sum of whole numbers is exact below 2^53, that is for m n below 4.5e15.
        auc[k] = values[k, :m].sum() / (2.0 * m * n)
    values[:, :m] /= 2.0 * n
    values[:, m:] /= 2.0 * m
    values -= auc[:, None]
    return Placements(auc, values[:, :m], values[:, m:], constant)


def two_class_parts(
    positives: FloatArray,
    negatives: FloatArray,
    positive: NDArray[np.bool_],
    codes: IntArray | None,
) -> tuple[VariancePart, ...]:
    """Return the covariance of K statistics that are means over positives and over negatives.

    Parameters
    ----------
    positives, negatives
        [K, m] and [K, n], each case's centred contribution (for the AUC V10 - A and V01 - A).
    positive
        [N], which case is positive.
    codes
        [N] clusters as 0, 1, 2, ..., or None for independent cases (DeLong 1988).

    Returns
    -------
    tuple of VariancePart
        They sum to the covariance: that of positives and of negatives, or with clusters that of
        patients with positive cases only, negative cases only, and both.
    """
    m, n = positives.shape[1], negatives.shape[1]
    if codes is None:
        return (
            VariancePart(positives @ positives.T / (m - 1) / m, m - 1),
            VariancePart(negatives @ negatives.T / (n - 1) / n, n - 1),
        )
    return clustered_parts(positives / m, negatives / n, codes[positive], codes[~positive])


def sum_of_parts(parts: tuple[VariancePart, ...]) -> FloatArray:
    """Return the covariance [K, K] that the parts add up to."""
    return np.sum([part.covariance for part in parts], axis=0)


def clustered_parts(
    positives: FloatArray,
    negatives: FloatArray,
    codes_positive: IntArray,
    codes_negative: IntArray,
) -> tuple[VariancePart, ...]:
    """Return the covariance of K statistics from centred contributions of dependent cases.

    Obuchowski 1997: within a cluster the contributions are summed, each class over its own
    number of clusters, and the products of the two classes over all clusters.

    Parameters
    ----------
    positives, negatives
        [K, m] and [K, n], each case's centred contribution to the statistic, already divided by
        the size of its class.
    codes_positive, codes_negative
        [m] and [n], clusters as 0, 1, 2, ... in one common numbering.
    """
    size = int(max(codes_positive.max(), codes_negative.max())) + 1
    A = sums_by_cluster(positives, codes_positive, size)
    B = sums_by_cluster(negatives, codes_negative, size)
    f10, f01, f = small_sample_factors(codes_positive, codes_negative, size)
    counts = [np.bincount(codes, minlength=size) for codes in (codes_positive, codes_negative)]
    has_positive, has_negative = (count > 0 for count in counts)
    total = counts[0] + counts[1]
    parts = []
    for own, factors in (
        (has_positive & ~has_negative, (f10, 0.0, 0.0)),
        (has_negative & ~has_positive, (0.0, f01, 0.0)),
        (has_positive & has_negative, (f10, f01, f)),
    ):
        if not own.any():
            continue
        a, b = (sums if own.all() else sums[:, own] for sums in (A, B))
        covariance = np.zeros((A.shape[0], A.shape[0]))
        if factors[0]:
            covariance += factors[0] * (a @ a.T)
        if factors[1]:
            covariance += factors[1] * (b @ b.T)
        if factors[2]:
            cross = a @ b.T
            covariance += factors[2] * (cross + cross.T)
        parts.append(VariancePart(covariance, max(1.0, effective_number(total[own]) - 1.0)))
    return tuple(parts)


def sums_by_cluster(values: FloatArray, codes: IntArray, size: int) -> FloatArray:
    """Return the sums [K, size] of `values` [K, cases] within each cluster."""
    sums = np.empty((values.shape[0], size))
    for k, row in enumerate(values):
        sums[k] = np.bincount(codes, weights=row, minlength=size)
    return sums


def small_sample_factors(
    codes_positive: IntArray, codes_negative: IntArray, size: int
) -> tuple[float, float, float]:
    """Return I / (I - 1) for the clusters with a positive, with a negative, and with any case."""
    with_positive, with_negative = (
        np.bincount(codes, minlength=size) > 0 for codes in (codes_positive, codes_negative)
    )
    counts = (with_positive, with_negative, with_positive | with_negative)
    positive, negative, both = (int(np.count_nonzero(which)) for which in counts)
    return positive / (positive - 1), negative / (negative - 1), both / (both - 1)


def checked_cases(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return the labels as booleans [N] and the scores as float64 [K, N], or raise.

    Raises
    ------
    StatisticsError
        If shapes differ, a label is neither 0 nor 1, or a score is not finite.
    """
    given = np.asarray(labels)
    try:
        matrix = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise StatisticsError("scores: every score must be a number") from error
    if given.ndim != 1 or matrix.ndim != 2 or matrix.shape[1] != given.size:
        raise StatisticsError(
            f"labels of shape {given.shape} and scores of shape {np.shape(scores)} do not fit: "
            "labels are [N] and scores [K, N]"
        )
    if matrix.shape[0] == 0:
        raise StatisticsError("scores: there is no curve")
    positive = given == 1
    wrong = np.flatnonzero(~(positive | (given == 0)))
    if wrong.size:
        raise StatisticsError(f"labels: case {wrong[0]} (from 0) is neither 0 nor 1")
    finite = np.isfinite(matrix)
    if not finite.all():
        curve, case = np.argwhere(~finite)[0]
        raise StatisticsError(f"scores: curve {curve}, case {case} (from 0) is not a finite number")
    return np.asarray(positive, dtype=bool), matrix


def cluster_codes(clusters: ArrayLike, size: int) -> IntArray:
    """Return the clusters of `size` cases numbered 0, 1, 2, ...

    Raises
    ------
    StatisticsError
        If there is not one cluster for each case, or one is missing (None, NaN or empty text).
    """
    given = np.asarray(clusters)
    if given.shape != (size,):
        raise StatisticsError(f"clusters have shape {given.shape}, expected ({size},)")
    if given.dtype.kind == "O":
        missing = np.array([value is None or value != value or value == "" for value in given])
        given = given.astype(str)
    elif given.dtype.kind == "f":
        missing = np.isnan(given)
    else:
        missing = given == "" if given.dtype.kind in "UT" else np.zeros(size, dtype=bool)
    if missing.any():
        raise StatisticsError(
            f"clusters: case {np.flatnonzero(missing)[0]} (from 0) has no cluster; give every "
            "case its patient, or no clusters at all to assume independent cases"
        )
    if given.dtype.kind in "iu" and size:
        low, high = int(given.min()), int(given.max())
        if high - low < 4 * size and high <= np.iinfo(np.intp).max:
            # Whole numbers without wide gaps are numbered by counting, without a sort.
            shifted = given.astype(np.intp) - low
            return (np.cumsum(np.bincount(shifted) > 0) - 1)[shifted]
    return np.unique(given, return_inverse=True)[1].astype(np.intp, copy=False)


def undefined_flags(positive: NDArray[np.bool_], codes: IntArray | None) -> tuple[Flag, ...]:
    """Return why the variance, or the estimate itself, cannot be computed from these cases."""
    flags = []
    for chosen, none, one, one_cluster in (
        (positive, Flag.NO_POSITIVE, Flag.ONE_POSITIVE, Flag.ONE_POSITIVE_CLUSTER),
        (~positive, Flag.NO_NEGATIVE, Flag.ONE_NEGATIVE, Flag.ONE_NEGATIVE_CLUSTER),
    ):
        count = int(np.count_nonzero(chosen))
        if count == 0:
            flags.append(none)
        elif count == 1:
            flags.append(one)
        elif codes is not None and np.ptp(codes[chosen]) == 0:
            flags.append(one_cluster)
    return tuple(flags)


def size_warnings(positive: NDArray[np.bool_], codes: IntArray | None) -> tuple[Flag, ...]:
    """Return the flags of a class with few cases or few clusters."""
    flags = []
    if min(np.count_nonzero(positive), np.count_nonzero(~positive)) < FEW_CASES:
        flags.append(Flag.FEW_CASES)
    if codes is not None:
        counts = (np.count_nonzero(np.bincount(codes[chosen])) for chosen in (positive, ~positive))
        if min(counts) < FEW_CLUSTERS:
            flags.append(Flag.FEW_CLUSTERS)
    return tuple(flags)


def degenerate_flags(value: float, variance: float, constant: bool) -> tuple[Flag, ...]:
    """Return the flag of an area in [0, 1] whose variance estimate is exactly zero, if it is."""
    if constant:
        return (Flag.CONSTANT_SCORES,)
    if variance == 0.0:
        perfect = value in (0.0, 1.0)
        return (Flag.PERFECT_SEPARATION if perfect else Flag.ZERO_VARIANCE,)
    return ()


def _twice_beaten(scores: FloatArray, m: int, out: FloatArray) -> bool:
    """Write twice the number of opponents beaten (for negatives: of those that beat them).

    `scores` [N] holds the m positives first. The doubled counts are whole numbers, so that ties
    stay exact. Returns whether all scores are equal.
    """
    order = np.argsort(scores)
    ordered = scores[order]
    positive = order < m
    positives_upto = np.cumsum(positive)
    starts = ordered[1:] != ordered[:-1]
    if starts.all():
        negatives_upto = np.arange(1, scores.size + 1) - positives_upto
        out[order] = 2 * np.where(positive, negatives_upto, m - positives_upto)
        return scores.size == 1
    first = np.flatnonzero(np.concatenate([[True], starts]))
    end = np.append(first[1:], scores.size)
    positives_below = positives_upto[first] - positive[first]
    positives_within = positives_upto[end - 1]
    for_positive = first - positives_below + end - positives_within
    for_negative = 2 * m - positives_below - positives_within
    size = end - first
    out[order] = np.where(positive, np.repeat(for_positive, size), np.repeat(for_negative, size))
    return first.size == 1
