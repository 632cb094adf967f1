"""Margins by two one-sided tests, and intervals that hold all at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.comparisons import difference_test
from mammoshift.statistics.margins import margin_tests
from mammoshift.statistics.multiplicity import adjust, rejection_limit
from mammoshift.statistics.simultaneous import covariance_of_drops, simultaneous_level
from mammoshift.statistics.transfer import drop_of_arm, drops_of

ORDER = {"inferior": 0, "undecided": 1, "non-inferior": 2}


def test_the_verdict_is_that_of_the_interval():
    for drop, expected in ((0.01, "non-inferior"), (0.05, "undecided"), (0.09, "inferior")):
        test = difference_test(drop, 0.01**2, 1.0, df=12.0)
        (found,) = margin_tests([test], 0.05, positive_is_loss=True)
        assert found.verdict == expected
        assert (test.ci_high < 0.05) == (expected == "non-inferior")
        assert (test.ci_low > 0.05) == (expected == "inferior")
        assert found.p_noninferior == pytest.approx(stats.t.cdf((drop - 0.05) / 0.01, 12))
        assert found.p_noninferior + found.p_inferior == pytest.approx(1.0)
        (mirrored,) = margin_tests(
            [difference_test(-drop, 0.01**2, 1.0, df=12.0)], 0.05, positive_is_loss=False
        )
        assert mirrored.p_noninferior == pytest.approx(found.p_noninferior)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-0.3, 0.3),
    st.floats(0.001, 0.1),
    st.floats(2.0, 100.0),
    st.floats(0.001, 0.2),
    st.floats(0.0, 0.2),
)
def test_margins_are_monotone(loss, se, df, margin, more):
    test = difference_test(loss, se**2, 1.0, df=df)
    (small,) = margin_tests([test], margin, positive_is_loss=True)
    (large,) = margin_tests([test], margin + more, positive_is_loss=True)
    assert large.p_noninferior <= small.p_noninferior
    assert ORDER[large.verdict] >= ORDER[small.verdict]


def test_a_family_is_adjusted_and_the_undefined_stays_so():
    tests = [
        difference_test(0.03, 0.01**2, 1.0),
        difference_test(0.0, 0.01**2, 1.0),
        difference_test(math.nan, math.nan, 1.0),
        difference_test(0.0, 0.0, 1.0),
    ]
    alone = [margin_tests([t], 0.05, positive_is_loss=True)[0].verdict for t in tests]
    assert alone == ["non-inferior", "non-inferior", "undefined", "non-inferior"]
    found = margin_tests(tests, 0.05, positive_is_loss=True, correction="holm")
    assert [m.family_size for m in found] == [3] * 4
    assert found[0].p_noninferior_adjusted == pytest.approx(found[0].p_noninferior)
    more = margin_tests([tests[0]] * 3, 0.05, positive_is_loss=True, correction="holm")
    assert [m.verdict for m in more] == ["undecided"] * 3
    with pytest.raises(StatisticsError, match="positive loss"):
        margin_tests(tests, 0.0, positive_is_loss=True)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8),
    st.sampled_from(["bh", "by", "holm", "none"]),
    st.floats(0.005, 0.3),
)
def test_the_limit_of_a_family_says_what_its_adjusted_tests_say(p, method, level):
    adjusted = adjust(p, method)
    limit = rejection_limit(adjusted, level)
    for own, corrected in zip(p, adjusted.p, strict=True):
        # At the limit itself rounding decides.
        if abs(own - limit) > 1e-9 * limit:
            assert (corrected < level) == (own < limit)


@pytest.mark.parametrize("correction", ["bh", "by", "holm", "none"])
@pytest.mark.parametrize("positive_is_loss", [True, False])
def test_a_corrected_verdict_is_that_of_its_own_interval(correction, positive_is_loss):
    rng = np.random.default_rng(5)
    for _ in range(30):
        losses = rng.normal(0.05, 0.03, 6)
        sign = 1.0 if positive_is_loss else -1.0
        tests = [difference_test(sign * x, 0.012**2, 1.0, df=9.0) for x in losses]
        kinds = {"positive_is_loss": positive_is_loss, "correction": correction}
        for test, found in zip(tests, margin_tests(tests, 0.05, **kinds), strict=True):
            low, high = sorted([sign * found.ci_low, sign * found.ci_high])
            assert (high < 0.05) == (found.verdict == "non-inferior")
            assert (low > 0.05) == (found.verdict == "inferior")
            assert found.ci_low <= test.ci_low + 1e-12
            assert found.ci_high >= test.ci_high - 1e-12
            if correction == "none":
                assert (found.ci_low, found.ci_high) == pytest.approx((test.ci_low, test.ci_high))


def test_max_t_against_known_levels():
    rng = np.random.default_rng(0)
    independent = simultaneous_level(np.eye(5), rng)
    assert independent == pytest.approx(0.95 ** (1 / 5), abs=0.001)
    assert simultaneous_level(np.ones((5, 5)), rng) == pytest.approx(0.95, abs=0.003)
    for seed in range(4):
        alike = simultaneous_level(np.ones((2, 2)), np.random.default_rng(seed), draws=500)
        assert alike >= 0.95
    half = simultaneous_level(0.5 * np.eye(5) + 0.5, rng)
    assert 0.95 < half < independent
    assert simultaneous_level(np.diag([1.0, 0.0, np.nan]), rng) == 0.95
    with pytest.raises(StatisticsError, match="no estimate"):
        simultaneous_level(np.zeros((2, 2)), rng)


@pytest.mark.slow
def test_simultaneous_intervals_hold_all_drops_at_once():
    rng = np.random.default_rng(1)
    sizes = ((100, 200), (80, 160), (60, 200))
    means = {0: 1.2, 1: 1.5}
    arms = [[0, 1, 2], [3, 4, 5]]
    truth = 0.0
    together = alone = 0
    rounds = 300
    for _ in range(rounds):
        estimates = []
        seeds = rng.normal(size=6) * 0.1
        for m, n in sizes:
            labels = np.repeat([1, 0], [m, n])
            d = np.repeat([means[0], means[1]], 3) + seeds
            scores = d[:, None] * labels + math.sqrt(0.5) * rng.normal(size=m + n)
            estimates.append(
                auc_covariance(labels, scores + math.sqrt(0.5) * rng.normal(size=(6, m + n)))
            )
        targets = [drops_of(estimates[0], e) for e in estimates[1:]]
        level = simultaneous_level(
            covariance_of_drops(targets, estimates[0].covariance, arms), rng, draws=5000
        )
        for chosen, name in ((level, "together"), (0.95, "alone")):
            tests = [drop_of_arm(d, own, chosen) for d in targets for own in arms]
            held = all(t.ci_low <= truth <= t.ci_high for t in tests)
            if name == "together":
                together += held
            else:
                alone += held
    assert together / rounds == pytest.approx(0.95, abs=0.035)
    assert alone < together
