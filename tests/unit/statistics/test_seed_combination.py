"""Seeds held fixed, seeds as random, and datasets combined."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.comparisons import paired
from mammoshift.statistics.meta_analysis import (
    UNEQUAL,
    equal_weights,
    random_effects,
    weighted_stouffer,
)
from mammoshift.statistics.multiplicity import adjust
from mammoshift.statistics.multireader import (
    mean_over_seeds,
    obuchowski_rockette_crossed,
    obuchowski_rockette_nested,
)
from mammoshift.statistics.seeds import (
    ensemble,
    exact_fixed,
    seed_correlation,
    stouffer_naive,
    strube,
)

REFERENCE = Path(__file__).parents[2] / "reference"
VAN_DYKE = json.loads((REFERENCE / "van_dyke.json").read_text())
GENERAL = json.loads((REFERENCE / "general_values.json").read_text())
A, B = [0, 1, 2], [3, 4, 5]


def _curves(seed=0, n=150, seeds=3, gap=0.3):
    """Two arms with `seeds` seeds each, positives shifted by 1 and 1 + gap."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    case, own = rng.normal(size=n), rng.normal(size=(2 * seeds, n))
    shift = np.repeat([1.0, 1.0 + gap], seeds)[:, None]
    return labels, case + 0.7 * own + shift * labels


def _estimate(**settings_):
    labels, scores = _curves(**settings_)
    return auc_covariance(labels, scores)


def test_exact_by_hand():
    e = _estimate()
    w = np.r_[np.full(3, 1 / 3), np.full(3, -1 / 3)]
    found = exact_fixed(e.auc, e.covariance, A, B)
    assert found.estimate == pytest.approx(e.auc[:3].mean() - e.auc[3:].mean())
    assert found.se == pytest.approx(math.sqrt(w @ e.covariance @ w))
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.estimate / found.se)))


def test_exact_with_different_numbers_of_seeds():
    e = _estimate()
    found = exact_fixed(e.auc, e.covariance, [0, 1, 2], [3])
    assert found.estimate == pytest.approx(e.auc[:3].mean() - e.auc[3])
    alone = exact_fixed(e.auc, e.covariance, [0], [3])
    assert alone.p == paired(e.auc, e.covariance, 0, 3).p


def test_naive_stouffer_and_strube_by_hand():
    e = _estimate()
    L = np.hstack([np.eye(3), -np.eye(3)])
    d, V = L @ e.auc, L @ e.covariance @ L.T
    z = d / np.sqrt(np.diag(V))
    R = V / np.sqrt(np.outer(np.diag(V), np.diag(V)))
    naive = stouffer_naive(e.auc, e.covariance, A, B)
    assert naive.statistic == pytest.approx(z.sum() / math.sqrt(3))
    assert "as published" in naive.note
    corrected = strube(e.auc, e.covariance, A, B)
    assert corrected.statistic == pytest.approx(z.sum() / math.sqrt(R.sum()))
    rho = seed_correlation(e.covariance, A, B)
    assert rho == pytest.approx((R.sum() - 3) / 6)
    assert naive.statistic / corrected.statistic == pytest.approx(math.sqrt(1 + 2 * rho))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_duplicating_every_seed(seed, seeds):
    """Copies of a seed are no evidence: only the naive sum grows, by the root of two."""
    labels, scores = _curves(seed=seed, n=60, seeds=seeds)
    once = auc_covariance(labels, scores)
    twice = auc_covariance(labels, np.repeat(scores, 2, axis=0))
    a, b = list(range(seeds)), list(range(seeds, 2 * seeds))
    aa, bb = list(range(2 * seeds)), list(range(2 * seeds, 4 * seeds))
    for test in (exact_fixed, strube):
        first = test(once.auc, once.covariance, a, b)
        second = test(twice.auc, twice.covariance, aa, bb)
        assert second.statistic == pytest.approx(first.statistic, rel=1e-9, abs=1e-9)
        assert second.p == pytest.approx(first.p, rel=1e-8)
    first = stouffer_naive(once.auc, once.covariance, a, b)
    second = stouffer_naive(twice.auc, twice.covariance, aa, bb)
    assert second.statistic == pytest.approx(math.sqrt(2) * first.statistic, rel=1e-9, abs=1e-9)
    one, two = (
        ensemble(labels, s[: len(s) // 2], s[len(s) // 2 :])
        for s in (scores, np.repeat(scores, 2, axis=0))
    )
    assert two.p == pytest.approx(one.p, rel=1e-6)


def test_one_seed_makes_all_fixed_methods_the_paired_test():
    labels, scores = _curves(seeds=1)
    e = auc_covariance(labels, scores)
    z = paired(e.auc, e.covariance, 0, 1).statistic
    for test in (exact_fixed, strube, stouffer_naive):
        assert test(e.auc, e.covariance, [0], [1]).statistic == pytest.approx(z)
    assert ensemble(labels, scores[:1], scores[1:]).statistic == pytest.approx(z)
    assert seed_correlation(e.covariance, [0], [1]) is None


def test_ensemble_averages_scores_first():
    labels, scores = _curves()
    means = np.stack([scores[:3].mean(axis=0), scores[3:].mean(axis=0)])
    e = auc_covariance(labels, means, np.arange(150) // 2)
    found = ensemble(labels, scores[:3], scores[3:], np.arange(150) // 2)
    assert found.estimate == pytest.approx(e.auc[0] - e.auc[1])
    assert found.p == paired(e.auc, e.covariance, 0, 1).p


def test_identical_arms():
    labels, scores = _curves()
    e = auc_covariance(labels, np.vstack([scores[:3], scores[:3]]))
    for test in (exact_fixed, strube, stouffer_naive):
        found = test(e.auc, e.covariance, A, B)
        assert (found.statistic, found.p) == (0.0, 1.0)


def test_one_identical_seed_counts_as_zero():
    labels, scores = _curves()
    scores[3] = scores[0]
    e = auc_covariance(labels, scores)
    z = [paired(e.auc, e.covariance, a, b).statistic for a, b in zip(A, B, strict=True)]
    assert z[0] == 0.0
    naive = stouffer_naive(e.auc, e.covariance, A, B)
    assert naive.statistic == pytest.approx((z[1] + z[2]) / math.sqrt(3))
    without = strube(e.auc, e.covariance, A[1:], B[1:])
    assert strube(e.auc, e.covariance, A, B).statistic == pytest.approx(without.statistic)


def test_a_degenerate_seed_leaves_the_sums_undefined():
    labels = np.repeat([1, 0], 30)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=60)
    e = auc_covariance(labels, np.stack([labels, noise, np.zeros(60), noise + labels]))
    for test in (strube, stouffer_naive):
        found = test(e.auc, e.covariance, [0, 1], [2, 3])
        assert found.p is None
        assert found.statistic is None
        assert "one seed at least" in found.note
    assert exact_fixed(e.auc, e.covariance, [0, 1], [2, 3]).p is not None


def test_unequal_seeds_cannot_be_paired():
    e = _estimate()
    for test in (strube, stouffer_naive, obuchowski_rockette_crossed):
        with pytest.raises(StatisticsError, match="3 and 2 seeds"):
            test(e.auc, e.covariance, A, [3, 4])


def test_crossed_on_the_data_of_van_dyke():
    auc, covariance = np.array(VAN_DYKE["auc"]), np.array(VAN_DYKE["covariance"])
    found = obuchowski_rockette_crossed(auc, covariance, range(5), range(5, 10))
    published = VAN_DYKE["published_delong"]
    assert found.statistic**2 == pytest.approx(published["f"], abs=5e-6)
    assert found.df == pytest.approx(published["df"], abs=5e-4)
    assert found.p == pytest.approx(published["p"], abs=5e-6)


def test_crossed_with_the_published_jackknife_covariances():
    published = VAN_DYKE["published_jackknife"]
    auc = np.array(published["auc"])
    # Arms x readers: variance, same reader (1), same arm (2), neither (3).
    arm, reader = np.divmod(np.arange(10), 5)
    same_arm, same_reader = arm[:, None] == arm, reader[:, None] == reader
    covariance = np.select(
        [same_arm & same_reader, same_reader, same_arm],
        [published["variance"], published["cov1"], published["cov2"]],
        published["cov3"],
    )
    found = obuchowski_rockette_crossed(auc, covariance, range(5), range(5, 10))
    assert found.estimate == pytest.approx(published["difference"], abs=5e-6)
    assert found.se == pytest.approx(published["se"], abs=5e-6)
    assert found.df == pytest.approx(published["df"], abs=5e-3)
    assert found.statistic == pytest.approx(published["t"], abs=5e-3)
    assert found.p == pytest.approx(published["p"], abs=5e-5)
    assert [found.ci_low, found.ci_high] == pytest.approx(published["ci"], abs=5e-6)


@pytest.mark.parametrize("arm", [0, 1])
def test_one_arm_by_itself_has_the_published_standard_error(arm):
    published = VAN_DYKE["published_single_arm"]
    own = np.array(VAN_DYKE["auc"])[5 * arm : 5 * arm + 5]
    cov2, ms = published["cov2"][arm], published["ms_reader"][arm]
    covariance = np.full((5, 5), cov2) + np.eye(5) * 1e-3
    found = mean_over_seeds(own, covariance, range(5))
    assert found.estimate == pytest.approx(published["auc"][arm], abs=5e-8)
    assert own.var(ddof=1) == pytest.approx(ms, abs=5e-10)
    assert found.se == pytest.approx(published["se"][arm], abs=5e-9)
    # Hillis' degrees of freedom are those printed; ours count the seeds' part 6/4 times.
    assert (ms + 5 * cov2) ** 2 / (ms**2 / 4) == pytest.approx(published["df"][arm], abs=5e-5)
    cautious = (1.5 * ms / 5 + cov2) ** 2 / ((1.5 * ms / 5) ** 2 / 4)
    assert found.df == pytest.approx(cautious, rel=1e-5)
    assert found.df < published["df"][arm]


def test_nested_by_the_formula_of_equal_seeds():
    e = _estimate()
    S, C = 3, e.covariance
    MS = (np.var(e.auc[:3], ddof=1) + np.var(e.auc[3:], ddof=1)) / 2
    within = [C[i, j] for block in (A, B) for i in block for j in block if i != j]
    between = [C[i, j] for i in A for j in B]
    den = MS + S * max(np.mean(within) - np.mean(between), 0.0)
    found = obuchowski_rockette_nested(e.auc, C, A, B)
    assert found.statistic == pytest.approx(found.estimate / math.sqrt(2 * den / S))
    v = [np.var(e.auc[own], ddof=1) / S * (S + 1) / (S - 1) for own in (A, B)]
    patients = 2 * den / S - 2 * MS / S
    expected = (sum(v) + patients) ** 2 / sum(x**2 / (S - 1) for x in v)
    assert found.df == pytest.approx(max(expected, S - 1))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.statistic), found.df))
    half = stats.t.ppf(0.975, found.df) * found.se
    assert found.ci_high == pytest.approx(found.estimate + half)


def test_nested_allows_different_numbers_of_seeds():
    e = _estimate()
    found = obuchowski_rockette_nested(e.auc, e.covariance, A, [3, 4])
    assert found.estimate == pytest.approx(e.auc[:3].mean() - e.auc[3:5].mean())
    assert found.df >= 1.0
    assert "the arms have 3 and 2 seeds" in found.note
    assert "two seeds only" in found.note
    alone = obuchowski_rockette_nested(e.auc, e.covariance, A, [3])
    assert alone.p is None
    assert "two seeds" in alone.note
    assert alone.estimate == pytest.approx(e.auc[:3].mean() - e.auc[3])


def test_nested_does_not_depend_on_which_seed_meets_which():
    e = _estimate()
    first = obuchowski_rockette_nested(e.auc, e.covariance, A, B)
    second = obuchowski_rockette_nested(e.auc, e.covariance, A, [5, 3, 4])
    assert first.p == pytest.approx(second.p)


def test_random_seeds_without_seed_noise_go_to_the_normal():
    labels, scores = _curves(seeds=2)
    e = auc_covariance(labels, scores[[0, 0, 2, 2]])
    found = obuchowski_rockette_nested(e.auc, e.covariance, [0, 1], [2, 3])
    exact = exact_fixed(e.auc, e.covariance, [0, 1], [2, 3])
    assert math.isinf(found.df)
    assert found.p == pytest.approx(exact.p)
    same = obuchowski_rockette_nested(e.auc, e.covariance, [0, 1], [0, 1])
    assert (same.statistic, same.p) == (0.0, 1.0)


def test_undefined_curves_stay_undefined():
    e = auc_covariance([1, 0, 0, 0], np.random.default_rng(0).normal(size=(6, 4)))
    for test in (
        exact_fixed,
        strube,
        stouffer_naive,
        obuchowski_rockette_nested,
        obuchowski_rockette_crossed,
    ):
        found = test(e.auc, e.covariance, A, B)
        assert found.p is None
        assert "undefined" in found.note


@pytest.mark.parametrize("name", sorted(GENERAL["effects"]))
def test_random_effects_against_metafor(name):
    block = GENERAL["effects"][name]
    for key, method in (("PM", "paule_mandel"), ("DL", "dersimonian_laird")):
        for test, bounded in (("knha", False), ("adhoc", True)):
            expected = block[f"{key}_{test}"]
            found = random_effects(block["y"], block["se"], method, bounded)
            assert found.tau2 == pytest.approx(expected["tau2"], rel=1e-7, abs=1e-12)
            assert found.i2 == pytest.approx(expected["i2"], rel=1e-7, abs=1e-12)
            assert found.mean.estimate == pytest.approx(expected["estimate"], rel=1e-8)
            assert found.mean.se == pytest.approx(expected["se"], rel=1e-7)
            assert found.mean.p == pytest.approx(expected["p"], rel=1e-6)
            interval = [found.mean.ci_low, found.mean.ci_high]
            assert interval == pytest.approx(expected["ci"], rel=1e-6, abs=1e-9)
            assert found.q == pytest.approx(expected["q"])
            assert found.q_p == pytest.approx(expected["q_p"])


@pytest.mark.parametrize("name", sorted(GENERAL["effects"]))
def test_stouffer_weighted_by_precision_is_the_common_effect(name):
    block = GENERAL["effects"][name]
    found = weighted_stouffer(block["y"], block["se"])
    assert found.estimate == pytest.approx(block["common"]["estimate"])
    assert found.se == pytest.approx(block["common"]["se"])
    assert found.statistic == pytest.approx(block["common"]["z"])
    assert found.p == pytest.approx(block["common"]["p"])


def test_stouffer_with_other_weights():
    d, se, w = np.array([0.02, 0.05]), np.array([0.01, 0.04]), np.array([3.0, 2.0])
    found = weighted_stouffer(d, se, w)
    assert found.statistic == pytest.approx((w @ (d / se)) / math.sqrt(w @ w))
    with pytest.raises(StatisticsError, match="positive"):
        weighted_stouffer(d, se, [1.0, 0.0])
    with pytest.raises(StatisticsError, match="one standard error for each"):
        weighted_stouffer(d, [0.01])


def test_undefined_datasets_are_left_out_and_counted():
    found = weighted_stouffer([0.02, math.nan, 0.03], [0.01, 0.01, 0.0])
    assert found.note.startswith("2 of 3 datasets left out")
    assert found.statistic == pytest.approx(2.0)
    nothing = weighted_stouffer([math.nan], [0.1])
    assert nothing.p is None
    meta = random_effects([0.02, math.nan], [0.01, 0.01])
    assert meta.n_datasets == 1
    assert meta.mean.p is None
    assert "fewer than two" in meta.mean.note


@pytest.mark.parametrize("method", ["bh", "by", "holm"])
def test_adjusted_p_against_r(method):
    p = GENERAL["adjusted"]["p"]
    assert adjust(p, method).p == pytest.approx(GENERAL["adjusted"][method], rel=1e-12)


def test_missing_p_values_shrink_the_family_visibly():
    found = adjust([0.01, None, 0.04, math.nan], "bh")
    assert found.family_size == 2
    assert found.p == (pytest.approx(0.02), None, pytest.approx(0.04), None)
    assert adjust([0.2, None], "none").p == (0.2, None)
    assert adjust([None, None]).p == (None, None)
    assert adjust([]).family_size == 0


def test_adjust_refuses_what_is_no_p_value():
    with pytest.raises(StatisticsError, match="outside"):
        adjust([0.1, 1.2])
    with pytest.raises(StatisticsError, match="allowed are bh, by, holm, none"):
        adjust([0.1], "bonferroni")  # type: ignore[arg-type]


@pytest.mark.slow
def test_r_gives_the_committed_values_again(tmp_path, run_r):
    out = tmp_path / "values.json"
    run_r("general_values.R", "metafor", out)
    rebuilt = json.loads(out.read_text())
    for name, block in GENERAL["effects"].items():
        assert rebuilt["effects"][name]["PM_knha"]["estimate"] == pytest.approx(
            block["PM_knha"]["estimate"], rel=1e-8
        )
    for method, values in GENERAL["adjusted"].items():
        assert rebuilt["adjusted"][method] == pytest.approx(values, rel=1e-12)


def test_equal_weights_are_students_t():
    d = [0.01, 0.05, 0.02]
    found = equal_weights(d, [0.01, 0.04, 0.02])
    expected = stats.ttest_1samp(d, 0.0)
    assert (found.statistic, found.df) == (pytest.approx(expected.statistic), 2)
    assert found.p == pytest.approx(expected.pvalue)
    assert equal_weights([0.1, math.nan], [0.1, 0.1]).p is None
    assert UNEQUAL in random_effects(d, [0.01, 0.04, 0.02]).mean.note
    assert UNEQUAL not in random_effects(d, [0.01, 0.012, 0.011]).mean.note
