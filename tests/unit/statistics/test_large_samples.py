"""Operating points of many cases: what is linearised agrees with the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mammoshift.statistics import operating_points
from mammoshift.statistics.large_samples import LINEARISED, roc_slope
from mammoshift.statistics.operating_points import (
    reestimated_operating_points,
    threshold_replicates_of,
    transferred_operating_point,
)
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.thresholds import threshold_at_specificity


def _cases(seed: str, size: int = 6000, images: int = 2):
    rng = generator_for("large", seed)
    labels = np.repeat((rng.random(size // images) < 0.3).astype(int), images)
    patients = np.repeat(np.arange(size // images), images)
    scores = rng.normal(size=size // images)[patients] * 0.8 + 0.6 * rng.normal(size=size)
    return labels, scores + 1.5 * labels, patients


def _both(monkeypatch, call):
    usual = call()
    monkeypatch.setattr(operating_points, "MANY_CASES", 1000)
    return usual, call()


def test_reestimated_sensitivity(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, scores, patients = _cases("a")
    usual, many = _both(
        monkeypatch,
        lambda: (
            reestimated_operating_points(
                labels, scores, 0.9, generator_for("boot"), patients=patients
            )[0].sensitivity
        ),
    )
    assert many.method == LINEARISED
    assert many.value == usual.value
    width = usual.ci_high - usual.ci_low
    assert many.ci_high - many.ci_low == pytest.approx(width, rel=0.12)
    assert many.ci_low == pytest.approx(usual.ci_low, abs=0.15 * width)


def test_thresholds_and_both_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    v_labels, v_scores, v_patients = _cases("v")
    labels, scores, patients = _cases("t")
    threshold = threshold_at_specificity(v_labels, v_scores, 0.9).value

    def call():
        replicates = threshold_replicates_of(
            v_labels, v_scores, 0.9, generator_for("thresholds"), patients=v_patients
        )
        point = transferred_operating_point(
            labels,
            scores,
            threshold,
            generator_for("both"),
            patients=patients,
            threshold_replicates=replicates,
        )
        return replicates, point

    (usual, point), (many, other) = _both(monkeypatch, call)
    assert many.mean() == pytest.approx(usual.mean(), abs=0.2 * usual.std())
    assert many.std() == pytest.approx(usual.std(), rel=0.12)
    for name in ("sensitivity", "specificity"):
        a, b = getattr(point, name), getattr(other, name)
        assert b.ci_high - b.ci_low == pytest.approx(a.ci_high - a.ci_low, rel=0.15)


def test_the_slope_is_the_ratio_of_densities() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(400_000) < 150_000
    scores = rng.normal(size=400_000) + 1.2 * positive
    cut = stats.norm.ppf(0.9)
    expected = stats.norm.pdf(cut - 1.2) / stats.norm.pdf(cut)
    assert roc_slope(positive, scores, 0.9) == pytest.approx(expected, rel=0.08)
