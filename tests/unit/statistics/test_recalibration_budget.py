from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from mammoshift.errors import StatisticsError
from mammoshift.statistics import recalibration_budget as budget
from mammoshift.statistics.calibration_error import debiased_l2, expected_calibration_error
from mammoshift.statistics.recalibration import fit_platt
from mammoshift.statistics.recalibration_budget import recalibration_budget
from mammoshift.statistics.seeding import generator_for


def shifted_target(n: int = 500):
    """A target whose risks are lower than the logits say, and spread less."""
    rng = generator_for("budget")
    true = rng.normal(-1.0, 1.3, n)
    labels = (rng.random(n) < expit(true)).astype(int)
    return 2.0 * true + 1.5, labels


def point(result, k: int, method: str, metric: str):
    (found,) = [p for p in result.points if (p.patients, p.method, p.metric) == (k, method, metric)]
    return found


def test_more_local_labels_restore_more() -> None:
    logits, labels = shifted_target()
    result = recalibration_budget(
        logits, labels, generator_for("a"), draws=80, transferred_threshold=1.0
    )
    before = point(result, 0, "none", "nll").mean
    curve = [point(result, k, "platt", "nll").mean for k in (10, 25, 50, 100, 200)]
    assert curve == sorted(curve, reverse=True)
    assert curve[-1] < before - 0.05
    # A temperature cannot move the intercept: it stays behind Platt.
    assert point(result, 200, "temperature", "nll").mean > curve[-1] + 0.01
    widths = [
        (p := point(result, k, "local_threshold", "specificity")).high - p.low
        for k in (10, 50, 200)
    ]
    assert widths == sorted(widths, reverse=True)
    restored = point(result, 200, "local_threshold", "specificity")
    assert restored.low < 0.95 < restored.high
    assert point(result, 0, "transferred_threshold", "specificity").mean < 0.9


def test_one_draw_is_what_a_site_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = shifted_target(120)
    patients = np.arange(120) // 2
    seen = []
    original = budget._orders

    def spying(*arguments):
        for order in original(*arguments):
            seen.append(order)
            yield order

    monkeypatch.setattr(budget, "_orders", spying)
    measured = []
    keep = budget._point

    def spy_point(size, method, metric, values, failed, level, worse):
        measured.append((size, method, metric, values))
        return keep(size, method, metric, values, failed, level, worse)

    monkeypatch.setattr(budget, "_point", spy_point)
    recalibration_budget(
        logits, labels, generator_for("b"), patients=patients, sizes=(20,), draws=2
    )
    values = {(method, metric): v for _, method, metric, v in measured}
    order = seen[0]
    for d in range(2):
        mine = order.place[d] < 20
        assert mine.sum() == 40
        z, y = order.logits[d], order.positive[d]
        fitted = fit_platt(z[mine], y[mine])
        rest = order.place[d] >= 30
        assert rest.sum() == 60
        judged = fitted.apply(z[rest])
        expected = expected_calibration_error(judged, y[rest])
        assert values["platt", "ece"][d] == pytest.approx(expected, abs=1e-9)
        squared = max(0.0, values["platt", "debiased_l2"][d])
        assert squared**0.5 == pytest.approx(debiased_l2(judged, y[rest]))
        assert values["platt", "brier"][d] == pytest.approx(np.mean((expit(judged) - y[rest]) ** 2))
        # The state before any label is judged on the same cases.
        plain = np.mean((expit(z[rest]) - y[rest]) ** 2)
        assert values["none", "brier"][d] == pytest.approx(plain)


def test_a_calibrated_target_gains_nothing_and_often_loses() -> None:
    rng = generator_for("calibrated")
    logits = rng.normal(-1.0, 1.3, 400)
    labels = (rng.random(400) < expit(logits)).astype(int)
    result = recalibration_budget(logits, labels, generator_for("g"), sizes=(10, 200), draws=60)
    assert result.held_back == 200
    few, many = (point(result, k, "platt", "nll") for k in (10, 200))
    assert few.worse > 0.8
    assert many.mean < few.mean
    assert point(result, 0, "none", "nll").worse is None
    # Same cases for every k: what k costs is not hidden by fewer cases to judge.
    assert many.mean == pytest.approx(point(result, 0, "none", "nll").mean, abs=0.02)


def test_small_samples_that_allow_no_fit_keep_what_was() -> None:
    rng = generator_for("rare")
    labels = np.zeros(200, dtype=int)
    labels[:6] = 1
    logits = rng.normal(size=200) + 2.0 * labels
    result = recalibration_budget(
        logits, labels, generator_for("c"), sizes=(10,), draws=50, transferred_threshold=1.0
    )
    failed = point(result, 10, "platt", "nll").failed
    assert 0.5 < failed < 1.0
    assert point(result, 10, "local_threshold", "specificity").failed == 0.0
    assert np.isfinite(point(result, 10, "temperature", "nll").mean)


def test_sizes_beyond_half_of_the_patients_are_left_out() -> None:
    logits, labels = shifted_target(150)
    result = recalibration_budget(
        logits, labels, generator_for("d"), sizes=(10, 75, 76, 500), draws=5
    )
    assert result.left_out == (76, 500)
    assert {p.patients for p in result.points} == {0, 10, 75}


def test_draws_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = shifted_target(100)
    whole = recalibration_budget(logits, labels, generator_for("e"), sizes=(20,), draws=11)
    monkeypatch.setattr(budget, "_CHUNK_ELEMENTS", 300)
    parts = recalibration_budget(logits, labels, generator_for("e"), sizes=(20,), draws=11)
    for a, b in zip(whole.points, parts.points, strict=True):
        assert a.mean == pytest.approx(b.mean, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draws": 1}, "at least 2"),
        ({"sizes": (1,)}, "below 2"),
        ({"specificity": 0.0}, "specificity"),
    ],
)
def test_bad_settings_are_named(arguments, message: str) -> None:
    logits, labels = shifted_target(50)
    with pytest.raises(StatisticsError, match=message):
        recalibration_budget(logits, labels, generator_for("f"), **arguments)
    with pytest.raises(StatisticsError, match="no negative"):
        recalibration_budget(logits, np.ones(50), generator_for("f"))
