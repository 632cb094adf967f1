from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from mammoshift.errors import StatisticsError
from mammoshift.statistics.matched_specificity import compare_at_specificity
from mammoshift.statistics.operating_points import (
    BY_CONSTRUCTION,
    DEGENERATE,
    reestimated_operating_points,
    threshold_replicates_of,
    transferred_operating_point,
)
from mammoshift.statistics.proportions import wilson_interval
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.thresholds import (
    STEP_AT_ONE,
    g_mean_threshold,
    threshold_at_specificity,
    youden_threshold,
)

cases = st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5)), min_size=2, max_size=40).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def binormal(seed: str, n_pos: int, n_neg: int, shift: float = 1.5):
    rng = generator_for("operating", seed)
    labels = np.repeat([1, 0], [n_pos, n_neg])
    return labels, rng.normal(size=n_pos + n_neg) + shift * labels


@settings(max_examples=50, deadline=None)
@given(cases, st.sampled_from([0.5, 0.8, 0.9, 0.95, 1.0]))
def test_no_smaller_observed_score_reaches_the_specificity(rows, wanted: float) -> None:
    labels, scores = np.array(rows).T
    found = threshold_at_specificity(labels, scores, wanted)
    negatives, positives = scores[labels == 0], scores[labels == 1]
    assert np.mean(negatives < found.value) >= wanted
    smaller = scores[scores < found.value]
    assert all(np.mean(negatives < value) < wanted for value in smaller)
    assert found.sensitivity == np.mean(positives >= found.value)
    assert found.specificity == np.mean(negatives < found.value)


@settings(max_examples=50, deadline=None)
@given(cases, st.sampled_from([0.5, 0.8, 0.95]))
def test_the_sensitivity_is_the_best_step_of_the_roc_curve(rows, wanted: float) -> None:
    labels, scores = np.array(rows).T
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    n_neg = np.sum(labels == 0)
    allowed = np.round((1.0 - fpr) * n_neg) / n_neg >= wanted
    assert threshold_at_specificity(labels, scores, wanted).sensitivity == pytest.approx(
        tpr[allowed].max()
    )


def test_ties_give_the_step_and_a_flag() -> None:
    labels = np.array([0] * 20 + [1] * 4)
    scores = np.array([0.0] * 18 + [3.0] * 2 + [1.0, 3.0, 3.0, 4.0])
    found = threshold_at_specificity(labels, scores, 0.95)
    assert found.value == 4.0
    assert (found.sensitivity, found.specificity) == (0.25, 1.0)
    assert STEP_AT_ONE in found.note


def test_when_no_score_is_high_enough_the_sensitivity_is_zero() -> None:
    found = threshold_at_specificity([0, 0, 1], [1.0, 5.0, 2.0], 1.0)
    assert found.value == np.nextafter(5.0, np.inf)
    assert found.sensitivity == 0.0 and "no case has a score above" in found.note


@settings(max_examples=50, deadline=None)
@given(cases)
def test_youden_and_g_mean_take_the_lowest_of_the_best(rows) -> None:
    labels, scores = np.array(rows).T
    tables = []
    for value in np.unique(scores):
        sensitivity = np.mean(scores[labels == 1] >= value)
        tables.append((value, sensitivity, np.mean(scores[labels == 0] < value)))
    for chosen, quality in (
        (youden_threshold(labels, scores), lambda se, sp: se + sp - 1),
        (g_mean_threshold(labels, scores), lambda se, sp: np.sqrt(se * sp)),
    ):
        best = max(quality(se, sp) for _, se, sp in tables)
        lowest = min(v for v, se, sp in tables if quality(se, sp) >= best - 1e-9)
        assert chosen.value == lowest
        assert quality(chosen.sensitivity, chosen.specificity) == pytest.approx(best, abs=1e-9)


def test_a_transferred_threshold_reports_both_rates_with_wilson() -> None:
    labels, scores = binormal("wilson", 60, 200)
    point = transferred_operating_point(labels, scores, 1.2, generator_for("a"))
    assert point.provenance == "transferred"
    assert point.matrix.tp == np.sum(scores[:60] >= 1.2)
    low, high = wilson_interval(point.matrix.tp, 60)
    assert (point.sensitivity.ci_low, point.sensitivity.ci_high) == (low, high)
    assert point.specificity.method == "wilson"
    assert (point.n_pos, point.n_neg, point.n_patients) == (60, 200, 260)


def test_patients_widen_a_transferred_interval() -> None:
    rng = generator_for("clusters")
    labels = np.repeat([1, 0], [60, 140]).repeat(4)
    scores = rng.normal(size=200).repeat(4) + 1.5 * labels + 0.1 * rng.normal(size=800)
    patients = np.arange(200).repeat(4)
    alone = transferred_operating_point(labels, scores, 1.2, generator_for("b"))
    grouped = transferred_operating_point(
        labels, scores, 1.2, generator_for("b"), patients=patients
    )
    assert grouped.sensitivity.value == alone.sensitivity.value
    assert grouped.sensitivity.method == "ratio_over_patients_t"
    assert width(grouped.sensitivity) > 1.6 * width(alone.sensitivity)
    assert width(grouped.specificity) > 1.6 * width(alone.specificity)


def test_the_threshold_s_own_uncertainty_widens_the_interval() -> None:
    labels, scores = binormal("target", 200, 800)
    validation = binormal("validation", 30, 60)
    threshold = threshold_at_specificity(*validation, 0.95)
    replicates = threshold_replicates_of(*validation, 0.95, generator_for("v"))
    fixed = transferred_operating_point(labels, scores, threshold.value, generator_for("c"))
    both = transferred_operating_point(
        labels, scores, threshold.value, generator_for("c"), threshold_replicates=replicates
    )
    assert both.sensitivity.method == "patient_bootstrap_2000_both_samples"
    assert width(both.sensitivity) > 1.3 * width(fixed.sensitivity)
    assert both.sensitivity.ci_low <= both.sensitivity.value <= both.sensitivity.ci_high


def test_a_reestimated_point_is_labelled_and_wider_than_wilson() -> None:
    labels, scores = binormal("oracle", 100, 60)
    (point,) = reestimated_operating_points(labels, scores, 0.95, generator_for("d"))
    assert point.provenance == "reestimated"
    assert point.specificity.value >= 0.95 and point.specificity.ci_low is None
    assert point.specificity.note == BY_CONSTRUCTION
    low, high = wilson_interval(point.matrix.tp, 100)
    assert width(point.sensitivity) > 1.2 * (high - low)


def test_a_degenerate_bootstrap_falls_back_to_wilson_on_patients() -> None:
    labels = np.repeat([1, 0], [10, 30])
    scores = np.where(labels == 1, 5.0, 0.0) + np.arange(40) / 100
    patients = np.concatenate([np.arange(10) // 2, np.arange(10, 40)])
    (point,) = reestimated_operating_points(
        labels, scores, 0.95, generator_for("e"), patients=patients
    )
    assert point.sensitivity.value == 1.0
    assert point.sensitivity.note == DEGENERATE
    assert point.sensitivity.ci_low == pytest.approx(float(wilson_interval(5, 5)[0]))
    transferred = transferred_operating_point(
        labels, scores, 2.0, generator_for("e"), patients=patients
    )
    assert transferred.sensitivity.ci_low == pytest.approx(float(wilson_interval(5, 5)[0]))


def test_a_share_of_finite_patients_always_has_an_interval_with_width() -> None:
    labels = np.repeat([1, 0], [30, 200])
    rng = generator_for("width")
    found, missed = (
        np.concatenate([np.full(30, far) + rng.random(30), rng.normal(size=200)])
        for far in (9.0, -9.0)
    )
    draws = np.concatenate([np.full(198, 1.5), [99.0, -99.0]])
    for scores, end in ((found, 1.0), (missed, 0.0)):
        points = [
            *reestimated_operating_points(labels, scores, 0.95, generator_for("w"), resamples=200),
            transferred_operating_point(
                labels, scores, 1.5, generator_for("w"), threshold_replicates=draws
            ),
        ]
        low, high = (float(limit) for limit in wilson_interval(30 * end, 30))
        for point in points:
            assert point.sensitivity.value == end
            assert (point.sensitivity.ci_low, point.sensitivity.ci_high) == (low, high)


def test_an_interval_with_the_threshold_s_uncertainty_holds_the_one_without() -> None:
    # One positive is missed: most resamples have it once, or not at all.
    labels = np.repeat([1, 0], [20, 200])
    scores = np.concatenate([[-9.0], np.full(19, 9.0), generator_for("holds").normal(size=200)])
    (point,) = reestimated_operating_points(labels, scores, 0.95, generator_for("h"), resamples=400)
    low, high = wilson_interval(19, 20)
    assert point.sensitivity.ci_low is not None and point.sensitivity.ci_high is not None
    assert point.sensitivity.ci_low <= low and point.sensitivity.ci_high >= high
    assert point.sensitivity.method.endswith("_and_fixed_threshold")


def test_many_cases_that_all_agree_have_an_interval() -> None:
    labels = np.repeat([1, 0], [40, 50_000])
    scores = np.concatenate([np.full(40, 9.0), generator_for("many").normal(size=50_000)])
    (point,) = reestimated_operating_points(labels, scores, 0.95, generator_for("m"))
    assert point.sensitivity.ci_low == pytest.approx(float(wilson_interval(40, 40)[0]))


def test_paired_comparison_swaps_sign_and_knows_equals() -> None:
    labels, first = binormal("pair", 80, 200)
    second = first + 4.0 * generator_for("noise").normal(size=280)
    matrix = np.stack([first, second, np.exp(first)])
    ab, ba, same = compare_at_specificity(
        labels, matrix, [(0, 1), (1, 0), (0, 2)], 0.95, generator_for("f")
    )
    assert ab.difference == -ba.difference and ab.p == ba.p
    assert ab.ci_low == pytest.approx(-ba.ci_high)
    assert ab.difference > 0.1 and ab.p is not None and ab.p < 0.05
    assert (same.difference, same.p) == (0.0, 1.0)


def test_matched_specificity_gains_from_pairing() -> None:
    labels, first = binormal("gain", 80, 200)
    second = first + 0.3 * generator_for("little").normal(size=280)
    (paired,) = compare_at_specificity(
        labels, np.stack([first, second]), [(0, 1)], 0.9, generator_for("g")
    )
    (a, b) = reestimated_operating_points(
        labels, np.stack([first, second]), 0.9, generator_for("g")
    )
    unpaired = np.hypot(width(a.sensitivity), width(b.sensitivity))
    assert paired.ci_high - paired.ci_low < 0.8 * unpaired


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: threshold_at_specificity([1, 1], [1, 2]), "no negative"),
        (lambda: threshold_at_specificity([0, 1], [1, 2], 1.5), "specificity is 1.5"),
        (lambda: threshold_at_specificity([0, 1], [[1, 2], [1, 2]]), "one arm"),
        (
            lambda: transferred_operating_point([0, 1], [1, 2], np.inf, generator_for("h")),
            "finite",
        ),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()


def width(estimate) -> float:
    return estimate.ci_high - estimate.ci_low
