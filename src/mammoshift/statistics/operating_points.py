"""Operating points: where a score is cut, and what sensitivity and specificity result.

A case is called positive if its score reaches the threshold. A *transferred* threshold was
chosen on other cases (the source's validation patients): at the target both the sensitivity and
the specificity that result are reported. A *re-estimated* threshold is chosen on the very cases
that are reported; it needs target labels and shows what local tuning could reach at best.

An interval for a sensitivity at a re-estimated threshold must contain the uncertainty of that
threshold: a binomial interval covers 75-86 % where it claims 95 %. Here the threshold is
estimated again in every resample of patients.

References
----------
Linnet 1987, Clinical Chemistry 33:1716; Hsieh and Turnbull 1996, Annals of Statistics 24:25
(variance of a sensitivity at an estimated threshold). Youden 1950, Cancer 3:32. Kubat and Matwin
1997, ICML:179 (geometric mean of sensitivity and specificity).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from mammoshift.errors import StatisticsError
from mammoshift.statistics.bootstrap import (
    DEFAULT_RESAMPLES,
    CurveReplicates,
    Strata,
    bootstrap_at_thresholds,
    bootstrap_curves,
    checked_specificity,
    is_degenerate,
    negatives_needed,
    percentile_interval,
    resamples_text,
    scores_above,
    strata_of,
)
from mammoshift.statistics.confusion import ConfusionMatrix, confusion_matrix, confusion_metrics
from mammoshift.statistics.inputs import FloatArray, checked_cases, cluster_codes
from mammoshift.statistics.large_samples import (
    MANY_CASES,
    linearised_interval,
    rates_at_thresholds,
    sensitivity_terms,
    threshold_draws,
)
from mammoshift.statistics.patient_confusion import patient_confusion_metrics
from mammoshift.statistics.proportions import Estimate, wilson_interval

Provenance = Literal["transferred", "reestimated"]
Criterion = Literal["specificity", "youden", "g_mean"]

STEP_AT_ONE = (
    "the smallest threshold that reaches the specificity has a specificity of 1: ties or too few "
    "negatives leave no step in between"
)
NONE_REACHES = "no case has a score above the negatives that must be called negative"
BY_CONSTRUCTION = "the specificity is reached by construction; an interval has no meaning there"
DEGENERATE = (
    "the bootstrap is degenerate (all resamples agree): Wilson interval on the number of "
    "patients, without the uncertainty of the threshold"
)
IDENTICAL = "the two agree in every resample"


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it does on the cases that it was chosen on.

    Attributes
    ----------
    value
        On the scale of the scores; a case is positive if its score is not below.
    criterion
        `specificity`, `youden` or `g_mean`.
    target
        The wanted specificity; None for the other criteria.
    sensitivity, specificity
        On the cases it was chosen on, in [0, 1]: the values of the step, not interpolated.
    n_pos, n_neg
        Those cases.
    note
        What a reader must know, such as a step specificity of 1; empty otherwise.
    """

    value: float
    criterion: Criterion
    target: float | None
    sensitivity: float
    specificity: float
    n_pos: int
    n_neg: int
    note: str = ""


@dataclass(frozen=True)
class OperatingPoint:
    """Sensitivity and specificity of one arm at one threshold, on the reported cases."""

    threshold: float
    provenance: Provenance
    matrix: ConfusionMatrix
    sensitivity: Estimate
    specificity: Estimate
    n_pos: int
    n_neg: int
    n_patients: int
    note: str = ""


@dataclass(frozen=True)
class SensitivityDifference:
    """Difference of two arms' sensitivities at a matched specificity, first minus second.

    `se` is the standard deviation of the bootstrap, `p` two-sided from difference / se, and the
    interval is difference -+ the normal quantile times `se`, so that test and interval agree.
    """

    difference: float
    se: float
    ci_low: float
    ci_high: float
    statistic: float | None
    p: float | None
    method: str
    note: str = ""


def threshold_at_specificity(
    labels: ArrayLike, scores: ArrayLike, specificity: float = 0.95
) -> Threshold:
    """Return the smallest observed score that, as threshold, reaches a specificity.

    Parameters
    ----------
    labels
        [N], 0 or 1; both must occur.
    scores
        [N], finite. Candidates are the scores of all N cases. When none of them is high enough,
        the threshold lies just above the highest negative score and the sensitivity is 0.
    specificity
        In (0, 1].

    Raises
    ------
    StatisticsError
        If the input cannot be used, or a class is empty.
    """
    wanted = checked_specificity(specificity)
    positive, row = _one_arm(labels, scores)
    negatives = np.sort(row[~positive])
    last = negatives[int(negatives_needed(negatives.size, wanted)) - 1]
    value = float(scores_above(np.sort(row), np.array([last]))[0])
    reached = float(np.mean(negatives < value))
    notes = [STEP_AT_ONE] if reached == 1.0 and wanted < 1.0 else []
    if not (row >= value).any():
        notes.append(NONE_REACHES)
    return _threshold(positive, row, value, "specificity", wanted, "; ".join(notes))


def youden_threshold(labels: ArrayLike, scores: ArrayLike) -> Threshold:
    """Return the threshold that maximises sensitivity + specificity - 1, the lowest on ties.

    Labels and scores are [N] as in `threshold_at_specificity`; give validation cases.
    """
    positive, row = _one_arm(labels, scores)
    candidates, tp, tn = _counts_at_candidates(positive, row)
    n_pos = np.count_nonzero(positive)
    best = np.argmax(tp * (positive.size - n_pos) + tn * n_pos)
    return _threshold(positive, row, float(candidates[best]), "youden", None)


def g_mean_threshold(labels: ArrayLike, scores: ArrayLike) -> Threshold:
    """Return the threshold that maximises sqrt(sensitivity * specificity), the lowest on ties.

    Labels and scores are [N] as in `threshold_at_specificity`; give validation cases. This
    balances the two; it does not maximise sensitivity.
    """
    positive, row = _one_arm(labels, scores)
    candidates, tp, tn = _counts_at_candidates(positive, row)
    return _threshold(positive, row, float(candidates[np.argmax(tp * tn)]), "g_mean", None)


def transferred_operating_point(
    labels: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    threshold_replicates: FloatArray | None = None,
    level: float = 0.95,
) -> OperatingPoint:
    """Return what a threshold from elsewhere does on these cases.

    The threshold is taken as fixed: Wilson intervals when every patient has one case, otherwise
    those of a ratio over patients (Wilson on the number of patients where all agree). With
    `threshold_replicates` the interval also holds the uncertainty of the threshold: it then
    speaks of the procedure "choose on a validation set of this size", not of this threshold.

    Parameters
    ----------
    labels, scores
        [N] of the reported cases; both labels must occur.
    threshold
        On the scale of `scores`.
    rng
        Source of the draws, used with `threshold_replicates` only.
    patients
        [N]; None treats every case as its own patient.
    threshold_replicates
        [B], from `threshold_replicates_of` on the validation cases.
    """
    positive, row = _one_arm(labels, scores)
    if not np.isfinite(threshold):
        raise StatisticsError(f"the threshold is {threshold}; it must be a finite number")
    strata = strata_of(positive, patients)
    called = row >= threshold
    matrix = confusion_matrix(positive, called)
    if threshold_replicates is not None:
        plain = confusion_metrics(matrix, level)
        if positive.size >= MANY_CASES:
            codes = strata.codes if strata.clustered else None
            pair = rates_at_thresholds(positive, row, threshold_replicates, codes, rng)
            method = f"linearised_{threshold_replicates.size}_draws_both_samples"
        else:
            pair = bootstrap_at_thresholds(
                positive, row, threshold_replicates, rng, patients=strata.codes
            )
            method = f"{resamples_text(threshold_replicates.size)}_both_samples"
        sensitivity, specificity = (
            _estimate(estimate.value, replicates, chosen, strata, method, level)
            for estimate, replicates, chosen in (
                (plain.sensitivity, pair[0], positive),
                (plain.specificity, pair[1], ~positive),
            )
        )
    else:
        metrics = (
            patient_confusion_metrics(positive, called, strata.codes, level)
            if strata.clustered
            else confusion_metrics(matrix, level)
        )
        sensitivity, specificity = metrics.sensitivity, metrics.specificity
    return _operating_point(threshold, "transferred", matrix, sensitivity, specificity, strata)


def threshold_replicates_of(
    labels: ArrayLike,
    scores: ArrayLike,
    specificity: float,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    resamples: int = DEFAULT_RESAMPLES,
) -> FloatArray:
    """Return the thresholds [B] at a specificity in resamples of the validation patients.

    With `MANY_CASES` cases they are drawn from the normal limit of that distribution.
    """
    positive, row = _one_arm(labels, scores)
    if positive.size >= MANY_CASES:
        wanted = checked_specificity(specificity)
        codes = None if patients is None else cluster_codes(patients, positive.size)
        return threshold_draws(positive, row, wanted, codes, rng, resamples)
    curves = bootstrap_curves(
        labels,
        scores,
        rng,
        patients=patients,
        specificities=(specificity,),
        resamples=resamples,
    )
    return curves.threshold[0, 0]


def reestimated_operating_points(
    labels: ArrayLike,
    scores: ArrayLike,
    specificity: float,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    resamples: int = DEFAULT_RESAMPLES,
    level: float = 0.95,
) -> tuple[OperatingPoint, ...]:
    """Return the sensitivity of K arms at thresholds chosen on these very cases.

    Parameters
    ----------
    labels
        [N], 0 or 1; both must occur.
    scores
        [K, N] or [N]. All arms see the same draws.
    specificity
        In (0, 1].

    Returns
    -------
    tuple of OperatingPoint
        One for each arm. The interval of the sensitivity re-estimates the threshold in every
        resample of patients; the specificity has none, since it is reached by construction.
        With `MANY_CASES` cases its variance is linearised instead.
    """
    positive, matrix = checked_cases(labels, scores)
    if positive.size >= MANY_CASES:
        strata = strata_of(positive, patients)
        return tuple(_linearised(positive, row, specificity, strata, level) for row in matrix)
    curves = bootstrap_curves(
        labels,
        scores,
        rng,
        patients=patients,
        specificities=(specificity,),
        resamples=resamples,
    )
    return operating_points_of(labels, scores, curves, 0, patients=patients, level=level)


def _linearised(
    positive: NDArray[np.bool_],
    scores: FloatArray,
    specificity: float,
    strata: Strata,
    level: float,
) -> OperatingPoint:
    threshold = threshold_at_specificity(positive, scores, specificity)
    codes = strata.codes if strata.clustered else None
    value, terms = sensitivity_terms(positive, scores, threshold.value, codes)
    return _operating_point(
        threshold.value,
        "reestimated",
        confusion_matrix(positive, scores >= threshold.value),
        linearised_interval(value, terms, level),
        Estimate(threshold.specificity, note=BY_CONSTRUCTION),
        strata,
        threshold.note,
    )


def operating_points_of(
    labels: ArrayLike,
    scores: ArrayLike,
    curves: CurveReplicates,
    which: int,
    *,
    patients: ArrayLike | None = None,
    level: float = 0.95,
) -> tuple[OperatingPoint, ...]:
    """Return the re-estimated operating points from replicates that were made already.

    `which` is the index of the specificity in `curves.specificities`; labels, scores and
    patients must be those that the replicates were made from.
    """
    positive, matrix = checked_cases(labels, scores)
    if curves.auc.shape[0] != matrix.shape[0]:
        raise StatisticsError(
            f"{curves.auc.shape[0]} arms were resampled but {matrix.shape[0]} are given"
        )
    strata = strata_of(positive, patients)
    method = resamples_text(curves.auc.shape[1])
    points = []
    for row, replicates in zip(matrix, curves.sensitivity[which], strict=True):
        threshold = threshold_at_specificity(positive, row, curves.specificities[which])
        sensitivity = _estimate(threshold.sensitivity, replicates, positive, strata, method, level)
        specificity = Estimate(threshold.specificity, note=BY_CONSTRUCTION)
        cells = confusion_matrix(positive, row >= threshold.value)
        points.append(
            _operating_point(
                threshold.value,
                "reestimated",
                cells,
                sensitivity,
                specificity,
                strata,
                threshold.note,
            )
        )
    return tuple(points)


def compare_at_specificity(
    labels: ArrayLike,
    scores: ArrayLike,
    pairs: Sequence[tuple[int, int]],
    specificity: float,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    resamples: int = DEFAULT_RESAMPLES,
    level: float = 0.95,
) -> tuple[SensitivityDifference, ...]:
    """Compare arms' sensitivities at one specificity by a paired patient bootstrap.

    Parameters
    ----------
    labels, scores
        [N] and [K, N].
    pairs
        Indices (a, b) of the arms; the difference is a minus b. In every resample each arm has
        its own threshold, so both arms are held at the wanted specificity.
    """
    curves = bootstrap_curves(
        labels,
        scores,
        rng,
        patients=patients,
        specificities=(specificity,),
        resamples=resamples,
    )
    positive, matrix = checked_cases(labels, scores)
    values = [threshold_at_specificity(positive, row, specificity).sensitivity for row in matrix]
    method = f"paired_{resamples_text(resamples)}"
    return tuple(
        _difference(
            values[a] - values[b],
            curves.sensitivity[0, a] - curves.sensitivity[0, b],
            method,
            level,
        )
        for a, b in pairs
    )


def _difference(
    difference: float, replicates: FloatArray, method: str, level: float
) -> SensitivityDifference:
    if is_degenerate(replicates):
        # Equal in every resample: no evidence of a difference if there is none to begin with.
        same = difference == 0.0
        return SensitivityDifference(
            difference,
            0.0,
            difference,
            difference,
            0.0 if same else None,
            1.0 if same else None,
            method,
            IDENTICAL if same else "degenerate: they differ by the same amount in every resample",
        )
    se = float(np.std(replicates, ddof=1))
    statistic = difference / se
    half = -float(ndtri((1.0 - level) / 2.0)) * se
    return SensitivityDifference(
        difference,
        se,
        difference - half,
        difference + half,
        statistic,
        float(2.0 * ndtr(-abs(statistic))),
        method,
    )


def _estimate(
    value: float | None,
    replicates: FloatArray,
    chosen: NDArray[np.bool_],
    strata: Strata,
    method: str,
    level: float,
) -> Estimate:
    assert value is not None
    if is_degenerate(replicates):
        patients = np.unique(strata.codes[chosen]).size
        low, high = wilson_interval(value * patients, patients, level)
        return Estimate(value, float(low), float(high), "wilson_patients", DEGENERATE)
    low, high = percentile_interval(replicates, level)
    return Estimate(value, float(low), float(high), method)


def _operating_point(
    threshold: float,
    provenance: Provenance,
    matrix: ConfusionMatrix,
    sensitivity: Estimate,
    specificity: Estimate,
    strata: Strata,
    note: str = "",
) -> OperatingPoint:
    return OperatingPoint(
        float(threshold),
        provenance,
        matrix,
        sensitivity,
        specificity,
        matrix.tp + matrix.fn,
        matrix.tn + matrix.fp,
        strata.n_patients,
        "; ".join(part for part in (note, strata.note) if part),
    )


def _threshold(
    positive: NDArray[np.bool_],
    scores: FloatArray,
    value: float,
    criterion: Criterion,
    target: float | None,
    note: str = "",
) -> Threshold:
    called = scores >= value
    n_pos = int(np.count_nonzero(positive))
    n_neg = positive.size - n_pos
    return Threshold(
        value,
        criterion,
        target,
        int(np.count_nonzero(called & positive)) / n_pos,
        int(np.count_nonzero(~called & ~positive)) / n_neg,
        n_pos,
        n_neg,
        note,
    )


def _counts_at_candidates(
    positive: NDArray[np.bool_], scores: FloatArray
) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct scores, ascending, and the true positives and negatives at each.

    The counts are whole numbers, so that equally good thresholds tie exactly.
    """
    candidates = np.unique(scores)
    positives, negatives = np.sort(scores[positive]), np.sort(scores[~positive])
    tp = positives.size - np.searchsorted(positives, candidates, side="left")
    tn = np.searchsorted(negatives, candidates, side="left")
    return candidates, tp.astype(np.int64), tn.astype(np.int64)


def _one_arm(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], FloatArray]:
    positive, matrix = checked_cases(labels, scores)
    if matrix.shape[0] != 1:
        raise StatisticsError(f"an operating point is that of one arm, not of {len(matrix)}")
    if positive.all() or not positive.any():
        missing = "negative" if positive.all() else "positive"
        raise StatisticsError(f"operating point: there is no {missing} case among {positive.size}")
    return positive, matrix[0]
