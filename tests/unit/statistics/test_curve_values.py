"""Measures of curves beside the AUC: their values, their covariances, and the tests on them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mammoshift.errors import StatisticsError
from mammoshift.statistics.calibration_error import debiased_l2
from mammoshift.statistics.comparisons import IDENTICAL
from mammoshift.statistics.curve_values import (
    ONE_RUN,
    CurveValues,
    contrast_of_arms,
    difference_of_arms,
    mean_of_arm,
    mean_over_datasets,
    means_of_sets,
    means_over_patients,
)
from mammoshift.statistics.paired_operating_points import (
    rates_of_decisions,
    sensitivities_at_specificity,
)
from mammoshift.statistics.paired_proper_scores import (
    brier_scores,
    likelihoods,
    squared_calibration_errors,
)
from mammoshift.statistics.thresholds import threshold_at_specificity

SIMULATION = "paired_measures"


def _cases(seed=1, patients=60, curves=4):
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), rng.integers(1, 4, patients))
    labels = rng.integers(0, 2, patients)[owner]
    logits = (
        2.0 * labels - 1.0 + rng.normal(size=owner.size) + rng.normal(size=(curves, owner.size))
    )
    return labels, logits, owner


def test_a_mean_over_patients_is_a_ratio_of_their_totals():
    _, logits, owner = _cases()
    found = means_over_patients(logits, owner)
    residuals = [
        [(row[owner == i] - row.mean()).sum() / row.size for i in np.unique(owner)]
        for row in logits
    ]
    size = len(residuals[0])
    expected = size / (size - 1) * np.array(residuals) @ np.array(residuals).T
    np.testing.assert_allclose(found.values, logits.mean(axis=1))
    np.testing.assert_allclose(found.covariance, expected)
    assert found.parts[0].df < size - 1


def test_without_patients_a_difference_is_the_paired_t_test():
    _, logits, _ = _cases(curves=2)
    test = difference_of_arms(means_over_patients(logits), [0], [1])
    expected = stats.ttest_rel(logits[0], logits[1])
    assert test.statistic == pytest.approx(expected.statistic)
    assert test.p == pytest.approx(expected.pvalue)
    assert test.note == ONE_RUN


def test_one_patient_has_a_mean_and_no_variance():
    found = means_over_patients([[1.0, 2.0]], ["a", "a"])
    assert found.values == [1.5]
    assert np.isnan(found.covariance).all()
    assert mean_of_arm(found, [0]).p is None
    with pytest.raises(StatisticsError, match="no case"):
        means_over_patients(np.empty((1, 0)))


def test_a_mean_over_datasets_keeps_each_curve_and_adds_the_patients():
    rng = np.random.default_rng(4)
    datasets = [means_over_patients(rng.normal(size=(4, n)), np.arange(n) // 2) for n in (40, 60)]
    found = mean_over_datasets(datasets)
    first, second = datasets
    np.testing.assert_allclose(found.values, (first.values + second.values) / 2)
    np.testing.assert_allclose(found.covariance, (first.covariance + second.covariance) / 4)
    np.testing.assert_allclose(sum(part.covariance for part in found.parts), found.covariance)
    assert [part.df for part in found.parts] == [19.0, 29.0]
    with pytest.raises(StatisticsError, match="same curves"):
        mean_over_datasets([first, second.only([0, 1])])


def test_curves_can_be_picked_and_turned_round():
    labels, logits, owner = _cases()
    values = brier_scores(labels, logits, owner)
    picked = values.only([3, 1])
    assert picked.values.tolist() == values.values[[3, 1]].tolist()
    one = difference_of_arms(values, [3], [1], seeds_random=False)
    assert difference_of_arms(picked, [0], [1], seeds_random=False) == one
    other = difference_of_arms(values, [1], [3], seeds_random=False)
    assert other.estimate == pytest.approx(-one.estimate)
    assert other.p == pytest.approx(one.p)


def test_equal_arms_do_not_differ_in_anything():
    labels, logits, owner = _cases(curves=2)
    same = np.vstack([logits, logits])
    rng = np.random.default_rng(0)
    for values in (
        brier_scores(labels, same, owner),
        likelihoods(labels, same, owner),
        squared_calibration_errors(labels, same, owner),
        *rates_of_decisions(labels, same > 0, owner),
        sensitivities_at_specificity(labels, same, 0.9, rng, patients=owner, resamples=50),
    ):
        test = difference_of_arms(values, [0, 1], [2, 3], seeds_random=False)
        assert (test.estimate, test.p, test.note) == (0.0, 1.0, IDENTICAL)
        random = difference_of_arms(values, [0, 1], [2, 3])
        assert random.estimate == pytest.approx(0.0, abs=1e-15)
        assert random.p is not None and random.p > 0.99


def test_proper_scores_are_the_plain_means():
    labels, logits, owner = _cases()
    p = 1.0 / (1.0 + np.exp(-logits))
    expected = ((p - labels) ** 2).mean(axis=1)
    np.testing.assert_allclose(brier_scores(labels, logits, owner).values, expected)
    expected = -(labels * np.log(p) + (1 - labels) * np.log1p(-p)).mean(axis=1)
    np.testing.assert_allclose(likelihoods(labels, logits, owner).values, expected)


def test_the_calibration_error_is_the_square_that_is_reported_and_its_variance_a_jackknife():
    labels, logits, owner = _cases(curves=1)
    found = squared_calibration_errors(labels, 3.0 * logits, owner, bins=1)
    assert math.sqrt(found.values[0]) == pytest.approx(debiased_l2(3.0 * logits[0], labels, bins=1))
    # One bin holds every case, whoever is left out.
    without = np.array(
        [
            squared_calibration_errors(labels[owner != i], 3.0 * logits[:, owner != i], bins=1)
            for i in np.unique(owner)
        ],
        dtype=object,
    )
    left = np.array([float(one.values[0]) for one in without])
    expected = (left.size - 1) / left.size * ((left - left.mean()) ** 2).sum()
    assert found.covariance[0, 0] == pytest.approx(expected)


def test_rates_of_decisions_are_those_of_each_class():
    labels, logits, owner = _cases()
    sensitivity, specificity = rates_of_decisions(labels, logits >= 0.3, owner)
    np.testing.assert_allclose(sensitivity.values, (logits[:, labels == 1] >= 0.3).mean(axis=1))
    np.testing.assert_allclose(specificity.values, (logits[:, labels == 0] < 0.3).mean(axis=1))
    with pytest.raises(StatisticsError, match="both classes"):
        rates_of_decisions(np.ones(3, int), np.ones((1, 3)))


def test_sensitivities_are_those_of_the_thresholds_of_each_curve():
    labels, logits, owner = _cases()
    found = sensitivities_at_specificity(
        labels, logits, 0.9, np.random.default_rng(3), patients=owner, resamples=200
    )
    expected = [threshold_at_specificity(labels, row, 0.9).sensitivity for row in logits]
    assert found.values.tolist() == expected
    assert (np.diag(found.covariance) > 0).all()
    again = sensitivities_at_specificity(
        labels, logits, 0.9, np.random.default_rng(3), patients=owner, resamples=200
    )
    np.testing.assert_array_equal(found.covariance, again.covariance)


@pytest.mark.slow
def test_tests_between_arms_hold_their_level(simulation):
    rates = list(simulation.rejections(600))
    noise = 2.5 * math.sqrt(0.05 * 0.95 / 600)
    random = [rate for rate in rates if rate.method == "seeds random"]
    assert len(random) == 21
    for rate in random:
        # Of two calibrated arms the test of the calibration error rejects too seldom.
        assert rate.rate <= 0.065 + noise, rate
        if "both calibrated" not in rate.measure and rate.setting.startswith("200"):
            assert rate.rate >= 0.025 - noise, rate
    fixed = {r.measure: r.rate for r in rates if "0.2" in r.setting and "fixed" in r.method}
    assert fixed["likelihood"] > 0.09


def test_sets_that_share_patients_are_paired_and_others_are_not():
    rng = np.random.default_rng(3)
    owner = np.repeat(np.arange(40), 3)
    x = rng.normal(size=(2, owner.size)) + rng.normal(size=40)[owner]
    alone = means_over_patients(x, owner)
    twice = means_of_sets([x, x[:1]], [owner, owner])
    assert twice.values == pytest.approx([*alone.values, alone.values[0]])
    assert twice.covariance[:2, :2] == pytest.approx(alone.covariance)
    assert difference_of_arms(twice, [0], [2]).se == pytest.approx(0.0, abs=1e-12)
    apart = means_of_sets([x, x[:1]], [owner, owner + 40])
    assert apart.covariance[:2, 2] == pytest.approx([0.0, 0.0])
    assert [part.df for part in apart.parts] == pytest.approx([39.0, 39.0])


def test_sets_that_share_some_patients_by_hand():
    found = means_of_sets([[1.0, 0.0, 1.0], [0.0, 1.0]], [["a", "b", "c"], ["c", "d"]])
    first = np.array([1 / 3, -2 / 3, 1 / 3, 0.0]) / 3 * np.sqrt(3 / 2)
    second = np.array([0.0, 0.0, -0.5, 0.5]) / 2 * np.sqrt(2)
    both = np.stack([first, second])
    assert found.values == pytest.approx([2 / 3, 1 / 2])
    assert found.covariance == pytest.approx(both @ both.T)
    with pytest.raises(StatisticsError, match="no case"):
        means_of_sets([[1.0], np.empty((1, 0))], [["a"], []])


def test_a_contrast_of_arms_takes_the_spread_of_each():
    rng = np.random.default_rng(5)
    values, root = rng.normal(size=8), rng.normal(size=(8, 12)) / 20
    estimate = CurveValues(values, root @ root.T)
    arms = [[0, 1], [2, 3], [4, 5], [6, 7]]
    signs = [0.5, -0.5, 0.5, -0.5]
    found = contrast_of_arms(estimate, arms, signs)
    means = values.reshape(4, 2).mean(axis=1)
    assert found.estimate == pytest.approx(signs @ means)
    C = estimate.covariance
    between = np.array([[C[np.ix_(a, b)].mean() for b in arms] for a in arms])
    np.fill_diagonal(between, [C[a[0], a[1]] for a in arms])
    patients = max(signs @ between @ np.array(signs), 0.0)
    seeds = 0.25 * sum(values[a].var(ddof=1) / 2 for a in arms)
    assert found.se == pytest.approx(np.sqrt(patients + seeds))
    two = contrast_of_arms(estimate, arms[:2], [1.0, -1.0])
    assert two == difference_of_arms(estimate, *arms[:2])
    fixed = contrast_of_arms(estimate, arms, signs, seeds_random=False)
    w = np.repeat(signs, 2) / 2
    assert fixed.se == pytest.approx(np.sqrt(w @ C @ w))
