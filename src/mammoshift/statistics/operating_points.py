"""Operating points: what sensitivity and specificity result where a score is cut.

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
(variance of a sensitivity at an estimated threshold).
"""

from __future__ import annotations

from dataclasses import dataclass
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
from mammoshift.statistics.confusion import ConfusionMatrix, confusion_matrix, confusion_metrics
from mammoshift.statistics.inputs import FloatArray, checked_cases, checked_classes, cluster_codes
from mammoshift.statistics.large_samples import (
    MANY_CASES,
    linearised_interval,
    rates_at_thresholds,
    sensitivity_terms,
    threshold_draws,
)
from mammoshift.statistics.patient_confusion import patient_confusion_metrics
from mammoshift.statistics.proportions import Estimate, wilson_interval
from mammoshift.statistics.thresholds import threshold_at_specificity

Provenance = Literal["transferred", "reestimated"]
BY_CONSTRUCTION = "the specificity is reached by construction; an interval has no meaning there"
DEGENERATE = (
    "the bootstrap is degenerate (all resamples agree): Wilson interval on the number of "
    "patients, without the uncertainty of the threshold"
)


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
