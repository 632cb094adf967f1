"""Shares of patients: their limits, what is known beforehand, the choice of interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri

from mammoshift.statistics.arm_comparison import arm_mean, fixed_mean
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.curve_values import aucs, share_of_arm
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.estimates import Flag
from mammoshift.statistics.intervals import auc_intervals
from mammoshift.statistics.shares import (
    AREA,
    PRIOR_PATIENTS,
    Share,
    averaged,
    mistakes,
    seed_variance,
)


def _decisions(found, positives, false, negatives):
    labels = np.repeat([1, 0], [positives, negatives])
    called = np.r_[np.arange(positives) < found, np.arange(negatives) < false]
    return auc_covariance(labels, called.astype(float))


def _share(estimate, curves, seeds_random=True):
    share = share_of_arm(aucs(estimate), curves, seeds_random)
    assert share is not None
    return share


def test_limits_solve_their_equation():
    share = Share(0.87, 0.05)
    low, high = share.interval(0.95)
    for limit in (low, high):
        assert abs(0.87 - limit) / math.sqrt(0.05 * limit * (1.0 - limit)) == pytest.approx(
            1.959964, abs=1e-5
        )
    twice, few = Share(0.87, 0.1).interval(0.95), Share(0.87, 0.05, 9.0).interval(0.95)
    assert twice[0] < low < high < twice[1]
    assert few[0] < low < high < few[1]


def test_perfect_separation_has_a_lower_limit():
    low, high = Share(1.0, 0.04, 10.0).interval(0.95)
    assert high == 1.0
    assert 0.6 < low < 0.95
    assert Share(0.0, 0.04, 10.0).interval(0.95) == pytest.approx((0.0, 1.0 - low))


def test_what_is_estimated_counts_by_patients_and_by_mistakes():
    # 20 patients of whom each counts for 8 * 0.1 * 0.9: more patients' worth than there are others.
    assert averaged(0.03, 19.0, 0.5, 0.05) == pytest.approx(((19 * 0.03 + 10 * 0.05) / 29, 29.0))
    told = 8.0 * 20.0 * 0.98 * 0.02
    k, df = averaged(0.03, 19.0, 0.98, 0.05)
    assert (k, df) == pytest.approx(((told * 0.03 + 0.5) / (told + 10.0), told + 10.0))
    assert averaged(0.0, 19.0, 1.0, 0.05) == (0.05, PRIOR_PATIENTS)


def test_few_positives_that_agree_do_not_make_an_auc_certain():
    """Twenty of twenty found: before, the interval was that of the negatives, 0.932 to 0.963."""
    estimate = _decisions(20, 20, 38, 380)
    found = auc_intervals(estimate, method="auto")
    assert found.method == "score"
    assert found.low[0] < 0.87
    assert estimate.flags[0] == (Flag.FEW_MISTAKES,)
    assert Flag.FEW_MISTAKES not in _decisions(160, 200, 40, 400).flags[0]
    # One more that is missed moves the limits, and does not move them inwards.
    one = auc_intervals(_decisions(19, 20, 38, 380), method="auto")
    assert one.low[0] < found.low[0]
    assert one.high[0] - one.low[0] > found.high[0] - found.low[0]


def test_with_many_patients_the_score_is_the_logit_interval():
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], [4000, 8000])
    many = auc_covariance(labels, rng.normal(size=(2, 12000)) + labels)
    score, logit = (auc_intervals(many, method=name) for name in ("auto", "logit"))
    assert score.low == pytest.approx(logit.low, abs=2e-4)
    assert score.high == pytest.approx(logit.high, abs=2e-4)
    assert many.flags == ((), ())


def test_student_t_of_the_logit_counts_patients():
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], [40, 80])
    many = auc_covariance(labels, rng.normal(size=(1, 120)) + labels)
    with_t, plain = auc_intervals(many, method="logit_t"), auc_intervals(many)
    half = (np.log(plain.high / (1 - plain.high)) - np.log(plain.low / (1 - plain.low)))[0]
    own = (np.log(with_t.high / (1 - with_t.high)) - np.log(with_t.low / (1 - with_t.low)))[0]
    assert 1.0 < own / half <= critical_value(0.95, 39.0) / critical_value(0.95) + 1e-12


def test_few_patients_count_and_not_their_images():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.repeat([1, 0], [12, 60]), 4)
    scores = rng.normal(size=288) + labels
    found = auc_covariance(labels, scores, np.repeat(np.arange(72), 4))
    assert (found.patients_pos, found.patients_neg) == (12, 60)
    assert mistakes(found.parts, 0.75) == pytest.approx(12 * 0.75 * 0.25)
    patients, images = (
        auc_intervals(estimate, method="auto")
        for estimate in (found, auc_covariance(labels, scores))
    )
    assert patients.low[0] < images.low[0]


def test_constant_scores_keep_their_point():
    found = auc_covariance([1, 1, 0, 0], np.zeros((2, 4)))
    interval = auc_intervals(found, method="score")
    assert (interval.low[0], interval.high[0]) == (0.5, 0.5)
    mean = arm_mean(found, "a", [0, 1])
    assert (mean.ci_low, mean.ci_high) == (0.5, 0.5)
    undefined = auc_intervals(auc_covariance([1, 0, 0], np.arange(3.0)), method="auto")
    assert np.isnan([undefined.low[0], undefined.high[0]]).all()


def test_a_mean_over_seeds_holds_what_seeds_add():
    rng = np.random.default_rng(2)
    labels = np.repeat([1, 0], [150, 300])
    scores = rng.normal(size=450) + rng.normal(size=(3, 450)) + np.array([[0.8], [1.6], [2.4]])
    estimate = auc_covariance(
        labels, np.where(labels == 1, scores, scores - scores.mean(1)[:, None])
    )
    seeds, fixed = arm_mean(estimate, "a", [0, 1, 2]), fixed_mean(estimate, [0, 1, 2])
    assert seeds.ci_low < fixed.ci_low < fixed.auc < fixed.ci_high < seeds.ci_high
    share = _share(estimate, [0, 1, 2])
    added, spread = seed_variance(estimate.auc, estimate.covariance, [0, 1, 2])
    plain = float(estimate.auc.var(ddof=1)) / 3.0
    assert 0.0 < added < plain
    assert spread == pytest.approx(2.0 * plain)
    held = _share(estimate, [0, 1, 2], seeds_random=False)
    assert share.k - held.k == pytest.approx(added / (share.value * (1.0 - share.value)))
    assert 2.0 <= share.df < held.df


def test_seeds_that_agree_by_chance_keep_their_degrees_of_freedom():
    """Before, a spread below that of the patients left the seeds out of the degrees of freedom."""
    rng = np.random.default_rng(6)
    labels = np.repeat([1, 0], [150, 300])
    scores = 1.2 * labels + 0.3 * rng.normal(size=450) + rng.normal(size=(2, 450))
    estimate = auc_covariance(labels, scores)
    added, spread = seed_variance(estimate.auc, estimate.covariance, [0, 1])
    assert added == 0.0 < spread
    share, held = (_share(estimate, [0, 1], random) for random in (True, False))
    assert share.k == held.k
    assert share.df < held.df


def test_a_prior_of_each_class():
    estimate = _decisions(10, 10, 19, 190)
    share = _share(estimate, [0])
    inside = share.value * (1.0 - share.value)
    own = [
        averaged(part.covariance[0, 0] / inside, part.df, share.value, AREA * part.unit_variance)
        for part in estimate.parts
    ]
    assert share.k == pytest.approx(sum(k for k, _ in own))
    assert share.few_mistakes


@pytest.mark.parametrize(("auc", "largest"), [(0.8, 1), (0.95, 1), (0.8, 8)])
def test_fifty_positive_patients_are_enough_for_an_ordinary_model(auc, largest):
    """What is assumed beforehand decides little there, whatever the number of their images."""
    rng = np.random.default_rng(0)
    flagged = 0
    for _ in range(100):
        owners = np.repeat(np.arange(250), rng.integers(1, largest + 1, 250))
        labels = (owners < 50).astype(int)
        scores = rng.normal(size=250)[owners] + rng.normal(size=owners.size)
        estimate = auc_covariance(labels, scores + 2.0 * ndtri(auc) * labels, owners)
        flagged += Flag.FEW_MISTAKES in estimate.flags[0]
    assert flagged <= 20
