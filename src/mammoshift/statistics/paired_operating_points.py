"""Sensitivity and specificity of several curves on the same patients, to be compared with tests.

Two questions, two functions:

- at thresholds that were fixed elsewhere each rate is a mean over the positives or the negatives;
- at a specificity that every curve is brought to on these very cases, the threshold is estimated
  again in every resample of patients, and all curves see the same resamples, so that the covariance
  of their sensitivities holds the uncertainty of the thresholds. From `MANY_CASES` cases on it is
  worked out by linearisation instead.

`curve_values.difference_of_arms` and `transfer.drops_between` take what comes out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from mammoshift.errors import StatisticsError
from mammoshift.statistics.bootstrap import DEFAULT_RESAMPLES
from mammoshift.statistics.bootstrap_curves import bootstrap_curves
from mammoshift.statistics.curve_values import CurveValues, means_over_patients, patients_df
from mammoshift.statistics.inputs import checked_cases, cluster_codes
from mammoshift.statistics.large_samples import MANY_CASES, sensitivity_terms
from mammoshift.statistics.shares import TOLD_BY_MISTAKES
from mammoshift.statistics.thresholds import threshold_at_specificity
from mammoshift.statistics.variance_parts import VariancePart, patients_worth

THRESHOLD = 2.0
"""A sensitivity varies so many times as much with the negatives that place its threshold as with as
many positives: 1.2 to 2.8 times with normal scores and AUCs of 0.75 to 0.95."""


def rates_of_decisions(
    labels: ArrayLike, decisions: ArrayLike, patients: ArrayLike | None = None
) -> tuple[CurveValues, CurveValues]:
    """Return the sensitivities and the specificities of K curves at thresholds fixed elsewhere.

    Parameters
    ----------
    labels
        [N], 0 or 1; both must occur.
    decisions
        [K, N], 1 where the score of the curve reaches its threshold.
    patients
        [N], or None.

    Raises
    ------
    StatisticsError
        If the input cannot be used, or a class is empty.
    """
    positive, called = checked_cases(labels, decisions)
    if positive.all() or not positive.any():
        raise StatisticsError("sensitivity and specificity need cases of both classes")
    owners = np.arange(positive.size) if patients is None else np.asarray(patients)
    codes = cluster_codes(owners, positive.size)
    return (
        replace(
            means_over_patients(called[:, positive], codes[positive]),
            beforehand=(1.0 / patients_worth(codes[positive]),),
        ),
        replace(
            means_over_patients(1.0 - called[:, ~positive], codes[~positive]),
            beforehand=(1.0 / patients_worth(codes[~positive]),),
        ),
    )


def sensitivities_at_specificity(
    labels: ArrayLike,
    scores: ArrayLike,
    specificity: float,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    resamples: int = DEFAULT_RESAMPLES,
) -> CurveValues:
    """Return the sensitivities of K curves, each at its own threshold of one specificity.

    Degrees of freedom are those of the patients with a positive case, or fewer where few patients
    without one place the threshold.

    Parameters
    ----------
    labels, scores
        [N], both classes, and [K, N].
    specificity
        In (0, 1], reached by every curve on these cases.
    rng
        Source of the resamples.
    patients
        [N], or None.

    Raises
    ------
    StatisticsError
        If the input cannot be used, or a class is empty.
    """
    positive, matrix = checked_cases(labels, scores)
    thresholds = [threshold_at_specificity(positive, row, specificity) for row in matrix]
    values = np.array([threshold.sensitivity for threshold in thresholds])
    codes = None if patients is None else cluster_codes(patients, positive.size)
    if positive.size >= MANY_CASES:
        pairs = zip(matrix, thresholds, strict=True)
        terms = [sensitivity_terms(positive, row, t.value, codes)[1] for row, t in pairs]
        covariance = np.stack(terms) @ np.stack(terms).T
    else:
        curves = bootstrap_curves(
            positive,
            matrix,
            rng,
            patients=codes,
            specificities=(specificity,),
            resamples=resamples,
        )
        covariance = np.atleast_2d(np.cov(curves.sensitivity[0]))
    owners = np.arange(positive.size) if codes is None else codes
    found, others = (patients_worth(owners[side]) for side in (positive, ~positive))
    placing = TOLD_BY_MISTAKES * others * specificity * (1.0 - specificity)
    df = max(1.0, min(patients_df(owners[positive]), placing))
    beforehand = 1.0 / found + THRESHOLD / others
    part = VariancePart(covariance, df, np.unique(owners[positive]).size)
    return CurveValues(values, covariance, (part,), (beforehand,))
