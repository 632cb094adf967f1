"""Contrasts, joint tests, unpaired differences, McNemar, power, and subgroups."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.comparisons import (
    DEGENERATE,
    IDENTICAL,
    UNDEFINED,
    contrast,
    detectable_difference,
    difference_test,
    omnibus,
    paired,
    power_of_difference,
    unpaired,
)
from mammoshift.statistics.mcnemar import mcnemar
from mammoshift.statistics.shares import averaged
from mammoshift.statistics.subgroups import (
    ORDINARY_AREA,
    interaction_within_patients,
    subgroup_covariance,
)


def _data(seed=0, n=120, curves=3):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    return labels, rng.normal(size=(curves, n)) + rng.normal(size=n) + labels


def test_contrast_is_the_linear_combination():
    labels, scores = _data()
    e = auc_covariance(labels, scores)
    w = np.array([0.5, 0.5, -1.0])
    found = contrast(e.auc, e.covariance, w)
    assert found.estimate == pytest.approx(w @ e.auc)
    assert found.se == pytest.approx(math.sqrt(w @ e.covariance @ w))
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.estimate / found.se)))
    assert found.ci_low == pytest.approx(found.estimate - stats.norm.ppf(0.975) * found.se)


def test_contrast_ignores_curves_without_weight():
    values = np.array([0.8, np.nan, 0.7])
    covariance = np.diag([0.01, np.nan, 0.02])
    found = contrast(values, covariance, [1, 0, -1])
    assert found.se == pytest.approx(math.sqrt(0.03))


def test_contrast_of_the_wrong_length():
    with pytest.raises(StatisticsError, match="2 weights does not fit 3 curves"):
        contrast(np.zeros(3), np.eye(3), [1, -1])


def test_identical_curves_have_p_one():
    labels, scores = _data()
    e = auc_covariance(labels, np.stack([scores[0], np.exp(scores[0])]))
    found = paired(e.auc, e.covariance, 0, 1)
    assert (found.estimate, found.se, found.statistic, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert found.note == IDENTICAL


def test_difference_without_variance_has_no_p():
    labels = np.repeat([1, 0], 20)
    e = auc_covariance(labels, np.stack([labels, np.zeros(40)]))
    found = paired(e.auc, e.covariance, 0, 1)
    assert found.estimate == 0.5
    assert found.statistic is None
    assert found.p is None
    assert found.note == DEGENERATE


def test_undefined_difference_keeps_the_estimate():
    e = auc_covariance([1, 0, 0, 0], [[4.0, 1, 2, 3], [1.0, 2, 3, 4]])
    found = paired(e.auc, e.covariance, 0, 1)
    assert (found.estimate, found.p, found.note) == (1.0, None, UNDEFINED)


def test_p_value_far_in_the_tail():
    found = difference_test(60.0, 1.0, 1.0)
    assert found.p == 0.0
    assert found.log10_p == pytest.approx((stats.norm.logsf(60.0) + math.log(2)) / math.log(10))
    assert difference_test(30.0, 1.0, 1.0).p == pytest.approx(2 * stats.norm.sf(30.0), rel=1e-12)


def test_omnibus_of_two_curves_is_the_paired_test():
    labels, scores = _data(curves=2)
    e = auc_covariance(labels, scores)
    joint, pair = omnibus(e.auc, e.covariance), paired(e.auc, e.covariance, 0, 1)
    assert joint.df == 1
    assert joint.statistic == pytest.approx(pair.statistic**2)
    assert joint.p == pytest.approx(pair.p)


def test_omnibus_does_not_depend_on_the_basis():
    labels, scores = _data(curves=4)
    e = auc_covariance(labels, scores)
    first = omnibus(e.auc, e.covariance)
    second = omnibus(e.auc, e.covariance, [[1, -1, 0, 0], [0, 1, -1, 0], [0, 0, 1, -1]])
    assert first.statistic == pytest.approx(second.statistic)
    assert first.p == pytest.approx(stats.chi2.sf(first.statistic, 3))


def test_omnibus_with_a_repeated_curve_loses_a_degree_of_freedom():
    labels, scores = _data(curves=3)
    e = auc_covariance(labels, scores[[0, 0, 1, 2]])
    single = auc_covariance(labels, scores)
    joint = omnibus(e.auc, e.covariance)
    assert joint.df == 2
    assert joint.statistic == pytest.approx(omnibus(single.auc, single.covariance).statistic)
    assert "2 of them independent" in joint.note


def test_omnibus_degenerate_cases():
    same = omnibus(np.array([0.5, 0.5]), np.zeros((2, 2)))
    assert (same.statistic, same.p, same.note) == (0.0, 1.0, IDENTICAL)
    differ = omnibus(np.array([0.5, 1.0]), np.zeros((2, 2)))
    assert (differ.p, differ.note) == (None, DEGENERATE)
    assert omnibus(np.array([0.5, np.nan]), np.eye(2)).note == UNDEFINED
    with pytest.raises(StatisticsError, match="3 weights do not fit 2"):
        omnibus(np.array([0.5, 0.6]), np.eye(2), [[1, -1, 0]])


def test_unpaired_adds_variances():
    found = unpaired(0.9, 0.0009, 0.8, 0.0016)
    assert found.estimate == pytest.approx(0.1)
    assert found.se == pytest.approx(0.05)
    assert math.isinf(found.df)


def test_mcnemar_against_the_binomial_test():
    first = np.array([1] * 20 + [1] * 12 + [0] * 3 + [0] * 9, dtype=bool)
    second = np.array([1] * 20 + [0] * 12 + [1] * 3 + [0] * 9, dtype=bool)
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (12, 3)
    assert found.difference == pytest.approx(9 / 44)
    assert found.p_exact == pytest.approx(stats.binomtest(3, 15).pvalue)
    assert found.p_mid == pytest.approx(found.p_exact - stats.binom.pmf(3, 15, 0.5))


def test_mcnemar_without_discordant_cases():
    found = mcnemar([True, False], [True, False])
    assert (found.p_exact, found.p_mid, found.difference) == (1.0, 1.0, 0.0)
    assert mcnemar([True, False], [True, False], [1, 2]).p_clustered == 1.0


def test_mcnemar_clustered():
    rng = np.random.default_rng(0)
    first, second = rng.random(80) < 0.8, rng.random(80) < 0.6
    single = mcnemar(first, second, np.arange(80))
    b, c = single.only_first, single.only_second
    assert single.p_clustered == pytest.approx(stats.chi2.sf((b - c) ** 2 / (b + c), 1))
    # The same cases four times over are no more evidence when their patients are known.
    four = mcnemar(np.tile(first, 4), np.tile(second, 4), np.tile(np.arange(80), 4))
    assert four.p_clustered == pytest.approx(single.p_clustered)
    with pytest.raises(StatisticsError, match="both must be"):
        mcnemar([True], [True, False])


def test_detectable_difference_has_the_power_asked_for():
    delta = detectable_difference(0.01)
    assert delta == pytest.approx(0.01 * (1.959963984540054 + 0.8416212335729143))
    assert power_of_difference(delta, 0.01) == pytest.approx(0.8, abs=1e-5)
    assert power_of_difference(0.0, 0.01) == pytest.approx(0.05)
    assert detectable_difference(0.01, df=4) > detectable_difference(0.01, df=40) > delta


def test_subgroup_blocks_equal_the_clustered_estimate():
    labels, scores = _data(3, 200, 2)
    patients = np.arange(200) // 4
    groups = np.array(["CC", "MLO"])[np.arange(200) % 2]
    found = subgroup_covariance(labels, scores, groups, patients)
    assert found.names == ("CC", "MLO")
    for g, name in enumerate(found.names):
        chosen = groups == name
        alone = auc_covariance(labels[chosen], scores[:, chosen], patients[chosen])
        np.testing.assert_allclose(found.auc[g], alone.auc)
        np.testing.assert_allclose(found.covariance[g, :, g, :], alone.covariance, atol=1e-17)
        assert (found.n_pos[g], found.n_neg[g]) == (alone.n_pos, alone.n_neg)


def test_subgroups_of_different_patients_are_uncorrelated():
    labels, scores = _data(4, 120, 2)
    groups = np.repeat(["a", "b"], 60)
    found = subgroup_covariance(labels, scores, groups, np.arange(120))
    np.testing.assert_allclose(found.covariance[0, :, 1, :], 0.0, atol=1e-18)
    differences = []
    for name in ("a", "b"):
        e = auc_covariance(labels[groups == name], scores[:, groups == name])
        differences.append(paired(e.auc, e.covariance, 0, 1))
    inside = interaction_within_patients(found, [1, -1])
    z = unpaired(*(x for d in differences for x in (d.estimate, d.se**2)))
    assert inside.statistic == pytest.approx(z.statistic**2)
    assert inside.df == 1
    assert inside.df_error is not None and 30 < inside.df_error < 118
    assert inside.p > z.p


def test_interaction_is_welchs_test_of_logits():
    labels, scores = _data(9, 300, 1)
    groups = np.repeat(["a", "b", "c"], [60, 100, 140])
    found = interaction_within_patients(
        subgroup_covariance(labels, scores, groups, np.arange(300)), [1.0]
    )
    own = [auc_covariance(labels[groups == g], scores[:, groups == g]) for g in "abc"]
    x = np.array([math.log(e.auc[0] / (1 - e.auc[0])) for e in own])
    slope = np.array([1 / (e.auc[0] * (1 - e.auc[0])) for e in own])
    sides = [[part.covariance[0, 0] for part in e.parts] for e in own]
    df = [
        sum(v) ** 2 / (v[0] ** 2 / (e.n_pos - 1) + v[1] ** 2 / (e.n_neg - 1))
        for v, e in zip(sides, own, strict=True)
    ]
    # What is known beforehand counts too; it multiplies the variance and leaves its df.
    factors = []
    for e, v in zip(own, sides, strict=True):
        inside, fewest = e.auc[0] * (1 - e.auc[0]), min(e.n_pos, e.n_neg)
        k = sum(v) / inside
        factors.append(
            averaged(k, fewest - 1.0, e.auc[0], ORDINARY_AREA * (1 / e.n_pos + 1 / e.n_neg))[0] / k
        )
    w = 1 / (slope**2 * np.array(factors) * [sum(v) for v in sides])
    spread = float(np.sum((1 - w / w.sum()) ** 2 / df))
    q = float(w @ (x - w @ x / w.sum()) ** 2)
    assert found.statistic == pytest.approx(q / 2 / (1 + 2 * 1 / 8 * spread))
    assert found.df_error == pytest.approx(8 / (3 * spread))
    assert found.p == pytest.approx(stats.f.sf(found.statistic, 2, found.df_error))


def test_a_small_subgroup_that_hardly_varies_does_not_differ_for_certain():
    """Eleven of its twelve positives are above all others: the variance of that is hardly known."""
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0, 1, 0], [12, 150, 150, 600])
    scores = rng.normal(size=labels.size) + 1.8 * labels
    scores[:12] = [1.9, *np.arange(11.0) + 5.0]
    groups = np.repeat(["rare", "others"], [162, 750])
    estimate = subgroup_covariance(labels, scores[None], groups, np.arange(labels.size))
    found = interaction_within_patients(estimate, [1.0])
    assert (estimate.auc[:, 0] > [0.85, 0.98]).all()
    assert found.tested == ("others", "rare")
    assert found.p is not None and 0.05 < found.p < 0.6


def test_a_small_subgroup_is_named_and_not_tested():
    labels, scores = _data(10, 200, 1)
    groups = np.repeat(["dense", "fatty", "rare"], [100, 90, 10])
    found = interaction_within_patients(
        subgroup_covariance(labels, scores, groups, np.arange(200)), [1.0]
    )
    assert (found.tested, found.left_out) == (("dense", "fatty"), ("rare",))
    assert found.note.endswith("rare")
    assert found.df == 1


def test_same_images_in_both_subgroups_have_no_interaction():
    labels, scores = _data(5, 100, 2)
    twice = np.tile(scores, 2)
    found = subgroup_covariance(
        np.tile(labels, 2), twice, np.repeat(["a", "b"], 100), np.tile(np.arange(100), 2)
    )
    test = interaction_within_patients(found, [1, -1])
    assert (test.statistic, test.p) == (0.0, 1.0)


def test_subgroup_without_positives_is_left_out():
    labels, scores = _data(6, 90, 1)
    groups = np.repeat(["a", "b", "c"], 30)
    labels[groups == "c"] = 0
    found = subgroup_covariance(labels, scores, groups, np.arange(90))
    assert np.isnan(found.auc[2, 0])
    assert "no positive" in found.notes[2]
    test = interaction_within_patients(found, [1.0])
    assert test.df == 1
    assert test.left_out == ("c",)
    with pytest.raises(StatisticsError, match="does not fit"):
        interaction_within_patients(found, [1.0, -1.0])
    with pytest.raises(StatisticsError, match="groups have shape"):
        subgroup_covariance(labels, scores, groups[:5], np.arange(90))
