from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from mammoshift.errors import StatisticsError
from mammoshift.statistics.decision_curves import decision_curve
from mammoshift.statistics.seeding import generator_for

THRESHOLDS = np.array([0.01, 0.05, 0.1, 0.2, 0.5])


def predictions(n: int = 1000):
    rng = generator_for("decision")
    true = rng.normal(-2.0, 1.5, n)
    return true, (rng.random(n) < expit(true)).astype(int)


def test_net_benefit_is_its_formula() -> None:
    logits, labels = predictions()
    curve = decision_curve(logits, labels, THRESHOLDS)
    p, base = expit(logits), labels.mean()
    for i, t in enumerate(THRESHOLDS):
        tp, fp = np.sum((p >= t) & (labels == 1)), np.sum((p >= t) & (labels == 0))
        assert curve.net_benefit[i] == pytest.approx((tp - fp * t / (1 - t)) / 1000, abs=1e-14)
        assert curve.treat_all[i] == pytest.approx(base - (1 - base) * t / (1 - t), abs=1e-14)
        rival = max(0.0, curve.treat_all[i])
        assert curve.advantage[i] == pytest.approx(curve.net_benefit[i] - rival, abs=1e-14)
    assert (curve.advantage[1:4] > 0).all()


def test_extremes_are_treating_all_and_none() -> None:
    _, labels = predictions()
    everybody = decision_curve(np.full(1000, 50.0), labels, THRESHOLDS)
    assert everybody.net_benefit == pytest.approx(everybody.treat_all)
    nobody = decision_curve(np.full(1000, -50.0), labels, THRESHOLDS)
    assert (nobody.net_benefit == 0.0).all()
    perfect = decision_curve(np.where(labels == 1, 9.0, -9.0), labels, THRESHOLDS)
    assert perfect.net_benefit == pytest.approx(np.full(5, labels.mean()))


def test_the_interval_is_the_spread_over_samples() -> None:
    rng = generator_for("spread")
    found, widths = [], []
    for _ in range(400):
        true = rng.normal(-2.0, 1.5, 300)
        labels = (rng.random(300) < expit(true)).astype(int)
        curve = decision_curve(true, labels, [0.1])
        found.append(curve.net_benefit[0])
        widths.append(curve.ci_high[0] - curve.ci_low[0])
    assert np.mean(widths) / 2 / 1.96 == pytest.approx(np.std(found), rel=0.12)


def test_copies_of_a_patient_do_not_narrow_the_interval() -> None:
    logits, labels = predictions(200)
    once = decision_curve(logits, labels, THRESHOLDS)
    copied = decision_curve(
        np.repeat(logits, 3),
        np.repeat(labels, 3),
        THRESHOLDS,
        patients=np.repeat(np.arange(200), 3),
    )
    assert copied.ci_high == pytest.approx(once.ci_high)


def test_a_prevalence_replaces_that_of_a_case_control_set() -> None:
    rng = generator_for("case-control")
    labels = np.repeat([1, 0], [500, 500])
    logits = rng.normal(size=1000) + 2.0 * labels + logit(0.01)
    curve = decision_curve(logits, labels, [0.02], prevalence=0.01)
    sensitivity = np.mean(expit(logits[:500]) >= 0.02)
    false_positives = np.mean(expit(logits[500:]) >= 0.02)
    expected = sensitivity * 0.01 - false_positives * 0.99 * 0.02 / 0.98
    assert curve.net_benefit[0] == pytest.approx(expected)
    assert curve.prevalence == 0.01


@pytest.mark.parametrize(
    ("thresholds", "arguments", "message"),
    [
        ([0.0, 0.5], {}, "between 0 and 1"),
        ([0.5, 0.2], {}, "must rise"),
        ([], {}, "between 0 and 1"),
        ([0.5], {"prevalence": 1.0}, "prevalence is 1.0"),
    ],
)
def test_bad_input_is_named(thresholds, arguments, message: str) -> None:
    logits, labels = predictions(20)
    with pytest.raises(StatisticsError, match=message):
        decision_curve(logits, labels, thresholds, **arguments)


def test_limits_stay_within_what_is_possible_and_have_a_width() -> None:
    labels = np.repeat([1, 0], [9, 1])
    logits = np.where(np.arange(10) == 3, -9.0, 9.0)
    curve = decision_curve(logits, labels, [0.05, 0.5])
    assert (curve.ci_high <= 1.0).all() and curve.ci_high[1] == 1.0
    worst = decision_curve(-logits, labels, [0.5], prevalence=0.1)
    assert worst.ci_low[0] >= -0.9
    alike = decision_curve(np.full(10, 9.0), np.ones(10), [0.2])
    assert np.isnan([alike.ci_low[0], alike.ci_high[0], alike.advantage_low[0]]).all()
