"""AUC and covariance against pROC, slow definitions and properties."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.errors import StatisticsError
from mammoshift.statistics.arm_comparison import arm_mean
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.auprc import auprc_covariance
from mammoshift.statistics.comparisons import omnibus, paired, unpaired
from mammoshift.statistics.estimates import Flag
from mammoshift.statistics.inputs import cluster_codes
from mammoshift.statistics.intervals import auc_intervals
from mammoshift.statistics.margins import margin_tests
from mammoshift.statistics.partial_auc import partial_auc

REFERENCE = Path(__file__).parents[2] / "reference"
PROC = json.loads((REFERENCE / "proc_values.json").read_text())
PAIRS = ((0, 1), (0, 2), (1, 2))


def _read_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rows: dict[str, list[list[float]]] = {}
    with (REFERENCE / "roc_sets.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            values = [float(row[key]) for key in ("label", "score_1", "score_2", "score_3")]
            rows.setdefault(row["set"], []).append(values)
    arrays = {name: np.array(values).T for name, values in rows.items()}
    return {name: (array[0], array[1:]) for name, array in arrays.items()}


SETS = _read_sets()


def _slow(labels, scores):
    """AUC and DeLong covariance from the m x n kernel."""
    x, y = scores[:, labels == 1], scores[:, labels == 0]
    psi = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])
    S10, S01 = np.cov(psi.mean(axis=2)), np.cov(psi.mean(axis=1))
    return psi.mean(axis=(1, 2)), np.atleast_2d(S10 / x.shape[1] + S01 / y.shape[1])


def _slow_clustered(labels, scores, clusters):
    """Obuchowski 1997 by loops over patients."""
    x, y = scores[:, labels == 1], scores[:, labels == 0]
    psi = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])
    theta = psi.mean(axis=(1, 2))
    V10, V01 = psi.mean(axis=2) - theta[:, None], psi.mean(axis=1) - theta[:, None]
    cx, cy = clusters[labels == 1], clusters[labels == 0]
    K, M, N = len(scores), x.shape[1], y.shape[1]
    I10, I01, I_ = (len(set(c)) for c in (cx, cy, clusters))
    C = np.zeros((K, K))
    for a in range(K):
        for b in range(K):
            for patient in set(clusters):
                Aa, Ab = V10[a, cx == patient].sum(), V10[b, cx == patient].sum()
                Ba, Bb = V01[a, cy == patient].sum(), V01[b, cy == patient].sum()
                C[a, b] += I10 / (I10 - 1) * Aa * Ab / M**2 + I01 / (I01 - 1) * Ba * Bb / N**2
                C[a, b] += I_ / (I_ - 1) * (Aa * Bb + Ba * Ab) / (M * N)
    return C


@pytest.mark.parametrize("name", sorted(PROC))
def test_agrees_with_proc(name):
    labels, scores = SETS[name]
    expected = PROC[name]
    estimate = auc_covariance(labels, scores)
    np.testing.assert_allclose(estimate.auc, expected["auc"], rtol=0, atol=1e-12)
    covariance = np.array(expected["covariance"], dtype=float)
    np.testing.assert_allclose(estimate.covariance, covariance, rtol=0, atol=1e-12)
    for (a, b), test in zip(PAIRS, expected["paired"], strict=True):
        found = paired(estimate.auc, estimate.covariance, a, b)
        if test is None or test["statistic"] is None:
            assert found.statistic is None
            assert found.note
        else:
            assert found.statistic == pytest.approx(test["statistic"], rel=1e-9, abs=1e-12)
            assert found.p == pytest.approx(test["p"], rel=1e-8)
    if expected["wald"][0] is not None and not estimate.flags[0]:
        wald = auc_intervals(estimate, method="wald")
        assert [wald.low[0], wald.high[0]] == pytest.approx(expected["wald"], rel=1e-9)


def test_partial_areas_agree_with_proc():
    compared = 0
    for name, (labels, scores) in SETS.items():
        expected = np.array(PROC[name]["partial"], dtype=float).reshape(2, 2, 3)
        for (areas, corrected), specificity in zip(expected, (0.8, 0.95), strict=True):
            found = partial_auc(labels, scores, specificity)
            own = found.mean_sensitivity * (1.0 - specificity)
            known = np.isfinite(areas)
            np.testing.assert_allclose(own[known], areas[known], atol=1e-12)
            # Below the diagonal pROC gives no corrected area.
            known = np.isfinite(corrected)
            np.testing.assert_allclose(found.corrected[known], corrected[known], atol=1e-12)
            compared += int(known.sum())
    assert compared >= 120


def test_non_inferiority_agrees_with_procs_variances():
    compared = 0
    for name, (labels, scores) in SETS.items():
        estimate = auc_covariance(labels, scores)
        for (a, b), p in zip(PAIRS, PROC[name]["noninferior"], strict=True):
            if p is None:
                continue
            test = paired(estimate.auc, estimate.covariance, a, b)
            (found,) = margin_tests([test], 0.05, positive_is_loss=False)
            assert found.p_noninferior == pytest.approx(p, rel=1e-8, abs=1e-14)
            compared += 1
    assert compared >= 60


def test_there_are_enough_reference_sets():
    assert set(SETS) == set(PROC)
    assert len(SETS) >= 25


def test_unpaired_agrees_with_proc():
    names = list(SETS)
    compared = 0
    for name, following in pairwise(names):
        expected = PROC[name]["unpaired"]
        first, second = (auc_covariance(*SETS[key]) for key in (name, following))
        found = unpaired(
            first.auc[0],
            first.covariance[0, 0],
            second.auc[0],
            second.covariance[0, 0],
            (first.n, second.n),
        )
        if expected["statistic"] is None:
            continue
        assert found.statistic == pytest.approx(expected["statistic"], rel=1e-9, abs=1e-12)
        assert found.p == pytest.approx(expected["p"], rel=1e-8)
        assert found.df == pytest.approx(expected["df"], rel=1e-9)
        compared += 1
    assert compared >= 20


def test_proc_gives_the_committed_values_again(tmp_path, run_r):
    out = tmp_path / "values.json"
    run_r("proc_values.R", "pROC", REFERENCE / "roc_sets.csv", out)
    rebuilt = json.loads(out.read_text())
    assert rebuilt.keys() == PROC.keys()
    for name, values in rebuilt.items():
        np.testing.assert_allclose(
            np.array(values["covariance"], dtype=float),
            np.array(PROC[name]["covariance"], dtype=float),
            atol=1e-14,
        )
        assert values["auc"] == pytest.approx(PROC[name]["auc"], abs=1e-14)
        for key in ("partial", "noninferior"):
            np.testing.assert_allclose(
                np.array(values[key], dtype=float),
                np.array(PROC[name][key], dtype=float),
                atol=1e-14,
            )


def test_asah_of_proc(tmp_path, run_r):
    table, values = tmp_path / "asah.csv", tmp_path / "values.csv"
    run_r("asah_values.R", "pROC", table, values)
    data = np.genfromtxt(table, delimiter=",", skip_header=1)
    with values.open(newline="") as stream:
        expected = {row["name"]: float(row["value"]) for row in csv.DictReader(stream)}
    estimate = auc_covariance(data[:, 0], data[:, 1:].T)
    assert (estimate.n_pos, estimate.n_neg) == (41, 72)
    names = ("s100b", "wfns", "ndka")
    for i, name in enumerate(names):
        assert estimate.auc[i] == pytest.approx(expected[f"auc_{name}"], abs=1e-12)
        for j in range(i, 3):
            pair = f"{name}_{names[j]}"
            assert estimate.covariance[i, j] == pytest.approx(expected[f"cov_{pair}"], abs=1e-12)
            if j > i:
                found = paired(estimate.auc, estimate.covariance, i, j)
                assert found.statistic == pytest.approx(expected[f"z_{pair}"], rel=1e-9)
                assert found.p == pytest.approx(expected[f"p_{pair}"], rel=1e-8)


def test_asah_published_constants():
    auc = np.array([0.731368563685637, 0.823678861788618, 0.611957994579946])
    C = np.diag([0.00266868245717244, 0.00146991470882363, 0.0031908105493913])
    C[0, 1] = C[1, 0] = 0.00119615567376754
    C[0, 2] = C[2, 0] = -0.000756164938056579
    C[1, 2] = C[2, 1] = -0.000532967856762438
    expected = {
        (0, 1): (-2.20898359144091, 0.0271757822291882),
        (0, 2): (1.39077002573558, 0.164295175223054),
        (1, 2): (2.79777591868904, 0.00514557970691098),
    }
    for (a, b), (z, p) in expected.items():
        found = paired(auc, C, a, b)
        assert found.statistic == pytest.approx(z, rel=1e-9)
        assert found.p == pytest.approx(p, rel=1e-8)
    joint = omnibus(auc, C)
    assert joint.statistic == pytest.approx(12.5127, abs=5e-5)
    assert joint.df == 2


def test_equals_the_definition_with_ties():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 60)
    scores = rng.integers(0, 6, (4, 60)).astype(float)
    estimate = auc_covariance(labels, scores)
    auc, covariance = _slow(labels, scores)
    np.testing.assert_allclose(estimate.auc, auc, atol=1e-14)
    np.testing.assert_allclose(estimate.covariance, covariance, atol=1e-16)


def test_clustered_equals_the_definition():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 70)
    scores = np.round(rng.normal(size=(3, 70)) + labels, 1)
    clusters = rng.integers(0, 25, 70)
    estimate = auc_covariance(labels, scores, clusters)
    np.testing.assert_allclose(
        estimate.covariance, _slow_clustered(labels, scores, clusters), atol=1e-16
    )
    assert estimate.n_clusters == np.unique(clusters).size
    assert not estimate.independence_assumed


def test_clusters_may_be_text_in_any_container():
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 2, 40), rng.normal(size=40)
    codes = rng.integers(0, 12, 40)
    texts = [f"patient {code}" for code in codes]
    expected = auc_covariance(labels, scores, codes).covariance
    for given_clusters in (texts, np.array(texts), np.array(texts, dtype=object)):
        found = auc_covariance(labels, scores, given_clusters)
        np.testing.assert_allclose(found.covariance, expected, atol=1e-18)


@pytest.mark.parametrize(
    "numbers",
    [
        np.array([-100, 100, 100, 0], dtype=np.int8),
        np.array([2**63, 2**63 + 1, 2**63 + 1, 2**63 + 7], dtype=np.uint64),
        np.array([5, 10**12, 10**12, -3]),
        np.array([1.0, 2.5, 2.5, 0.0]),
    ],
)
def test_any_whole_numbers_are_clusters(numbers):
    codes = cluster_codes(numbers, 4)
    assert codes[1] == codes[2]
    assert sorted(set(codes.tolist())) == [0, 1, 2]


def test_dependent_images_widen_the_standard_error():
    rng = np.random.default_rng(4)
    labels = np.repeat(rng.integers(0, 2, 200), 4)
    patient = np.repeat(np.arange(200), 4)
    scores = np.repeat(rng.normal(size=200), 4) + 0.1 * rng.normal(size=800) + labels
    plain, clustered = auc_covariance(labels, scores), auc_covariance(labels, scores, patient)
    assert clustered.auc[0] == plain.auc[0]
    assert clustered.se[0] == pytest.approx(2.0 * plain.se[0], rel=0.1)


def _case(draw):
    n = draw(st.integers(6, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.permutation(np.r_[1, 1, 0, 0, rng.integers(0, 2, n - 4)])
    digits = draw(st.sampled_from([0, 1, 6]))
    return rng, labels, np.round(rng.normal(size=(3, n)) + labels, digits)


cases = st.composite(_case)()
few = settings(max_examples=40, deadline=None)


@few
@given(cases)
def test_order_of_the_cases_does_not_matter(case):
    rng, labels, scores = case
    order = rng.permutation(labels.size)
    first, second = auc_covariance(labels, scores), auc_covariance(labels[order], scores[:, order])
    np.testing.assert_array_equal(first.auc, second.auc)
    np.testing.assert_allclose(first.covariance, second.covariance, atol=1e-15)


@few
@given(cases)
def test_strictly_monotone_transform_changes_nothing(case):
    _, labels, scores = case
    first, second = auc_covariance(labels, scores), auc_covariance(labels, np.exp(scores / 3) * 7)
    np.testing.assert_array_equal(first.auc, second.auc)
    np.testing.assert_allclose(first.covariance, second.covariance, atol=1e-15)


@few
@given(cases)
def test_swapping_the_models_negates_z(case):
    _, labels, scores = case
    estimate = auc_covariance(labels, scores)
    first = paired(estimate.auc, estimate.covariance, 0, 1)
    second = paired(estimate.auc, estimate.covariance, 1, 0)
    assert first.p == second.p
    if first.statistic is not None:
        assert second.statistic is not None
        assert first.statistic == -second.statistic


@few
@given(cases)
def test_flipping_labels_and_scores_keeps_everything(case):
    _, labels, scores = case
    first, second = auc_covariance(labels, scores), auc_covariance(1 - labels, -scores)
    np.testing.assert_allclose(first.auc, second.auc, atol=1e-15)
    np.testing.assert_allclose(first.covariance, second.covariance, atol=1e-15)


@few
@given(cases)
def test_negating_scores_mirrors_the_auc(case):
    _, labels, scores = case
    first, second = auc_covariance(labels, scores), auc_covariance(labels, -scores)
    np.testing.assert_allclose(first.auc, 1.0 - second.auc, atol=1e-15)


@few
@given(cases)
def test_singleton_clusters_are_delong(case):
    rng, labels, scores = case
    plain = auc_covariance(labels, scores)
    clustered = auc_covariance(labels, scores, rng.permutation(labels.size))
    np.testing.assert_allclose(clustered.covariance, plain.covariance, rtol=1e-12, atol=1e-17)


@few
@given(cases)
def test_all_curves_at_once_equal_each_pair(case):
    _, labels, scores = case
    together = auc_covariance(labels, scores)
    for a, b in PAIRS:
        alone = auc_covariance(labels, scores[[a, b]])
        np.testing.assert_allclose(
            together.covariance[np.ix_([a, b], [a, b])], alone.covariance, atol=1e-16
        )


def test_constant_scores_are_half_without_variance_and_flagged():
    estimate = auc_covariance([1, 1, 0, 0], np.full(4, 3.0))
    assert estimate.auc[0] == 0.5
    assert estimate.covariance[0, 0] == 0.0
    assert Flag.CONSTANT_SCORES in estimate.flags[0]
    for method in ("logit", "wald"):
        interval = auc_intervals(estimate, method=method)
        assert (interval.low[0], interval.high[0]) == (0.5, 0.5)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_perfect_separation_has_no_interval(side):
    labels = np.repeat([1, 0], 30)
    estimate = auc_covariance(labels, side * labels)
    assert estimate.auc[0] == (1.0 if side > 0 else 0.0)
    assert Flag.PERFECT_SEPARATION in estimate.flags[0]
    for method in ("logit", "wald"):
        interval = auc_intervals(estimate, method=method)
        assert np.isnan([interval.low[0], interval.high[0]]).all()


@pytest.mark.parametrize(
    ("labels", "flag", "auc_defined"),
    [
        ([0, 0, 0], Flag.NO_POSITIVE, False),
        ([1, 1, 1], Flag.NO_NEGATIVE, False),
        ([1, 0, 0], Flag.ONE_POSITIVE, True),
        ([1, 1, 0], Flag.ONE_NEGATIVE, True),
    ],
)
def test_too_few_cases_are_undefined_with_a_reason(labels, flag, auc_defined):
    estimate = auc_covariance(labels, [[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]])
    assert np.isfinite(estimate.auc).all() == auc_defined
    assert np.isnan(estimate.covariance).all()
    assert all(flag in flags for flags in estimate.flags)
    assert np.isnan(auc_intervals(estimate).low).all()
    assert "undefined" in estimate.notes[0]


def test_all_positives_of_one_patient_have_no_variance():
    estimate = auc_covariance([1, 1, 0, 0], [4.0, 3.0, 1.0, 2.0], ["a", "a", "b", "c"])
    assert np.isnan(estimate.se[0])
    assert Flag.ONE_POSITIVE_CLUSTER in estimate.flags[0]


def test_few_cases_and_few_patients_are_flagged():
    rng = np.random.default_rng(5)
    labels = np.repeat([1, 0], [19, 100])
    few_cases = auc_covariance(labels, rng.normal(size=119))
    assert few_cases.flags[0] == (Flag.FEW_CASES,)
    labels = np.repeat([1, 0], [50, 100])
    many = auc_covariance(labels, rng.normal(size=150), np.arange(150))
    assert many.flags[0] == ()
    few_patients = auc_covariance(labels, rng.normal(size=150), np.arange(150) // 3)
    assert few_patients.flags[0] == (Flag.FEW_CLUSTERS,)


def test_few_of_both_are_said_once_and_in_the_words_of_the_measure():
    labels = np.repeat([1, 0], [12, 60])
    scores = np.random.default_rng(6).normal(size=72)
    patients = np.arange(72)
    assert auc_covariance(labels, scores, patients).flags[0] == (Flag.FEW_CLUSTERS,)
    assert auprc_covariance(labels, scores, patients).flags[0] == (Flag.FEW_CLUSTERS_NARROW,)
    assert auprc_covariance(labels, scores).flags[0] == (Flag.FEW_CASES_NARROW,)
    assert "average precision" not in Flag.FEW_CLUSTERS
    assert "AUC" not in Flag.FEW_CLUSTERS_NARROW


def test_a_mean_has_its_own_flags_and_counts_those_of_some_seeds():
    rng = np.random.default_rng(7)
    labels = np.repeat([1, 0], [60, 100])
    nearly = np.where(labels == 1, 5.0, 0.0) + rng.normal(size=160)
    plain = labels + rng.normal(size=160)
    found = auc_covariance(labels, np.stack([nearly, plain, np.zeros(160)]))
    assert Flag.FEW_MISTAKES in found.flags[0]
    note = arm_mean(found, "a", [0, 1]).note
    assert Flag.FEW_MISTAKES not in note
    assert "1 of 2 seeds: degenerate: all scores are equal" in arm_mean(found, "a", [1, 2]).note


def test_auc_below_half_is_not_turned_round():
    assert auc_covariance([1, 1, 0, 0], [1.0, 2.0, 3.0, 4.0]).auc[0] == 0.0


def test_auc_is_exact_at_many_cases():
    n = 200_000
    scores = np.arange(2 * n, dtype=float)
    labels = np.arange(2 * n) % 2
    # Every positive beats the negatives at and below its own place: (n + 1) / (2 n).
    assert auc_covariance(labels, scores).auc[0] == (n + 1) / (2 * n)


def test_logit_interval_stays_inside_and_holds_the_estimate():
    labels, scores = SETS["binormal_8_40_2.3"]
    estimate = auc_covariance(labels, scores)
    logit, wald = auc_intervals(estimate), auc_intervals(estimate, method="wald")
    assert np.all((logit.low > 0.0) & (logit.high < 1.0))
    assert np.all((logit.low < estimate.auc) & (estimate.auc < logit.high))
    assert np.all(logit.high < wald.high + 1e-9)
    wide, narrow = auc_intervals(estimate, 0.99), auc_intervals(estimate, 0.8)
    assert np.all((wide.low < narrow.low) & (narrow.high < wide.high))


def test_logit_interval_by_hand():
    estimate = auc_covariance(*SETS["binormal_40_100_1.6"])
    A, se = float(estimate.auc[0]), float(estimate.se[0])
    low = np.log(A / (1 - A)) - 1.959963984540054 * se / (A * (1 - A))
    assert auc_intervals(estimate).low[0] == pytest.approx(1 / (1 + np.exp(-low)), rel=1e-12)


@pytest.mark.parametrize(
    ("labels", "scores", "clusters", "message"),
    [
        ([1, 0, 2], [1.0, 2.0, 3.0], None, "case 2 .* neither 0 nor 1"),
        ([1, 0, 1], [1.0, np.nan, 3.0], None, "curve 0, case 1"),
        ([1, 0, 1], [1.0, np.inf, 3.0], None, "not a finite"),
        ([1, 0], [1.0, 2.0, 3.0], None, "do not fit"),
        ([1, 0], np.empty((0, 2)), None, "no curve"),
        ([1, 0, 1], ["a", "b", "c"], None, "must be a number"),
        ([1, 0, 1], [1.0, 2.0, 3.0], ["a", "b"], "clusters have shape"),
        ([1, 0, 1], [1.0, 2.0, 3.0], ["a", None, "b"], "case 1 .* no cluster"),
        ([1, 0, 1], [1.0, 2.0, 3.0], ["a", "b", ""], "case 2 .* no cluster"),
        ([1, 0, 1], [1.0, 2.0, 3.0], [1.0, np.nan, 2.0], "case 1 .* no cluster"),
    ],
)
def test_wrong_input_is_named(labels, scores, clusters, message):
    with pytest.raises(StatisticsError, match=message):
        auc_covariance(labels, scores, clusters)
