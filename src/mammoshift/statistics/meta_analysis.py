"""Combining one comparison over datasets with different patients.

References
----------
DerSimonian and Laird 1986, Controlled Clinical Trials 7:177; Paule and Mandel 1982, Journal of
Research of the National Bureau of Standards 87:377 (tau^2). Hartung and Knapp 2001, Statistics
in Medicine 20:1771 (variance of the mean); Roever, Knapp and Friede 2015, BMC Medical Research
Methodology 15:99 (its lower bound). Higgins and Thompson 2002, Statistics in Medicine 21:1539
(I^2, equation 9). Stouffer 1949; Lipták 1958 (weighted sum of z). Bakirov and Székely 2006, Journal
of Mathematical Sciences 139:6497; Ibragimov and Müller 2010, Journal of Business and Economic
Statistics 28:453 (t-test of normal estimates with unequal variances).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import brentq

from mammoshift.errors import StatisticsError
from mammoshift.statistics.comparisons import Combined, combined, difference_test
from mammoshift.statistics.distributions import chi_square_p
from mammoshift.statistics.inputs import FloatArray

STOUFFER = "weighted_stouffer"
RANDOM_EFFECTS = "random_effects"
EQUAL_WEIGHTS = "equal_weights_t"
FEW_DATASETS = 5
_ROUNDING = 1e-6
"""Paule and Mandel's variance makes the factor 1 but for rounding."""
UNEQUAL = (
    "few datasets of unequal precision: this test rejects up to 20 % of true nulls; use "
    f"{EQUAL_WEIGHTS}"
)
ALIKE = "the datasets differ less than chance would make them: compare the common effect"


@dataclass(frozen=True)
class MetaAnalysis:
    """A random-effects mean and its heterogeneity.

    Attributes
    ----------
    mean
        The test and interval of the mean over datasets such as these.
    tau2
        Variance of the true effects between datasets; None where undefined.
    i2
        Share of the total variance that lies between datasets, in [0, 1].
    q, q_df, q_p
        Cochran's test of equal effects.
    n_datasets
        Datasets used; those with an undefined effect or without variance are left out.
    """

    mean: Combined
    tau2: float | None
    i2: float | None
    q: float | None
    q_df: int
    q_p: float | None
    n_datasets: int


def weighted_stouffer(
    estimates: Sequence[float],
    ses: Sequence[float],
    weights: Sequence[float] | None = None,
    level: float = 0.95,
) -> Combined:
    """Combine the z of independent datasets: Z = sum w z / sqrt(sum w^2).

    Legitimate across datasets because their patients differ, unlike across seeds. The default
    weights 1/se make it the inverse-variance (common-effect) mean; other weights, such as the
    square root of the sample size, weigh the effects by w/se.

    Parameters
    ----------
    estimates, ses
        One difference for each dataset and its standard error; NaN, or a standard error of zero,
        leaves the dataset out, and the note says so.
    weights
        Positive, one for each dataset.
    level
        Of the interval.
    """
    d, se, usable = _usable(estimates, ses)
    note = _left_out(usable)
    if d.size == 0:
        return Combined(STOUFFER, None, None, None, math.inf, None, None, None, note)
    w = 1.0 / se if weights is None else np.asarray(weights, dtype=np.float64)[usable]
    if not (np.isfinite(w).all() and (w > 0.0).all()):
        raise StatisticsError("weights of datasets must be positive numbers")
    effect_weights = w / se
    total = float(effect_weights.sum())
    variance = float(w @ w) / total**2
    mean = float(effect_weights @ d) / total
    return combined(STOUFFER, difference_test(mean, variance, variance, level=level), note)


def equal_weights(
    estimates: Sequence[float], ses: Sequence[float], level: float = 0.95
) -> Combined:
    """Test the plain mean over datasets by Student's t on their estimates.

    It answers what the mean difference is over datasets such as these, each counting the same.
    Whatever the precision and the heterogeneity of the datasets, the test at 5 % rejects at most
    5 % of true nulls (Bakirov and Székely 2006), which no weighted mean of three datasets does.
    Parameters are those of `random_effects`; the standard errors only tell which datasets are
    defined.
    """
    d, _, usable = _usable(estimates, ses)
    note, k = _left_out(usable), d.size
    if k < 2:
        reason = "; ".join(filter(None, (note, "undefined: fewer than two datasets")))
        return Combined(EQUAL_WEIGHTS, None, None, None, math.inf, None, None, None, reason)
    variance = float(d.var(ddof=1)) / k
    scale = float(np.abs(d).max()) ** 2
    test = difference_test(float(d.mean()), variance, scale, k - 1, level)
    return combined(EQUAL_WEIGHTS, test, note)


def random_effects(
    estimates: Sequence[float],
    ses: Sequence[float],
    tau2_method: Literal["paule_mandel", "dersimonian_laird"] = "paule_mandel",
    at_least_common_effect: bool = False,
    level: float = 0.95,
) -> MetaAnalysis:
    """Return the mean effect over datasets whose true effects differ (Hartung and Knapp).

    The mean has Student's t with k - 1 degrees of freedom and a variance that is scaled by how
    much the datasets really differ, which keeps the nominal error rate for few datasets too.
    Datasets that are by chance more alike than their own standard errors allow give a short
    interval; the note then says so. `at_least_common_effect` bounds that variance from below:
    never too short, but with three datasets it hardly ever rejects anything.

    Parameters
    ----------
    estimates, ses
        One difference for each dataset and its standard error; NaN, or a standard error of zero,
        leaves the dataset out, and the note says so.
    tau2_method
        Estimator of the variance between datasets.
    at_least_common_effect
        See above.
    level
        Of the interval.
    """
    d, se, usable = _usable(estimates, ses)
    note, k = _left_out(usable), d.size
    if k < 2:
        reason = "; ".join(filter(None, (note, "undefined: fewer than two datasets")))
        mean = Combined(RANDOM_EFFECTS, None, None, None, math.inf, None, None, None, reason)
        return MetaAnalysis(mean, None, None, None, 0, None, k)
    v = se**2
    q = _generalised_q(d, v, 0.0)
    tau2 = _paule_mandel(d, v) if tau2_method == "paule_mandel" else _dersimonian_laird(d, v)
    w = 1.0 / (v + tau2)
    mu = float(w @ d / w.sum())
    factor = float(w @ (d - mu) ** 2) / (k - 1)
    if factor < 1.0 and at_least_common_effect:
        factor = 1.0
    elif factor < 1.0 - _ROUNDING:
        note = "; ".join(filter(None, (note, ALIKE)))
    if k < FEW_DATASETS and se.max() > 1.5 * se.min():
        note = "; ".join(filter(None, (note, UNEQUAL)))
    variance = factor / float(w.sum())
    typical = (k - 1) * float((1.0 / v).sum()) / float((1.0 / v).sum() ** 2 - (1.0 / v**2).sum())
    mean = combined(
        RANDOM_EFFECTS, difference_test(mu, variance, 1.0 / float(w.sum()), k - 1, level), note
    )
    return MetaAnalysis(mean, tau2, tau2 / (tau2 + typical), q, k - 1, chi_square_p(q, k - 1), k)


def _usable(
    estimates: Sequence[float], ses: Sequence[float]
) -> tuple[FloatArray, FloatArray, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    d, se = np.asarray(estimates, dtype=np.float64), np.asarray(ses, dtype=np.float64)
    if d.shape != se.shape or d.ndim != 1:
        raise StatisticsError("give one estimate and one standard error for each dataset")
    usable = np.isfinite(d) & np.isfinite(se) & (se > 0.0)
    return d[usable], se[usable], usable


def _left_out(usable: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> str:
    count = int(np.count_nonzero(~usable))
    return f"{count} of {usable.size} datasets left out: undefined" if count else ""


def _generalised_q(d: FloatArray, v: FloatArray, tau2: float) -> float:
    w = 1.0 / (v + tau2)
    return float(w @ (d - w @ d / w.sum()) ** 2)


def _paule_mandel(d: FloatArray, v: FloatArray) -> float:
    """Return the tau^2 at which the generalised Q equals its expectation k - 1, at least 0."""
    expected = d.size - 1

    def excess(tau2: float) -> float:
        return _generalised_q(d, v, tau2) - expected

    if excess(0.0) <= 0.0:
        return 0.0
    high = float(np.ptp(d) ** 2)
    while excess(high) > 0.0:
        high *= 2.0
    return float(brentq(excess, 0.0, high, xtol=1e-16, rtol=1e-14))  # type: ignore[arg-type]


def _dersimonian_laird(d: FloatArray, v: FloatArray) -> float:
    w = 1.0 / v
    spread = float(w.sum() - (w @ w) / w.sum())
    return max(0.0, (_generalised_q(d, v, 0.0) - (d.size - 1)) / spread)
