"""The counted bootstrap against the plain one: build each resample, then measure it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mammoshift.errors import StatisticsError
from mammoshift.statistics import bootstrap
from mammoshift.statistics.bootstrap import (
    bootstrap_sums,
    is_degenerate,
    multiplicities,
    percentile_interval,
    strata_of,
)
from mammoshift.statistics.bootstrap_curves import (
    bootstrap_at_thresholds,
    bootstrap_curves,
    negatives_needed,
    scores_above,
)
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.thresholds import threshold_at_specificity


def simulated(seed: int, n: int = 120, arms: int = 3, levels: int | None = None):
    rng = generator_for("bootstrap-test", str(seed))
    labels = (rng.random(n) < 0.3).astype(int)
    labels[:2] = 0, 1
    scores = rng.normal(size=(arms, n)) + labels
    if levels:
        scores = np.round(scores * levels) / levels
    patients = np.array([f"p{i // 2}" for i in range(n)])
    return labels, scores, patients


@pytest.mark.parametrize("levels", [None, 2], ids=["distinct", "heavy ties"])
@pytest.mark.parametrize("clustered", [False, True])
def test_every_replicate_is_that_of_the_resample_written_out(
    levels: int | None, clustered: bool
) -> None:
    labels, scores, ids = simulated(1, levels=levels)
    patients = ids if clustered else None
    curves = bootstrap_curves(
        labels,
        scores,
        generator_for("r"),
        patients=patients,
        specificities=(0.8, 0.95),
        resamples=15,
    )
    strata = strata_of(labels, patients)
    drawn = np.concatenate(list(multiplicities(strata, 15, generator_for("r"))), axis=1)
    for b in range(15):
        chosen = np.repeat(np.arange(labels.size), drawn[strata.codes, b])
        y = labels[chosen]
        for k, row in enumerate(scores):
            s = row[chosen]
            assert curves.auc[k, b] == pytest.approx(roc_auc_score(y, s), abs=1e-12)
            for i, wanted in enumerate((0.8, 0.95)):
                threshold = threshold_at_specificity(y, s, wanted)
                assert curves.sensitivity[i, k, b] == pytest.approx(
                    threshold.sensitivity, abs=1e-12
                )
                assert curves.specificity[i, k, b] == pytest.approx(
                    threshold.specificity, abs=1e-12
                )
                at = curves.threshold[i, k, b]
                assert np.mean(s[y == 1] >= at) == pytest.approx(threshold.sensitivity, abs=1e-12)
                assert np.mean(s[y == 0] < at) == pytest.approx(threshold.specificity, abs=1e-12)


def test_strata_keep_their_numbers_of_patients() -> None:
    labels = np.array([1, 1, 0, 0, 0, 1, 0, 0, 1, 0])
    patients = np.array(["a", "a", "b", "b", "c", "d", "d", "e", "f", "e"])
    strata = strata_of(labels, patients)
    sizes = sorted(group.size for group in strata.members)
    assert sizes == [1, 2, 3] and strata.n_patients == 6 and strata.clustered
    assert "one patient" in strata.note
    for drawn in multiplicities(strata, 50, generator_for("s")):
        for group in strata.members:
            assert (drawn[group].sum(axis=0) == group.size).all()


def test_draws_do_not_depend_on_the_size_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, scores, _ = simulated(2)
    whole = bootstrap_curves(labels, scores, generator_for("c"), resamples=100)
    monkeypatch.setattr(bootstrap, "_LARGEST_CHUNK", 7)
    parts = bootstrap_curves(labels, scores, generator_for("c"), resamples=100)
    assert np.array_equal(whole.auc, parts.auc)


def test_an_arm_sees_the_same_draws_alone_and_among_others() -> None:
    labels, scores, _ = simulated(3)
    together = bootstrap_curves(labels, scores, generator_for("d"), resamples=60)
    alone = bootstrap_curves(labels, scores[1], generator_for("d"), resamples=60)
    assert np.array_equal(together.auc[1], alone.auc[0])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_only_the_order_of_the_scores_matters(seed: int) -> None:
    labels, scores, _ = simulated(seed, n=40, arms=1, levels=4)
    first = bootstrap_curves(labels, scores, generator_for("m"), specificities=(0.9,), resamples=20)
    warped = np.exp(scores / 3.0) * 5.0
    second = bootstrap_curves(
        labels, warped, generator_for("m"), specificities=(0.9,), resamples=20
    )
    assert np.array_equal(first.auc, second.auc)
    assert np.array_equal(first.sensitivity, second.sensitivity)


def test_the_spread_is_that_of_delong() -> None:
    from mammoshift.statistics.auc import auc_covariance

    labels, scores, _ = simulated(4, n=600, arms=2)
    curves = bootstrap_curves(labels, scores, generator_for("v"), resamples=1500)
    expected = auc_covariance(labels, scores).covariance
    variances = np.diag(expected)
    assert np.cov(curves.auc) == pytest.approx(expected, abs=0.08 * variances.min())


def test_clusters_widen_the_spread() -> None:
    rng = generator_for("wide")
    labels = np.repeat((rng.random(150) < 0.4).astype(int), 4)
    scores = np.repeat(rng.normal(size=150), 4) + labels + 0.1 * rng.normal(size=600)
    patients = np.repeat(np.arange(150), 4)
    by_case = bootstrap_curves(labels, scores, generator_for("w"), resamples=500)
    by_patient = bootstrap_curves(
        labels, scores, generator_for("w"), patients=patients, resamples=500
    )
    assert by_patient.auc.std() > 1.7 * by_case.auc.std()


def test_sums_are_those_of_the_resample() -> None:
    labels, _, patients = simulated(5, n=30)
    strata = strata_of(labels, patients)
    values = np.stack([labels, np.arange(30)], axis=1).astype(float)
    sums = bootstrap_sums(strata, values, generator_for("t"), resamples=25)
    drawn = np.concatenate(list(multiplicities(strata, 25, generator_for("t"))), axis=1)
    assert sums == pytest.approx(drawn[strata.codes].T @ values)


def test_thresholds_of_their_own_are_applied_resample_by_resample() -> None:
    labels, scores, patients = simulated(6, levels=3)
    thresholds = generator_for("u").normal(size=30)
    sensitivity, specificity = bootstrap_at_thresholds(
        labels, scores[0], thresholds, generator_for("x"), patients=patients
    )
    strata = strata_of(labels, patients)
    drawn = np.concatenate(list(multiplicities(strata, 30, generator_for("x"))), axis=1)
    for b, threshold in enumerate(thresholds):
        chosen = np.repeat(np.arange(labels.size), drawn[strata.codes, b])
        y, s = labels[chosen], scores[0][chosen]
        assert sensitivity[b] == pytest.approx(np.mean(s[y == 1] >= threshold))
        assert specificity[b] == pytest.approx(np.mean(s[y == 0] < threshold))


@pytest.mark.parametrize(
    ("n", "specificity", "needed"),
    [(100, 0.55, 55), (100, 0.95, 95), (20, 0.95, 19), (19, 0.95, 19), (7, 1.0, 7), (3, 0.01, 1)],
)
def test_counts_that_reach_a_specificity(n: int, specificity: float, needed: int) -> None:
    assert negatives_needed(n, specificity) == needed


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 100_000), st.integers(1, 1000))
def test_the_count_is_the_smallest(n: int, thousandths: int) -> None:
    specificity = thousandths / 1000
    k = int(negatives_needed(n, specificity))
    assert k / n >= specificity
    assert k == 0 or (k - 1) / n < specificity


def test_next_score() -> None:
    ordered = np.array([0.0, 1.0, 1.0, 2.0])
    above = scores_above(ordered, np.array([-1.0, 0.0, 1.0, 2.0]))
    assert above[:3].tolist() == [0.0, 1.0, 2.0]
    assert above[3] == np.nextafter(2.0, np.inf)


def test_percentiles() -> None:
    low, high = percentile_interval(np.arange(101.0), 0.9)
    assert (float(low), float(high)) == pytest.approx((5.0, 95.0))
    assert is_degenerate(np.ones(5)) and not is_degenerate(np.array([1.0, 0.99]))


@pytest.mark.parametrize(
    ("labels", "scores", "arguments", "message"),
    [
        ([0, 0], [1, 2], {}, "no positive"),
        ([1, 1], [1, 2], {}, "no negative"),
        ([0, 2], [1, 2], {}, "neither 0 nor 1"),
        ([0, 1], [1, np.nan], {}, "not a finite number"),
        ([0, 1], [1, 2], {"patients": ["a", ""]}, "no cluster"),
        ([0, 1], [1, 2], {"specificities": (0.0,)}, "specificity is 0.0"),
        ([0, 1], [1, 2], {"resamples": 0}, "at least one"),
    ],
)
def test_bad_input_is_named(labels, scores, arguments, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        bootstrap_curves(labels, scores, generator_for("e"), **arguments)
