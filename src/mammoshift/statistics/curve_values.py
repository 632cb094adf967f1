"""Any measure of K curves on the same patients, with its covariance: one arm, or two compared.

A curve is one checkpoint, that is, an arm with one seed. What `auc` gives for the area under the
ROC curve is given here for everything else that a curve can be measured by: a mean over cases
(Brier score, likelihood, a rate at a fixed threshold), or what `paired_operating_points` and
`paired_proper_scores` work out. From values and covariance on, all measures are tested alike:

- checkpoints fixed: a contrast of the values;
- seeds random: the analysis of `multireader`, in which the spread between the seeds counts.

References
----------
Cochran 1977, Sampling Techniques, section 11.7 (a ratio of totals over clusters).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import AucEstimate, sum_of_parts, sums_by_cluster
from mammoshift.statistics.comparisons import Combined, combined, difference_test
from mammoshift.statistics.inputs import FloatArray, IntArray, cluster_codes
from mammoshift.statistics.multireader import mean_over_seeds, mean_weights, nested_contrast
from mammoshift.statistics.shares import Share, areas_beforehand, seed_variance, share_of
from mammoshift.statistics.variance_parts import VariancePart, degrees_of_freedom, effective_number

FIXED = "checkpoints_fixed"
RANDOM = "seeds_random"
ONE_RUN = "one run of an arm: a statement about these models alone"


@dataclass(frozen=True)
class CurveValues:
    """One measure of K curves.

    Attributes
    ----------
    values
        [K]; NaN where undefined.
    covariance
        [K, K], over the patients; NaN where undefined.
    parts
        Its independent parts; empty where their degrees of freedom are not known.
    beforehand
        Of shares in [0, 1]: each part's variance / (value (1 - value)) as it is before the scores
        are seen, see `shares`; None for what is no share.
    """

    values: FloatArray
    covariance: FloatArray
    parts: tuple[VariancePart, ...] = ()
    beforehand: tuple[float, ...] | None = None

    def only(self, curves: Sequence[int]) -> CurveValues:
        """Return the values of some curves, in the order given."""
        block = np.ix_(list(curves), list(curves))
        return CurveValues(
            self.values[list(curves)],
            self.covariance[block],
            tuple(replace(part, covariance=part.covariance[block]) for part in self.parts),
            self.beforehand,
        )


def aucs(estimate: AucEstimate) -> CurveValues:
    """Return the AUCs of K curves."""
    return CurveValues(
        estimate.auc, estimate.covariance, estimate.parts, areas_beforehand(estimate.parts)
    )


def means_over_patients(terms: ArrayLike, patients: ArrayLike | None = None) -> CurveValues:
    """Return the means of K measures over cases, with their covariance over patients.

    The mean is sum x / N over all cases. Its covariance is I / (I - 1) sum r r' with a patient's
    residuals r = sum (x - mean) / N, of I patients; their degrees of freedom count patients of
    unequal size as the fewer equal ones that they are worth.

    Parameters
    ----------
    terms
        [K, N], finite; what each case contributes, such as its squared error.
    patients
        [N]; None takes every case as a patient of its own.

    Raises
    ------
    StatisticsError
        If there is no case.
    """
    matrix = np.atleast_2d(np.asarray(terms, dtype=np.float64))
    own = np.arange(matrix.shape[1]) if patients is None else patients
    return means_of_sets([matrix], [own])


def means_of_sets(terms: Sequence[ArrayLike], patients: Sequence[ArrayLike]) -> CurveValues:
    """Return the means of measures over several sets of cases that may share patients.

    As `means_over_patients`, with the residuals of a patient in every set that it has cases in, so
    that sets with the same patients are paired; I is that of each set. Patients that are in the
    same sets are one part of the covariance.

    Parameters
    ----------
    terms
        For each set [K, N] of its own sizes; the means come set by set.
    patients
        For each set [N]; the same name is the same patient in all of them.

    Raises
    ------
    StatisticsError
        If a set has no case.
    """
    matrices = [np.atleast_2d(np.asarray(own, dtype=np.float64)) for own in terms]
    if any(matrix.shape[1] == 0 for matrix in matrices):
        raise StatisticsError("there is no case to take a mean over")
    starts = np.cumsum([0, *(matrix.shape[1] for matrix in matrices)])
    names = np.concatenate([np.asarray(own) for own in patients])
    codes = cluster_codes(names, int(starts[-1]))
    cases = np.stack(
        [
            np.bincount(codes[first:last], minlength=int(codes.max()) + 1)
            for first, last in itertools.pairwise(starts)
        ]
    )
    means = [matrix.mean(axis=1) for matrix in matrices]
    residuals = []
    for matrix, mean, first, last in zip(matrices, means, starts[:-1], starts[1:], strict=True):
        sums = sums_by_cluster(
            (matrix - mean[:, None]) / matrix.shape[1], codes[first:last], cases.shape[1]
        )
        I = np.unique(codes[first:last]).size  # noqa: E741
        residuals.append(sums * math.sqrt(I / (I - 1)) if I > 1 else np.full(sums.shape, np.nan))
    values, rows = np.concatenate(means), np.vstack(residuals)
    if np.isnan(rows).any():
        return CurveValues(values, np.full((values.size, values.size), np.nan))
    pattern = 2 ** np.arange(len(cases)) @ (cases > 0)
    parts = []
    for which in (pattern == own for own in np.unique(pattern)):
        df = max(1.0, effective_number(cases[:, which].sum(axis=0)) - 1.0)
        parts.append(VariancePart(rows[:, which] @ rows[:, which].T, df, int(which.sum())))
    return CurveValues(values, sum_of_parts(tuple(parts)), tuple(parts))


def mean_over_datasets(datasets: Sequence[CurveValues]) -> CurveValues:
    """Return the mean of each curve's values over datasets of different patients.

    Every dataset counts the same and they are held fixed: with seeds as random a test of the result
    is about the architectures on these datasets together. A seed's effects on the datasets are one
    number for each curve then, so that it does not matter how they are correlated.

    Parameters
    ----------
    datasets
        The same curves in the same order in each.

    Raises
    ------
    StatisticsError
        If there is no dataset, or they have different numbers of curves.
    """
    if len({dataset.values.shape for dataset in datasets}) != 1:
        raise StatisticsError("a mean over datasets needs the same curves in each of them")
    T = len(datasets)
    return CurveValues(
        np.mean([dataset.values for dataset in datasets], axis=0),
        np.sum([dataset.covariance for dataset in datasets], axis=0) / T**2,
        tuple(
            VariancePart(part.covariance / T**2, part.df, part.patients)
            for dataset in datasets
            for part in dataset.parts
        ),
    )


def share_of_arm(
    estimate: CurveValues, curves: Sequence[int], seeds_random: bool = True
) -> Share | None:
    """Return the mean of one arm's curves as a share; None where it is none or is undefined.

    Parameters as in `mean_of_arm`.
    """
    if estimate.beforehand is None or not curves:
        return None
    values, covariance = estimate.values, estimate.covariance
    share = share_of(values, covariance, estimate.parts, estimate.beforehand, curves)
    if share is None or not seeds_random or len(curves) == 1:
        return share
    return share.with_seeds(*seed_variance(values, covariance, curves), len(curves))


def patients_df(codes: IntArray) -> float:
    """Return the degrees of freedom of a variance over the patients behind some cases."""
    counts = np.bincount(codes)
    return max(1.0, effective_number(counts[counts > 0]) - 1.0)


def mean_of_arm(
    estimate: CurveValues, curves: Sequence[int], level: float = 0.95, seeds_random: bool = True
) -> Combined:
    """Test the mean of one arm's curves against zero.

    Parameters
    ----------
    estimate
        Of all curves.
    curves
        Positions of the arm's seeds.
    level
        Of the interval.
    seeds_random
        Whether the claim is about the architecture; with one seed it cannot be, the checkpoint is
        held fixed then, and the note says so.
    """
    if seeds_random and len(curves) > 1:
        test = mean_over_seeds(estimate.values, estimate.covariance, curves, level, estimate.parts)
        return replace(test, method=RANDOM)
    weights = np.zeros(estimate.values.shape)
    np.add.at(weights, list(curves), 1.0 / len(curves))
    return _fixed(estimate, weights, level, seeds_random)


def difference_of_arms(
    estimate: CurveValues,
    first: Sequence[int],
    second: Sequence[int],
    level: float = 0.95,
    seeds_random: bool = True,
) -> Combined:
    """Test the mean of one arm's curves minus that of another's; see `mean_of_arm`."""
    return contrast_of_arms(estimate, (first, second), (1.0, -1.0), level, seeds_random)


def contrast_of_arms(
    estimate: CurveValues,
    arms: Sequence[Sequence[int]],
    coefficients: Sequence[float],
    level: float = 0.95,
    seeds_random: bool = True,
) -> Combined:
    """Test a contrast of the means of several arms' curves, such as the mean of differences.

    `arms` are the positions of each arm's curves, with one of the `coefficients` for each; the
    other parameters are those of `mean_of_arm`. The arms themselves are held fixed: a mean over
    architectures is about these architectures.
    """
    if seeds_random and min(map(len, arms)) > 1:
        test = nested_contrast(
            estimate.values, estimate.covariance, arms, coefficients, level, estimate.parts
        )
        return replace(test, method=RANDOM)
    weights = mean_weights(estimate.values.size, arms, coefficients)
    return _fixed(estimate, weights, level, seeds_random)


def _fixed(
    estimate: CurveValues, weights: FloatArray, level: float, wanted_random: bool
) -> Combined:
    used: NDArray[np.intp] = np.flatnonzero(weights)
    w = weights[used]
    terms = np.outer(w, w) * estimate.covariance[np.ix_(used, used)]
    test = difference_test(
        float(w @ estimate.values[used]),
        float(terms.sum()),
        float(np.abs(terms).sum()),
        degrees_of_freedom(estimate.parts, weights),
        level,
    )
    return combined(FIXED, test, ONE_RUN if wanted_random else "")
