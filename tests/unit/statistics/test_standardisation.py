"""Weighted AUCs, and transfer drops at the source's case mix."""

from __future__ import annotations

import numpy as np
import pytest

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.standardisation import standardised_drop, weighted_auc
from mammoshift.statistics.transfer import drop_of_arm, drops_of


def _cases(seed, n, shares, curves=2, gains=(2.0, 0.5)):
    """Return labels, scores, strata and patients; the second stratum is the harder one."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    strata = rng.choice(["fatty", "dense"], n, p=shares)
    gain = np.where(strata == "fatty", *gains)
    scores = rng.normal(size=(curves, n)) + gain * labels
    return labels, scores, strata, np.arange(n) // 2


def test_weighted_auc_against_a_count_of_all_pairs():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    scores = np.round(rng.normal(size=(2, 60)) + labels, 1)
    w = rng.uniform(0.0, 3.0, 60) * (rng.random(60) < 0.9)
    found = weighted_auc(labels, scores, w)
    for k, row in enumerate(scores):
        total = weight = 0.0
        for i in np.flatnonzero(labels == 1):
            for j in np.flatnonzero(labels == 0):
                psi = 1.0 if row[i] > row[j] else 0.5 if row[i] == row[j] else 0.0
                total += w[i] * w[j] * psi
                weight += w[i] * w[j]
        assert found.auc[k] == pytest.approx(total / weight, abs=1e-12)


@pytest.mark.parametrize("clustered", [True, False])
def test_equal_weights_are_the_plain_estimate(clustered):
    labels, scores, _, patients = _cases(1, 200, (0.5, 0.5))
    clusters = patients if clustered else None
    plain = auc_covariance(labels, scores, clusters)
    found = weighted_auc(labels, scores, np.full(200, 0.3), clusters)
    np.testing.assert_allclose(found.auc, plain.auc, atol=1e-12)
    np.testing.assert_allclose(found.covariance, plain.covariance, atol=1e-14)


def test_equal_mixes_give_the_plain_drop():
    source = _cases(2, 400, (0.5, 0.5))
    labels, scores, strata, patients = source
    rng = np.random.default_rng(3)
    target = labels, scores + 0.8 * rng.normal(size=scores.shape), strata, patients
    found = standardised_drop(source, target)
    plain = drops_of(
        auc_covariance(labels, scores, patients), auc_covariance(labels, target[1], patients)
    )
    np.testing.assert_allclose(found.drops.values, plain.values, atol=1e-12)
    np.testing.assert_allclose(found.drops.covariance, plain.covariance, atol=1e-14)
    assert found.support.source_share == (1.0, 1.0)


def test_a_drop_that_is_case_mix_alone_goes():
    source, target = _cases(4, 6000, (0.8, 0.2), 1), _cases(5, 6000, (0.2, 0.8), 1)
    plain = drops_of(auc_covariance(*source[:2], source[3]), auc_covariance(*target[:2], target[3]))
    raw = drop_of_arm(plain, [0], seeds_random=False)
    found = standardised_drop(source, target)
    mended = drop_of_arm(found.drops, [0], seeds_random=False)
    assert raw.estimate > 0.1
    assert raw.p < 1e-6
    assert mended.ci_low < 0.0 < mended.ci_high
    assert found.support.effective[0] < 0.6 * target[0].sum()


def test_strata_of_one_dataset_are_left_out_and_counted():
    source, target = _cases(6, 300, (0.7, 0.3)), _cases(7, 300, (1.0, 0.0))
    found = standardised_drop(source, target)
    assert found.support.strata == (1, 1)
    expected = np.mean(source[2][source[0] == 1] == "fatty")
    assert found.support.source_share[0] == pytest.approx(expected)
    only = source[2] == "fatty"
    plain = auc_covariance(source[0][only], source[1][:, only], source[3][only])
    np.testing.assert_allclose(found.source.auc, plain.auc)
    with pytest.raises(StatisticsError, match="no stratum of positive cases"):
        standardised_drop(source, (*target[:2], np.full(300, "other"), target[3]))


def test_weights_are_checked():
    with pytest.raises(StatisticsError, match="weights"):
        weighted_auc([0, 1], [[0.1, 0.2]], [1.0, -1.0])
    assert "only one positive" in weighted_auc([0, 0, 1], [[1.0, 2.0, 3.0]], np.ones(3)).note


@pytest.mark.slow
def test_weighted_intervals_cover():
    rng = np.random.default_rng(8)
    truth = np.mean(
        [
            weighted_auc(*_cases(s, 40_000, (0.5, 0.5), 1)[:2], np.ones(40_000)).auc[0]
            for s in range(4)
        ]
    )
    covered = 0
    for seed in rng.integers(1000, 10**6, 600):
        labels, scores, strata, patients = _cases(int(seed), 400, (0.25, 0.75), 1)
        weights = np.where(strata == "fatty", 2.0, 2.0 / 3.0)
        found = weighted_auc(labels, scores, weights, patients)
        covered += abs(found.auc[0] - truth) <= 1.96 * np.sqrt(found.covariance[0, 0])
    assert covered / 600 == pytest.approx(0.95, abs=0.025)
