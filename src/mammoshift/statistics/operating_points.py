"""Operating points: what sensitivity and specificity result where a score is cut.

A case is called positive if its score reaches the threshold. A *transferred* threshold was
chosen on other cases (the source's validation patients): at the target both the sensitivity and
the specificity that result are reported. A *re-estimated* threshold is chosen on the very cases
that are reported; it needs target labels and shows what local tuning could reach at best.

An interval for a sensitivity at a re-estimated threshold must contain the uncertainty of that
threshold: a binomial interval covers 75-86 % where it claims 95 %. Here the threshold is
estimated again in every resample of patients. Where few cases are on the wrong side the
percentiles are short, and have no width at a share of 0 or 1: the limits hold those at a fixed
threshold too.

References
----------
Linnet 1987, Clinical Chemistry 33:1716; Hsieh and Turnbull 1996, Annals of Statistics 24:25
(variance of a sensitivity at an estimated threshold).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError
from mammoshift.statistics.bootstrap import (
    DEFAULT_RESAMPLES,
    Strata,
    is_degenerate,
    percentile_interval,
    resamples_text,
    strata_of,
)
from mammoshift.statistics.bootstrap_curves import (
    CurveReplicates,
    bootstrap_at_thresholds,
    bootstrap_curves,
    checked_specificity,
)
from mammoshift.statistics.confusion import (
    ConfusionMatrix,
    ConfusionMetrics,
    confusion_matrix,
    confusion_metrics,
)
from mammoshift.statistics.inputs import FloatArray, checked_cases, checked_classes, cluster_codes
from mammoshift.statistics.large_samples import (
    MANY_CASES,
    linearised_interval,
    rates_at_thresholds,
    sensitivity_terms,
    threshold_draws,
)
from mammoshift.statistics.patient_confusion import patient_confusion_metrics
from mammoshift.statistics.proportions import Estimate
from mammoshift.statistics.thresholds import threshold_at_specificity

Provenance = Literal["transferred", "reestimated"]
BY_CONSTRUCTION = "the specificity is reached by construction; an interval has no meaning there"
DEGENERATE = (
    "the bootstrap is degenerate (all resamples agree): the interval is that at a fixed threshold, "
    "without the uncertainty of the threshold"
)
AND_FIXED = "_and_fixed_threshold"
"""Added to the method where a limit is that at a fixed threshold, which lies further out."""


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
    positive, row = checked_classes(labels, scores, "operating point")
    if not np.isfinite(threshold):
        raise StatisticsError(f"the threshold is {threshold}; it must be a finite number")
    strata = strata_of(positive, patients)
    fixed = _metrics(strata, row >= threshold, level)
    sensitivity, specificity = fixed.sensitivity, fixed.specificity
    if threshold_replicates is not None:
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
            _joined(share, replicates, method, level)
            for share, replicates in zip((sensitivity, specificity), pair, strict=True)
        )
    matrix = confusion_matrix(positive, row >= threshold)
    return _operating_point(threshold, "transferred", matrix, sensitivity, specificity, strata)


def metrics_at(
    labels: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    *,
    patients: ArrayLike | None = None,
    level: float = 0.95,
) -> ConfusionMetrics:
    """Return every metric of decisions at a fixed threshold, as for a transferred one.

    Over patients where one of them has several cases; otherwise the cases are independent.
    Parameters as in `transferred_operating_point`.
    """
    positive, row = checked_classes(labels, scores, "operating point")
    return _metrics(strata_of(positive, patients), row >= threshold, level)


def _metrics(strata: Strata, called: NDArray[np.bool_], level: float) -> ConfusionMetrics:
    if strata.clustered:
        return patient_confusion_metrics(strata.positive, called, strata.codes, level)
    return confusion_metrics(confusion_matrix(strata.positive, called), level)


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
    positive, row = checked_classes(labels, scores, "operating point")
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
    called = scores >= threshold.value
    sensitivity = linearised_interval(value, terms, level)
    if sensitivity.ci_low is None:
        fixed = _metrics(strata, called, level).sensitivity
        sensitivity = replace(fixed, note=fixed.note or DEGENERATE)
    return _operating_point(
        threshold.value,
        "reestimated",
        confusion_matrix(positive, called),
        sensitivity,
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
        called = row >= threshold.value
        sensitivity = _joined(
            _metrics(strata, called, level).sensitivity, replicates, method, level
        )
        specificity = Estimate(threshold.specificity, note=BY_CONSTRUCTION)
        cells = confusion_matrix(positive, called)
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


def _joined(fixed: Estimate, replicates: FloatArray, method: str, level: float) -> Estimate:
    """Return the interval that holds the percentiles of replicates and that at a fixed threshold.

    Where a share has no interval at a fixed threshold, of one patient, the percentiles alone.
    """
    if is_degenerate(replicates):
        return replace(fixed, note=DEGENERATE if fixed.ci_low is not None else fixed.note)
    low, high = (float(limit) for limit in percentile_interval(replicates, level))
    if fixed.ci_low is None or fixed.ci_high is None:
        return replace(fixed, ci_low=low, ci_high=high, method=method) if low < high else fixed
    if fixed.ci_low < low or fixed.ci_high > high:
        method += AND_FIXED
    return Estimate(fixed.value, min(low, fixed.ci_low), max(high, fixed.ci_high), method)


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
