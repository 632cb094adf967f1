"""The score interval of an AUC, and the choice between intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.intervals import auc_intervals
from mammoshift.statistics.score_interval import hanley_mcneil_variance, score_interval


def test_limits_solve_their_equation():
    low, high = score_interval(0.87, 1e-9, (10, 130), math.inf, 0.95)
    for limit in (low, high):
        spread = math.sqrt(hanley_mcneil_variance(limit, (10, 130)))
        assert abs(0.87 - limit) / spread == pytest.approx(1.959964, abs=1e-5)
    twice = 2.0 * hanley_mcneil_variance(0.87, (10, 130))
    wider = score_interval(0.87, twice, (10, 130), math.inf, 0.95)
    assert wider[0] < low < high < wider[1]
    few = score_interval(0.87, twice, (10, 130), 9.0, 0.95)
    assert few[0] < wider[0]


def test_perfect_separation_has_a_lower_limit():
    low, high = score_interval(1.0, 0.0, (12, 100), math.inf, 0.95)
    assert high == 1.0
    assert 0.6 < low < 0.95
    mirrored = score_interval(0.0, 0.0, (12, 100), math.inf, 0.95)
    assert mirrored == pytest.approx((0.0, 1.0 - low))
    assert np.isnan(score_interval(math.nan, math.nan, (1, 5), math.inf, 0.95)).all()


def test_auto_takes_the_score_below_twenty_patients():
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], [19, 80])
    scores = rng.normal(size=(2, 99)) + labels
    few = auc_covariance(labels, scores)
    chosen, score = auc_intervals(few, method="auto"), auc_intervals(few, method="score")
    assert chosen.method == "score"
    np.testing.assert_array_equal(chosen.low, score.low)
    labels = np.repeat([1, 0], [40, 80])
    many = auc_covariance(labels, rng.normal(size=(1, 120)) + labels)
    with_t, plain = auc_intervals(many, method="auto"), auc_intervals(many)
    assert with_t.method == "logit_t"
    df = many.parts and 39.0
    assert with_t.low[0] < plain.low[0]
    half = (np.log(plain.high / (1 - plain.high)) - np.log(plain.low / (1 - plain.low)))[0]
    own = (np.log(with_t.high / (1 - with_t.high)) - np.log(with_t.low / (1 - with_t.low)))[0]
    assert 1.0 < own / half <= critical_value(0.95, df) / critical_value(0.95) + 1e-12


def test_few_patients_count_and_not_their_images():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.repeat([1, 0], [12, 60]), 4)
    found = auc_covariance(labels, rng.normal(size=288) + labels, np.repeat(np.arange(72), 4))
    assert (found.patients_pos, found.patients_neg) == (12, 60)
    assert auc_intervals(found, method="auto").method == "score"


def test_constant_scores_keep_their_point():
    found = auc_covariance([1, 1, 0, 0], np.zeros((1, 4)))
    interval = auc_intervals(found, method="score")
    assert (interval.low[0], interval.high[0]) == (0.5, 0.5)
