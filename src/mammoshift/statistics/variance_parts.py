"""Variances that are sums of independent parts, each with its own degrees of freedom.

The covariance of AUCs is a sum over groups of patients: those with positive cases only, with
negative cases only, and with both. Each part is estimated from the patients of its group, so a
test on few positive patients needs Student's t, with the degrees of freedom that the parts give
the contrast that is tested.

References
----------
Satterthwaite 1946, Biometrics Bulletin 2:110; Welch 1951, Biometrika 38:330 (heterogeneous
groups). Johansen 1980, Biometrika 67:85 (several contrasts). Carter, Schnepel and Steigerwald
2017, Review of Economics and Statistics 99:698 (clusters of unequal size).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

FloatArray = NDArray[np.float64]

WITHIN_PATIENT = 0.4
"""Correlation that the images of a patient are given where it is not estimated."""


@dataclass(frozen=True)
class VariancePart:
    """One independent part of a covariance.

    Attributes
    ----------
    covariance
        [K, K].
    df
        At least 1; counts patients of unequal size as the fewer equal ones that they are worth.
    patients
        How many there are; of the rarer class where a case of either counts.
    unit_variance
        What the part would be if every case varied by one, see `unit_variance`; 0 where that was
        not asked for.
    """

    covariance: FloatArray
    df: float
    patients: int
    unit_variance: float = 0.0


@dataclass(frozen=True)
class ApproximateF:
    """Johansen's statistic, referred to F with `df` and `df_error` degrees of freedom."""

    statistic: float
    df: int
    df_error: float
    p: float


def degrees_of_freedom(parts: Sequence[VariancePart], weights: FloatArray) -> float:
    """Return Satterthwaite's degrees of freedom of the variance of a contrast [K].

    (sum v)^2 / sum(v^2 / df) over the parts' own variances v = w' C w; infinite without parts or
    without variance.
    """
    return satterthwaite([(float(weights @ part.covariance @ weights), part.df) for part in parts])


def satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    """Return the degrees of freedom of a sum of variances, given as (variance, df).

    Infinite without parts or without variance.
    """
    spread = sum(v * v / df for v, df in parts)
    return sum(v for v, _ in parts) ** 2 / spread if spread > 0.0 else math.inf


def effective_number(sizes: NDArray[np.intp]) -> float:
    """Return how many patients of equal size are worth those with `sizes` cases.

    (sum s)^2 / sum(s^2) with s = size^2, as if all cases of a patient agreed.
    """
    squared = sizes.astype(np.float64) ** 2
    return float(squared.sum() ** 2 / (squared @ squared))


def patients_worth(patients: NDArray[np.intp], weights: FloatArray | None = None) -> float:
    """Return how many independent cases are worth the cases of some patients.

    (sum w)^2 / `unit_variance`, with weights w that are all 1 by default; at least one case.
    """
    w = np.ones(patients.size) if weights is None else weights
    return float(w.sum()) ** 2 / unit_variance(patients, w)


def unit_variance(patients: NDArray[np.intp], weights: FloatArray) -> float:
    """Return the variance of a weighted sum over cases that vary by one.

    r sum over patients of (sum w)^2 + (1 - r) sum w^2, as if the cases of a patient were
    correlated by r = `WITHIN_PATIENT`.

    Parameters
    ----------
    patients
        [N] as 0, 1, 2, ...
    weights
        [N] of the cases.
    """
    of_patients = np.bincount(patients, weights=weights)
    together = WITHIN_PATIENT * float(of_patients @ of_patients)
    return together + (1.0 - WITHIN_PATIENT) * float(weights @ weights)


def johansen(
    contrasts: FloatArray, values: FloatArray, parts: Sequence[VariancePart]
) -> ApproximateF:
    """Test that all contrasts [R, K] of the values [K] are zero; their covariance has full rank.

    With V the sum of the parts V_j, T = (L x)' (L V L')^-1 (L x) is divided by
    c = R + 2 A - 6 A / (R + 2) and referred to F(R, R (R + 2) / (3 A)), where A is half the sum
    of (tr(M_j^2) + tr(M_j)^2) / df_j and M_j = L V_j L' (L V L')^-1. For groups of other patients
    this is Welch's test; without bound on the degrees of freedom it is chi-square.
    """
    d = contrasts @ values
    own = [contrasts @ part.covariance @ contrasts.T for part in parts]
    inverse = np.linalg.inv(np.sum(own, axis=0))
    R = d.size
    A = 0.0
    for part, V in zip(parts, own, strict=True):
        M = V @ inverse
        A += 0.5 * float(np.trace(M @ M) + np.trace(M) ** 2) / part.df
    statistic = float(d @ inverse @ d) / (R + 2.0 * A - 6.0 * A / (R + 2.0))
    df_error = R * (R + 2.0) / (3.0 * A)
    return ApproximateF(statistic, R, df_error, float(fdtrc(R, df_error, statistic)))
