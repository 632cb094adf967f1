from __future__ import annotations

import numpy as np
import pytest

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.comparisons import power_of_difference
from mammoshift.statistics.sample_size import (
    auc_variance,
    cases_for_auc,
    cases_for_difference,
    cases_for_sensitivity,
    design_effect,
    paired_difference_se,
    sensitivity_variance,
)
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.thresholds import threshold_at_specificity


def test_hanley_and_mcneil_by_hand() -> None:
    a, m, n = 0.893, 51.0, 58.0
    q1, q2 = a / (2 - a), 2 * a**2 / (1 + a)
    expected = (a * (1 - a) + (m - 1) * (q1 - a**2) + (n - 1) * (q2 - a**2)) / (m * n)
    assert auc_variance(a, m, n, "hanley_mcneil") == pytest.approx(expected, rel=1e-14)
    # Their worked example (Radiology 1982, table II) gives a standard error of 0.032.
    assert np.sqrt(expected) == pytest.approx(0.032, abs=0.001)


@pytest.mark.parametrize(("shift", "m", "n"), [(1.2, 60, 140), (0.6, 57, 265)])
def test_the_binormal_variance_predicts_simulated_data(shift: float, m: int, n: int) -> None:
    rng = generator_for("planned", str(m))
    labels = np.repeat([1, 0], [m, n])
    aucs = [
        auc_covariance(labels, rng.normal(size=m + n) + shift * labels).auc[0] for _ in range(400)
    ]
    planned = auc_variance(float(np.mean(aucs)), m, n)
    assert np.std(aucs) == pytest.approx(np.sqrt(planned), rel=0.12)


def test_obuchowski_is_close_to_the_exact_null_variance_and_cautious_above() -> None:
    exact = (1 / 60 + 1 / 140) / 12
    assert auc_variance(0.5, 60, 140, "binormal") == pytest.approx(exact, rel=0.01)
    assert auc_variance(0.5, 60, 140, "obuchowski") == pytest.approx(exact, rel=0.06)
    assert auc_variance(0.8, 60, 140, "obuchowski") > 1.2 * auc_variance(0.8, 60, 140)


def test_the_sensitivity_at_an_estimated_threshold_varies_as_planned() -> None:
    rng = generator_for("linnet")
    m, n = 100, 200
    labels = np.repeat([1, 0], [m, n])
    found = [
        threshold_at_specificity(labels, rng.normal(size=m + n) + 1.8 * labels, 0.9).sensitivity
        for _ in range(600)
    ]
    planned = sensitivity_variance(float(np.mean(found)), m, n, 0.9)
    assert np.std(found) == pytest.approx(np.sqrt(planned), rel=0.12)
    assert planned > 1.3 * sensitivity_variance(float(np.mean(found)), m, n)


def test_the_plan_reaches_the_width_and_one_less_does_not() -> None:
    plan = cases_for_auc(0.85, 0.10, 0.2)
    assert plan.achieved <= 0.10
    assert cases_for_auc(0.85, 0.05, 0.2).n == pytest.approx(4 * plan.n, rel=0.05)
    assert plan.n_pos == pytest.approx(0.2 * plan.n, abs=1.5)
    fewer = cases_for_auc(0.85, 0.10, 0.5)
    assert fewer.n < plan.n


def test_a_reestimated_threshold_costs_cases() -> None:
    fixed = cases_for_sensitivity(0.6, 0.15, 0.3)
    tuned = cases_for_sensitivity(0.6, 0.15, 0.3, specificity=0.95)
    assert tuned.n > 1.3 * fixed.n
    assert fixed.n_pos == pytest.approx(4 * 1.96**2 * 0.24 / 0.15**2, rel=0.05)


def test_dependence_within_patients_costs_images() -> None:
    alone = cases_for_auc(0.8, 0.1, 0.3)
    four = cases_for_auc(0.8, 0.1, 0.3, cases_per_patient=4.0, intra_patient_correlation=0.5)
    assert design_effect(4.0, 0.5) == 2.5
    assert four.n == pytest.approx(2.5 * alone.n, rel=0.02)
    assert four.n_patients == -(-four.n // 4)


def test_the_subgroup_of_140_is_underpowered() -> None:
    # 40 cancers in 140 cases; 0.870 against 0.842 as in the cross-sensor study.
    for correlation, low, high in ((0.3, 0.05, 0.2), (0.9, 0.25, 0.5)):
        se = paired_difference_se(0.870, 0.842, 40, 100, correlation)
        assert low < power_of_difference(0.028, se) < high
    plan = cases_for_difference(0.870, 0.842, 0.5, 40 / 140)
    assert plan.n > 700 and plan.achieved >= 0.8
    se = paired_difference_se(0.870, 0.842, plan.n_pos, plan.n_neg, 0.5)
    assert power_of_difference(0.028, se) == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cases_for_auc(1.0, 0.1, 0.2), "auc is 1.0"),
        (lambda: cases_for_auc(0.8, 0.1, 0.0), "prevalence is 0.0"),
        (lambda: cases_for_auc(0.8, 1e-9, 0.5), "no sample"),
        (lambda: cases_for_difference(0.8, 0.8, 0.5, 0.2), "equal"),
        (lambda: paired_difference_se(0.8, 0.7, 10, 10, 1.5), "correlation is 1.5"),
        (lambda: design_effect(0.5, 0.1), "at least 1"),
        (lambda: auc_variance(0.8, 0, 10), "need both"),
    ],
)
def test_bad_plans_are_named(call, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()
