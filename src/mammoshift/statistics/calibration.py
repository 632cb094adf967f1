"""How well predicted probabilities agree with what happened.

Everything takes logits (log-odds of the positive class) and computes in float64: probabilities
saturate. Log loss and Brier score with its parts stand here; the error in bins is in
`mammoshift.statistics.calibration_error`, intercept and slope in `calibration_line`.

References
----------
Brier 1950, Monthly Weather Review 78:1. Murphy 1973, Journal of Applied Meteorology 12:595
(decomposition); Stephenson, Coelho and Jolliffe 2008, Weather and Forecasting 23:752 (its
within-bin terms).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from mammoshift.statistics.calibration_error import (
    DEFAULT_BINS,
    NULL_SIMULATIONS,
    CalibrationError,
    Grouped,
    bin_index,
    bin_sums,
    calibration_errors,
    debiased_l2,
)
from mammoshift.statistics.calibration_line import CalibrationLine, calibration_line
from mammoshift.statistics.inputs import FloatArray, IntArray, checked_curve, cluster_codes
from mammoshift.statistics.proportions import Estimate, wald_estimate


@dataclass(frozen=True)
class BrierDecomposition:
    """The Brier score as reliability - resolution + uncertainty + within_bin.

    `within_bin` is what the binning leaves over: the variance of the probabilities within bins
    minus twice their covariance with the labels (Stephenson 2008); it is 0 when each bin holds a
    single probability, and then this is Murphy's decomposition. `skill` is 1 - score /
    uncertainty, None where all labels are equal.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bin: float
    skill: float | None


@dataclass(frozen=True)
class CalibrationMeasures:
    """Everything that a result table says about one set of predictions."""

    n: int
    n_pos: int
    n_patients: int
    prevalence: float
    mean_predicted: float
    nll: Estimate
    brier: Estimate
    brier_parts: BrierDecomposition
    ece: CalibrationError
    ece_equal_mass: CalibrationError
    debiased_l2: float
    line: CalibrationLine


def calibration_measures(
    logits: ArrayLike,
    labels: ArrayLike,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    together: Grouped | None = None,
    bins: int = DEFAULT_BINS,
    simulations: int = NULL_SIMULATIONS,
    level: float = 0.95,
) -> CalibrationMeasures:
    """Return all calibration measures of one set of predictions.

    Parameters
    ----------
    logits
        [N], finite log-odds of the positive class.
    labels
        [N], 0 or 1.
    rng
        Source of the simulated labels behind the null bands.
    patients
        [N]; standard errors and null bands then allow for dependence within a patient.
    together
        What `outcomes_together` made of these patients and logits, or of logits that these rise
        with inside each patient (recalibrated ones do); worked out where it is not given.
    """
    positive, row = checked_curve(labels, logits, "calibration")
    codes = None if patients is None else cluster_codes(patients, row.size)
    nll, brier = nll_terms(row, positive), brier_terms(row, positive)
    by_width, by_mass = calibration_errors(
        row,
        positive,
        rng,
        ("equal_width", "equal_mass"),
        patients=codes if together is None else together,
        bins=bins,
        simulations=simulations,
        level=level,
    )
    return CalibrationMeasures(
        n=row.size,
        n_pos=int(positive.sum()),
        n_patients=row.size if codes is None else int(codes.max()) + 1,
        prevalence=float(positive.mean()),
        mean_predicted=float(expit(row).mean()),
        nll=_mean(nll, codes, level, math.inf),
        brier=_mean(brier, codes, level, 1.0),
        brier_parts=brier_decomposition(row, positive, bins=bins),
        ece=by_width,
        ece_equal_mass=by_mass,
        debiased_l2=debiased_l2(row, positive, bins=bins),
        line=calibration_line(row, positive, patients=codes, level=level),
    )


def nll_terms(logits: FloatArray, positive: NDArray[np.bool_]) -> FloatArray:
    """Return each case's negative log-likelihood in nats, finite for any finite logit."""
    return np.logaddexp(0.0, np.where(positive, -logits, logits))


def brier_terms(logits: FloatArray, positive: NDArray[np.bool_]) -> FloatArray:
    """Return each case's squared error (p - y)^2, in [0, 1]."""
    return expit(np.where(positive, -logits, logits)) ** 2


def brier_decomposition(
    logits: ArrayLike, labels: ArrayLike, *, bins: int = DEFAULT_BINS
) -> BrierDecomposition:
    """Return the Brier score and its parts over bins of equal width (see `BrierDecomposition`)."""
    positive, row = checked_curve(labels, logits, "calibration")
    p = expit(row)
    index, size = bin_index(p, bins)
    count, positives, mass = bin_sums(index, size, p, positive)
    some = count > 0
    share, mean = positives[some] / count[some], mass[some] / count[some]
    weight = count[some] / p.size
    base = float(positive.mean())
    score = float(brier_terms(row, positive).mean())
    reliability = float(np.sum(weight * (mean - share) ** 2))
    resolution = float(np.sum(weight * (share - base) ** 2))
    uncertainty = base * (1.0 - base)
    return BrierDecomposition(
        score,
        reliability,
        resolution,
        uncertainty,
        score - reliability + resolution - uncertainty,
        1.0 - score / uncertainty if uncertainty > 0 else None,
    )


def _mean(terms: FloatArray, codes: IntArray | None, level: float, most: float) -> Estimate:
    """Return a mean over cases, which lies between 0 and `most`; the variance is over patients."""
    value = float(terms.mean())
    deviations = terms - value
    sums = deviations if codes is None else np.bincount(codes, weights=deviations)
    if sums.size < 2:
        return Estimate(value, note="no interval: there is only one patient")
    se = math.sqrt(sums.size / (sums.size - 1) * float(np.sum(sums**2))) / terms.size
    found = wald_estimate(value, se, "wald" if codes is None else "wald_patient_robust", level)
    if found.ci_low is None or found.ci_high is None:
        return found
    return replace(found, ci_low=max(0.0, found.ci_low), ci_high=min(most, found.ci_high))
