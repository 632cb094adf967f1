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

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import sums_by_cluster
from mammoshift.statistics.comparisons import Combined, combined, difference_test
from mammoshift.statistics.inputs import FloatArray, IntArray, cluster_codes
from mammoshift.statistics.multireader import mean_over_seeds, obuchowski_rockette_nested
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
    """

    values: FloatArray
    covariance: FloatArray
    parts: tuple[VariancePart, ...] = ()

    def only(self, curves: Sequence[int]) -> CurveValues:
        """Return the values of some curves, in the order given."""
        block = np.ix_(list(curves), list(curves))
        return CurveValues(
            self.values[list(curves)],
            self.covariance[block],
            tuple(VariancePart(part.covariance[block], part.df) for part in self.parts),
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
    K, N = matrix.shape
    if N == 0:
        raise StatisticsError("there is no case to take a mean over")
    codes = np.arange(N) if patients is None else cluster_codes(patients, N)
    means = matrix.mean(axis=1)
    residuals = sums_by_cluster((matrix - means[:, None]) / N, codes, int(codes.max()) + 1)
    I = residuals.shape[1]  # noqa: E741
    if I < 2:
        return CurveValues(means, np.full((K, K), np.nan))
    covariance = I / (I - 1) * residuals @ residuals.T
    return CurveValues(means, covariance, (VariancePart(covariance, patients_df(codes)),))


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
            VariancePart(part.covariance / T**2, part.df)
            for dataset in datasets
            for part in dataset.parts
        ),
    )


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
    if seeds_random and min(len(first), len(second)) > 1:
        test = obuchowski_rockette_nested(
            estimate.values, estimate.covariance, first, second, level, estimate.parts
        )
        return replace(test, method=RANDOM)
    weights = np.zeros(estimate.values.shape)
    np.add.at(weights, list(first), 1.0 / len(first))
    np.add.at(weights, list(second), -1.0 / len(second))
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
