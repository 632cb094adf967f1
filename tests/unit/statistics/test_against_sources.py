"""Methods against the software or the formula that they cite; see docs/statistics.md."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from sklearn.linear_model import LogisticRegression

from mammoshift.statistics.calibration import brier_decomposition
from mammoshift.statistics.calibration_error import expected_calibration_error
from mammoshift.statistics.comparisons import Difference
from mammoshift.statistics.margins import margin_tests
from mammoshift.statistics.multireader import obuchowski_rockette_nested
from mammoshift.statistics.recalibration import fit_temperature
from mammoshift.statistics.sample_size import auc_variance
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.simultaneous import simultaneous_level

PROC = {
    "s100b": (0.731368563685637, 0.00266868245717244),
    "ndka": (0.611957994579946, 0.0031908105493913),
    "covariance": -0.000756164938056579,
}
"""AUC and variance of two markers of aSAH, and their covariance, as pROC's own tests print them."""


def test_non_inferiority_is_that_of_procs_variances() -> None:
    (a, var_a), (b, var_b) = PROC["s100b"], PROC["ndka"]
    difference = b - a
    se = math.sqrt(var_a + var_b - 2.0 * PROC["covariance"])
    z = difference / se
    low, high = difference - 1.959963984540054 * se, difference + 1.959963984540054 * se
    test = Difference(difference, se, z, math.inf, 2 * norm.sf(abs(z)), None, low, high)
    for margin in (0.02, 0.2, 0.35):
        (found,) = margin_tests([test], margin, positive_is_loss=False)
        # A loss of `margin` or more is rejected by a one-sided test of difference + margin > 0.
        assert found.p_noninferior == pytest.approx(norm.sf((difference + margin) / se), rel=1e-9)
        assert found.p_inferior == pytest.approx(norm.cdf((difference + margin) / se), rel=1e-9)
        within = low > -margin
        assert (found.verdict == "non-inferior") == within


def test_hanley_and_mcneil_print_their_own_example() -> None:
    # Radiology 143:29, table II: an area of .893 from 51 abnormal and 58 normal images.
    assert math.sqrt(auc_variance(0.893, 51, 58, "hanley_mcneil")) == pytest.approx(0.032, abs=6e-4)


def test_brier_parts_are_murphys_where_probabilities_are_few() -> None:
    rng = generator_for("sources", "brier")
    p = rng.choice([0.1, 0.3, 0.5, 0.9], 500)
    y = (rng.random(500) < p**1.3).astype(int)
    found = brier_decomposition(np.log(p / (1 - p)), y)
    reliability = resolution = 0.0
    for value in np.unique(p):
        own = y[p == value]
        reliability += own.size / 500 * (value - own.mean()) ** 2
        resolution += own.size / 500 * (own.mean() - y.mean()) ** 2
    assert found.reliability == pytest.approx(reliability, abs=1e-12)
    assert found.resolution == pytest.approx(resolution, abs=1e-12)
    assert found.within_bin == pytest.approx(0.0, abs=1e-12)
    assert found.score == pytest.approx(
        reliability - resolution + y.mean() * (1 - y.mean()), abs=1e-12
    )


def test_ece_is_its_definition_case_by_case() -> None:
    rng = generator_for("sources", "ece")
    logits = rng.normal(size=300) * 2
    y = (rng.random(300) < 0.4).astype(int)
    p = 1.0 / (1.0 + np.exp(-logits))
    total = 0.0
    for b in range(15):
        inside = [i for i in range(300) if b / 15 < p[i] <= (b + 1) / 15]
        if inside:
            gap = abs(sum(y[i] for i in inside) - sum(p[i] for i in inside))
            total += gap / 300
    assert expected_calibration_error(logits, y) == pytest.approx(total, abs=1e-12)


def test_temperature_is_the_slope_of_a_logistic_regression() -> None:
    rng = generator_for("sources", "temperature")
    logits = rng.normal(size=400) * 3
    y = (rng.random(400) < 1.0 / (1.0 + np.exp(-logits / 1.7))).astype(int)
    plain = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-12, max_iter=1000)
    slope = float(plain.fit(logits[:, None], y).coef_[0, 0])
    assert fit_temperature(logits, y).temperature == pytest.approx(1.0 / slope, rel=1e-5)


def test_max_t_level_holds_all_estimates_at_once() -> None:
    covariance = np.array([[1.0, 0.6, 0.2], [0.6, 2.0, 0.5], [0.2, 0.5, 1.5]])
    level = simultaneous_level(covariance, generator_for("sources", "max-t"), 0.95)
    c = norm.ppf(0.5 + level / 2.0)
    deviations = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviations, deviations)
    inside = multivariate_normal(cov=correlation, seed=0).cdf(
        np.full(3, c), lower_limit=np.full(3, -c)
    )
    assert inside == pytest.approx(0.95, abs=0.003)


def test_nested_seeds_are_the_published_sums_of_squares() -> None:
    # Hillis, Obuchowski and Berbaum 2011: F of a nested design, MS(T) over
    # MS(R(T)) + r max(Cov2 - Cov3, 0), with two arms of r readers each.
    rng = generator_for("sources", "nested")
    r = 4
    values = rng.normal(0.85, 0.01, 2 * r)
    raw = rng.normal(size=(2 * r, 60)) * 0.02 + rng.normal(size=60) * 0.03
    covariance = np.cov(raw) / 60
    first, second = list(range(r)), list(range(r, 2 * r))
    arms = values.reshape(2, r)
    between = r * ((arms.mean(axis=1) - values.mean()) ** 2).sum()
    within = ((arms - arms.mean(axis=1, keepdims=True)) ** 2).sum() / (2 * (r - 1))
    off = ~np.eye(r, dtype=bool)
    cov2 = np.mean([covariance[np.ix_(k, k)][off].mean() for k in (first, second)])
    cov3 = covariance[np.ix_(first, second)].mean()
    F = between / (within + r * max(cov2 - cov3, 0.0))
    found = obuchowski_rockette_nested(values, covariance, first, second)
    assert found.statistic is not None
    assert found.statistic**2 == pytest.approx(F, rel=1e-9)
