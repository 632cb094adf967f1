"""Transfer drops: of these checkpoints, of an architecture, and their differences."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import AucEstimate, auc_covariance
from mammoshift.statistics.comparisons import paired
from mammoshift.statistics.curve_values import ONE_RUN, aucs
from mammoshift.statistics.margins import margin_tests
from mammoshift.statistics.multireader import obuchowski_rockette_nested
from mammoshift.statistics.paired_operating_points import (
    rates_of_decisions,
    sensitivities_at_specificity,
)
from mammoshift.statistics.paired_proper_scores import (
    brier_scores,
    likelihoods,
    squared_calibration_errors,
)
from mammoshift.statistics.transfer import (
    FEW,
    FEW_MISTAKES,
    FEWEST,
    THREE_SEEDS_OF_LOSS,
    difference_of_arm_drops,
    drop_of_arm,
    drops_between,
    drops_of,
)
from mammoshift.statistics.variance_parts import patients_worth

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


def test_a_perfect_source_has_an_uncertainty_of_its_own():
    labels = np.repeat([0, 1], 20)
    source = auc_covariance(labels, np.arange(40.0))
    target = auc_covariance(labels, np.random.default_rng(0).normal(size=40) + labels)
    found = drop_of_arm(drops_of(source, target), [0], seeds_random=False)
    assert found.note == FEW_MISTAKES
    assert found.se == pytest.approx(target.se[0])
    # The upper limit holds what a lower AUC at the source leaves, the lower one cannot go higher.
    alone = drop_of_arm(drops_of(target, source), [0], seeds_random=False)
    assert (alone.ci_low, alone.ci_high) == pytest.approx((-found.ci_high, -found.ci_low))
    alike = drop_of_arm(drops_of(source, source), [0], seeds_random=False)
    assert (alike.estimate, alike.p, alike.note) == (0.0, 1.0, FEW_MISTAKES)
    assert -0.2 < alike.ci_low < -0.05
    assert alike.ci_high == pytest.approx(-alike.ci_low)


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


def _of_few(positives: int, curves: int = 1, images: int = 1) -> AucEstimate:
    rng = np.random.default_rng(positives)
    labels = np.repeat(np.repeat([0, 1], [200, positives]), images)
    scores = rng.normal(size=(curves, labels.size)) + labels
    patients = np.repeat(np.arange(200 + positives), images)
    return auc_covariance(labels, scores, patients)


@pytest.mark.parametrize(("positives", "few"), [(4, True), (5, False), (20, False)])
def test_a_loss_of_so_few_patients_that_nothing_was_tried_says_so(positives: int, few: bool):
    found = drop_of_arm(drops_of(_of_few(200), _of_few(positives)), [0], seeds_random=False)
    assert (FEWEST in found.note) == few
    assert FEW not in found.note


@pytest.mark.parametrize(("positives", "few"), [(49, True), (50, False)])
def test_a_loss_of_what_is_no_share_says_what_its_interval_lacks(positives: int, few: bool):
    ends = [
        replace(aucs(_of_few(n)), beforehand=None, values=np.array([at]))
        for n, at in ((200, 0.4), (positives, 0.9))
    ]
    found = drop_of_arm(drops_between(*ends), [0], seeds_random=False)
    assert (FEW in found.note) == few
    assert found.shape is None
    assert found.ci_high - found.estimate == pytest.approx(found.estimate - found.ci_low)


def test_the_interval_of_a_loss_among_few_patients_leans_to_the_loss():
    """A high AUC of few patients may be chance, and then more is lost than it seems."""
    drop = drop_of_arm(drops_of(_of_few(200), _of_few(12)), [0], seeds_random=False)
    assert drop.ci_high - drop.estimate > 1.2 * (drop.estimate - drop.ci_low)
    many = drop_of_arm(drops_of(_of_few(5000), _of_few(4000)), [0], seeds_random=False)
    half = stats.t.ppf(0.975, many.df) * many.se
    assert (many.ci_low, many.ci_high) == pytest.approx(
        (many.estimate - half, many.estimate + half), abs=0.02 * half
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 40), st.sampled_from([1, 3]), st.sampled_from([1, 2]), st.floats(-0.15, 0.15))
def test_test_interval_and_verdict_of_a_loss_say_the_same(positives, seeds, images, value):
    drops = drops_of(_of_few(60, seeds, images), _of_few(positives, seeds, images))
    own = list(range(seeds))
    drop = drop_of_arm(drops, own)
    at_p = drop_of_arm(drops, own, 1.0 - drop.p)
    end = at_p.ci_low if drop.estimate > 0.0 else at_p.ci_high
    assert end == pytest.approx(0.0, abs=1e-9)
    assert drop.p == pytest.approx(2.0 * stats.t.sf(abs(drop.statistic), drop.df))
    for margin in {max(abs(value), 0.001), 0.05}:
        (verdict,) = margin_tests([drop], margin, positive_is_loss=True)
        (mirrored,) = margin_tests([drop], margin, positive_is_loss=False)
        assert (drop.ci_high < margin) == (verdict.verdict == "non-inferior")
        assert (drop.ci_low > margin) == (verdict.verdict == "inferior")
        assert (drop.ci_low > -margin) == (mirrored.verdict == "non-inferior")
        assert verdict.p_noninferior + verdict.p_inferior == pytest.approx(1.0)
        assert (verdict.ci_low, verdict.ci_high) == pytest.approx((drop.ci_low, drop.ci_high))


def test_a_rate_of_few_patients_that_are_all_called_has_limits():
    labels = np.repeat([1, 0], [12, 40])
    source = rates_of_decisions(np.repeat([1, 0], [100, 40]), np.arange(140) % 10 > 0)[0]
    target = rates_of_decisions(labels, np.ones(52))[0]
    drop = drop_of_arm(drops_between(source, target), [0], seeds_random=False)
    assert drop.estimate == pytest.approx(-0.1)
    assert 0.05 < drop.ci_high < 0.25
    assert drop.ci_low > -0.25


def _decisions(found: int, positives: int, false: int, negatives: int) -> AucEstimate:
    labels = np.repeat([1, 0], [positives, negatives])
    called = np.concatenate([np.arange(positives) < found, np.arange(negatives) < false]).astype(
        float
    )
    return auc_covariance(labels, called)


def test_few_positives_that_agree_do_not_show_that_little_is_lost():
    """All of ten cancers are found: their own variance is zero, and many negatives change nothing.

    What is known of them beforehand counts for more than what nine found of ten would leave open.
    """
    source = _decisions(190, 200, 20, 400)
    all_found, nine = (
        drop_of_arm(drops_of(source, _decisions(n, 10, 19, 190)), [0], seeds_random=False)
        for n in (10, 9)
    )
    verdict, other = margin_tests([all_found, nine], 0.05, positive_is_loss=True)
    assert (verdict.verdict, other.verdict) == ("undecided", "undecided")
    assert all_found.ci_high > 0.07
    assert all_found.df < 100.0
    positives, negatives = _decisions(10, 10, 19, 190).parts
    assert positives.covariance[0, 0] == 0.0
    assert (positives.unit_variance, negatives.unit_variance) == (1 / 10, 1 / 190)


@pytest.mark.parametrize(
    ("found", "positives", "few"), [(38, 40, True), (20, 40, False), (96, 120, False)]
)
def test_an_auc_with_next_to_no_mistake_of_few_says_what_its_limits_rest_on(found, positives, few):
    target = _decisions(found, positives, 4, 400)
    drop = drop_of_arm(drops_of(_decisions(160, 200, 40, 400), target), [0], seeds_random=False)
    assert (FEW_MISTAKES in drop.note) == few


def test_what_is_known_beforehand_is_split_over_patients_of_one_class_and_of_both():
    """With an image each the parts are those of the classes; with several they add up as before."""
    rng = np.random.default_rng(3)
    labels = np.repeat([1, 0, 1, 0], [6, 30, 4, 8])
    owners = np.concatenate(
        [np.arange(6) // 2, 10 + np.arange(30), np.repeat(50, 4), 50 + np.arange(8) % 4]
    )
    parts = auc_covariance(labels, rng.normal(size=48) + labels, owners).parts
    sides = [owners[labels == label] for label in (1, 0)]
    assert len(parts) == 3
    assert sum(part.unit_variance for part in parts) == pytest.approx(
        sum(1.0 / patients_worth(np.unique(side, return_inverse=True)[1]) for side in sides)
    )
    # Three patients with two positives each, of ten positives.
    assert parts[0].unit_variance == pytest.approx(3 * (0.4 * 4 + 0.6 * 2) / 100)


def test_three_seeds_of_a_loss_are_not_on_the_cautious_side():
    drops = drops_of(_estimate(1, 200), _estimate(2, 150))
    assert THREE_SEEDS_OF_LOSS in drop_of_arm(drops, A).note
    assert drop_of_arm(drops, A, seeds_random=False).note == ""
    assert drop_of_arm(drops, [*A, 3]).note == ""


@pytest.mark.parametrize("score", [brier_scores, likelihoods, squared_calibration_errors])
def test_a_loss_of_a_score_counts_the_patients_of_the_rarer_class(score):
    rng = np.random.default_rng(0)
    source, few = (
        score(np.arange(400) < positives, rng.normal(size=(1, 400))) for positives in (100, 6)
    )
    assert FEW in drop_of_arm(drops_between(source, few), [0], seeds_random=False).note
    assert drop_of_arm(drops_between(source, source), [0], seeds_random=False).note == ""


def test_a_rate_with_next_to_no_mistake_says_what_its_limits_rest_on():
    labels = np.repeat([1, 0], [30, 40])
    source, near, ordinary = (
        rates_of_decisions(labels, np.arange(70) < called)[0] for called in (20, 29, 24)
    )
    notes = [
        drop_of_arm(drops_between(source, target), [0], seeds_random=False).note
        for target in (near, ordinary)
    ]
    assert notes == [FEW_MISTAKES, ""]


def test_few_negatives_that_place_a_threshold_leave_few_degrees_of_freedom():
    """Otherwise a loss of sensitivity covers 93.2 % with 20 of them, and 6 % pass the margin."""
    rng = np.random.default_rng(0)
    df = []
    for negatives in (20, 2000):
        labels = np.repeat([1, 0], [100, negatives])
        scores = rng.normal(size=labels.size) + labels
        found = sensitivities_at_specificity(labels, scores, 0.9, rng, resamples=50)
        df.append(found.parts[0].df)
    assert df[0] == pytest.approx(8.0 * 20 * 0.9 * 0.1)
    assert df[1] == pytest.approx(99.0)
