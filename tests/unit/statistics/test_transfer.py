"""Transfer drops: of these checkpoints, of an architecture, and their differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import AucEstimate, auc_covariance
from mammoshift.statistics.comparisons import IDENTICAL, ONE_SIDED, paired
from mammoshift.statistics.curve_values import ONE_RUN
from mammoshift.statistics.multireader import obuchowski_rockette_nested
from mammoshift.statistics.transfer import FEW, difference_of_arm_drops, drop_of_arm, drops_of

A, B = [0, 1, 2], [3, 4, 5]


def _estimate(seed, n, curves=6):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    scores = rng.normal(size=(curves, n)) + rng.normal(size=n) + labels
    return auc_covariance(labels, scores)


def test_fixed_checkpoints_add_the_two_variances():
    source, target = _estimate(1, 200), _estimate(2, 90)
    drops = drops_of(source, target)
    drop = drop_of_arm(drops, [0], seeds_random=False)
    assert drop.estimate == pytest.approx(source.auc[0] - target.auc[0])
    assert drop.se == pytest.approx(math.hypot(source.se[0], target.se[0]))
    both = difference_of_arm_drops(drops, [0], [1], seeds_random=False)
    at = [paired(e.auc, e.covariance, 0, 1) for e in (source, target)]
    assert both.estimate == pytest.approx(at[0].estimate - at[1].estimate)
    assert both.se == pytest.approx(math.hypot(at[0].se, at[1].se))
    other = drop_of_arm(drops, [1], seeds_random=False)
    assert both.estimate == pytest.approx(drop.estimate - other.estimate)


def test_random_seeds_by_the_formula():
    source, target = _estimate(1, 200), _estimate(2, 150)
    found = drop_of_arm(drops_of(source, target), A)
    d = source.auc[:3] - target.auc[:3]
    C = source.covariance[:3, :3] + target.covariance[:3, :3]
    between = (C.sum() - np.trace(C)) / 6
    assert found.estimate == pytest.approx(d.mean())
    assert found.se == pytest.approx(math.sqrt(d.var(ddof=1) / 3 + between))
    assert 2.0 <= found.df < 1000.0
    pair = difference_of_arm_drops(drops_of(source, target), A, B)
    drops = drops_of(source, target)
    same = obuchowski_rockette_nested(drops.values, drops.covariance, A, B, parts=drops.parts)
    assert (pair.estimate, pair.p) == (same.estimate, same.p)


def test_seeds_that_agree_at_both_datasets_have_no_seed_variance_in_the_drop():
    """A seed that gains as much at the source as at the target loses nothing in between."""
    source, target = _estimate(1, 400), _estimate(2, 400)
    shifted = [0.05, -0.05, 0.0, 0.0, 0.0, 0.0]
    plain = drops_of(source, target)
    moved = drops_of(
        type(source)(**{**vars(source), "auc": source.auc + shifted}),
        type(target)(**{**vars(target), "auc": target.auc + shifted}),
    )
    assert drop_of_arm(moved, A).se == pytest.approx(drop_of_arm(plain, A).se)


def test_one_run_speaks_of_its_own_model():
    drops = drops_of(_estimate(1, 200), _estimate(2, 150))
    assert ONE_RUN in drop_of_arm(drops, [0]).note
    assert drop_of_arm(drops, [0], seeds_random=False).note == ""
    assert ONE_RUN in difference_of_arm_drops(drops, A, [3]).note


def test_a_drop_from_a_perfect_source_says_what_its_interval_lacks():
    labels = np.repeat([0, 1], 20)
    source = auc_covariance(labels, np.arange(40.0))
    target = auc_covariance(labels, np.random.default_rng(0).normal(size=40) + labels)
    found = drop_of_arm(drops_of(source, target), [0], seeds_random=False)
    assert found.note == f"{ONE_SIDED}; {FEW}"
    assert found.se == pytest.approx(target.se[0])
    assert drop_of_arm(drops_of(target, target), [0], seeds_random=False).note == FEW
    alike = drop_of_arm(drops_of(source, source), [0], seeds_random=False)
    assert alike.note == IDENTICAL


def test_different_curves_are_refused():
    with pytest.raises(StatisticsError, match="6 curves at the source and 4"):
        drops_of(_estimate(1, 200), _estimate(2, 90, 4))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 3, 5]))
def test_a_drop_against_itself_is_zero_with_a_sane_interval(seed, seeds):
    estimate = _estimate(seed, 150, seeds)
    for is_random in (True, False):
        found = drop_of_arm(
            drops_of(estimate, estimate), list(range(seeds)), seeds_random=is_random
        )
        assert found.estimate == 0.0
        assert found.p == 1.0
        assert found.ci_low < 0.0 < found.ci_high
        assert found.ci_high == pytest.approx(-found.ci_low)
        assert found.ci_high < 0.4


@pytest.mark.parametrize(("positives", "few"), [(49, True), (50, False)])
def test_a_loss_among_few_patients_says_what_its_interval_lacks(positives: int, few: bool) -> None:
    rng = np.random.default_rng(1)

    def estimate(n: int) -> AucEstimate:
        labels = np.repeat([0, 1], [200, n])
        return auc_covariance(labels, rng.normal(size=labels.size) + labels)

    found = drop_of_arm(drops_of(estimate(200), estimate(positives)), [0], seeds_random=False)
    assert (FEW in found.note) == few
