"""Average precision: value, variance and interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from mammoshift.statistics.auprc import auprc_covariance, auprc_intervals
from mammoshift.statistics.comparisons import paired
from mammoshift.statistics.estimates import Flag


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 5]))
def test_equals_scikit_learn(seed, digits):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[1, 1, 0, 0, rng.integers(0, 2, 30)])
    scores = np.round(rng.normal(size=(2, 34)) + labels, digits)
    found = auprc_covariance(labels, scores)
    expected = [average_precision_score(labels, row) for row in scores]
    np.testing.assert_allclose(found.auprc, expected, atol=1e-13)


def _weighted(labels, scores, weights):
    """Average precision of weighted cases, by its definition."""
    positives = np.flatnonzero(labels)
    total = 0.0
    for i in positives:
        called = scores >= scores[i]
        tp = weights[called & (labels == 1)].sum()
        total += weights[i] * tp / weights[called].sum()
    return total / weights[positives].sum()


@pytest.mark.parametrize("digits", [0, 6])
def test_variance_is_the_infinitesimal_jackknife(digits):
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], [12, 25])
    scores = np.round(rng.normal(size=37) + labels, digits)
    found = auprc_covariance(labels, scores)
    derivative, step = np.empty(37), 1e-6
    for j in range(37):
        up, down = np.ones(37), np.ones(37)
        up[j] += step
        down[j] -= step
        derivative[j] = _weighted(labels, scores, up) - _weighted(labels, scores, down)
    derivative /= 2 * step
    expected = 0.0
    for chosen in (labels == 1, labels == 0):
        size = chosen.sum()
        expected += (
            size / (size - 1) * ((derivative[chosen] - derivative[chosen].mean()) ** 2).sum()
        )
    assert found.covariance[0, 0] == pytest.approx(expected, rel=1e-6)


def test_variance_matches_resampling():
    rng = np.random.default_rng(1)
    labels = np.repeat([1, 0], [60, 240])
    values = []
    for _ in range(1000):
        scores = rng.normal(size=300) + 1.2 * labels
        values.append(auprc_covariance(labels, scores).auprc[0])
    mean = np.mean(
        [
            auprc_covariance(labels, rng.normal(size=300) + 1.2 * labels).covariance[0, 0]
            for _ in range(100)
        ]
    )
    assert mean == pytest.approx(np.var(values), rel=0.12)


def test_clusters_and_pairs():
    rng = np.random.default_rng(2)
    labels = np.repeat(rng.integers(0, 2, 100), 3)
    patients = np.repeat(np.arange(100), 3)
    scores = np.repeat(rng.normal(size=(2, 100)), 3, axis=1) + labels
    plain, clustered = auprc_covariance(labels, scores), auprc_covariance(labels, scores, patients)
    assert clustered.se[0] == pytest.approx(np.sqrt(3) * plain.se[0], rel=0.1)
    singletons = auprc_covariance(labels, scores, np.arange(300))
    np.testing.assert_allclose(singletons.covariance, plain.covariance, rtol=1e-10)
    found = paired(clustered.auprc, clustered.covariance, 0, 1)
    assert found.se == pytest.approx(
        np.sqrt(np.array([1, -1]) @ clustered.covariance @ np.array([1, -1]))
    )


def test_degenerate_cases():
    constant = auprc_covariance([1, 0, 0, 1], np.zeros(4))
    assert constant.auprc[0] == 0.5
    assert Flag.CONSTANT_SCORES in constant.flags[0]
    perfect = auprc_covariance([1, 1, 0, 0], [4.0, 3.0, 2.0, 1.0])
    assert perfect.auprc[0] == 1.0
    assert np.isnan(auprc_intervals(perfect).low[0])
    none = auprc_covariance([0, 0, 0], [1.0, 2.0, 3.0])
    assert np.isnan(none.auprc[0])
    assert Flag.NO_POSITIVE in none.flags[0]
    one = auprc_covariance([1, 0, 0], [2.0, 3.0, 1.0])
    assert one.auprc[0] == 0.5
    assert np.isnan(one.se[0])
    assert "one positive" in one.notes[0]


def test_interval_holds_the_estimate_within_zero_and_one():
    rng = np.random.default_rng(3)
    labels = np.repeat([1, 0], [10, 90])
    found = auprc_covariance(labels, rng.normal(size=(3, 100)) + 2 * labels)
    interval = auprc_intervals(found)
    assert np.all((interval.low > 0) & (interval.low < found.auprc))
    assert np.all((interval.high < 1) & (interval.high > found.auprc))
