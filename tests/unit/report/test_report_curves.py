"""Coordinates of the curves against definitions written out case by case."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.report.curves import (
    FALSE_POSITIVE_GRID,
    cell_generator,
    pooled_reliability,
    roc_band,
)
from mammoshift.statistics.calibration_error import reliability_curve


def slow_curve(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """For each rate: the best sensitivity of any threshold that does not exceed it."""
    rates = [(0.0, 0.0)]
    for threshold in np.unique(scores):
        called = scores >= threshold
        rates.append((called[labels == 0].mean(), called[labels == 1].mean()))
    return np.array([max(t for f, t in rates if f <= rate + 1e-12) for rate in FALSE_POSITIVE_GRID])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 40), st.booleans())
def test_the_curve_is_the_step_function_of_the_data(seed: int, size: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = np.r_[np.zeros(2), np.ones(2), rng.integers(0, 2, size)].astype(np.int8)
    scores = rng.normal(size=labels.size)
    if ties:
        scores = np.round(scores)
    band = roc_band(labels, scores[None], np.arange(labels.size), rng, resamples=5)
    assert band is not None
    assert band.mean == pytest.approx(slow_curve(labels, scores))


def test_the_mean_is_the_vertical_average_and_lies_in_its_band() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 60).astype(np.int8)
    logits = rng.normal(size=(3, 120)) + labels
    patients = np.repeat(np.arange(60), 2)
    band = roc_band(labels, logits, patients, rng, resamples=200)
    assert band is not None
    assert band.mean == pytest.approx(band.seeds.mean(axis=0))
    assert np.all(band.low <= band.high)
    assert np.mean((band.low <= band.mean) & (band.mean <= band.high)) > 0.95
    assert np.all(np.diff(band.mean) >= 0)


def test_images_of_one_patient_widen_the_band() -> None:
    rng = np.random.default_rng(2)
    labels = np.tile([0, 1], 40).astype(np.int8)
    scores = rng.normal(size=80) + labels
    labels, scores = np.repeat(labels, 4), np.repeat(scores, 4)
    widths = []
    for patients in (np.repeat(np.arange(80), 4), np.arange(320)):
        band = roc_band(labels, scores[None], patients, cell_generator("a"), resamples=200)
        assert band is not None
        widths.append((band.high - band.low).mean())
    assert widths[0] > 1.5 * widths[1]


def test_one_class_has_no_curve() -> None:
    rng = np.random.default_rng(0)
    labels = np.ones(5, dtype=np.int8)
    assert roc_band(labels, rng.normal(size=(1, 5)), np.arange(5), rng) is None


def test_bins_hold_every_case_and_are_those_of_the_statistics() -> None:
    labels = np.array([0, 1, 1, 0], dtype=np.int8)
    logits = np.array([[-50.0, -2.5, -2.0, 50.0]])
    bins = pooled_reliability(labels, logits)
    assert bins.count.tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert bins.observed[[0, 1, 9]].tolist() == [0.5, 1.0, 0.0]
    assert np.isnan(bins.observed[4])
    assert (bins.low[1], bins.high[1]) == (pytest.approx(0.2065493), 1.0)
    curve = reliability_curve(logits[0], labels, bins=10)
    assert bins.predicted == pytest.approx(curve.mean_predicted, nan_ok=True)
    assert bins.high == pytest.approx(curve.ci_high, nan_ok=True)


def test_pooled_seeds_do_not_narrow_the_bars() -> None:
    labels = np.array([0, 1, 1, 0], dtype=np.int8)
    one = np.array([[-1.9, -1.85, -1.8, -1.75]])
    single, pooled = (pooled_reliability(labels, np.repeat(one, n, 0)) for n in (1, 3))
    assert pooled.low[1] == pytest.approx(single.low[1])
    assert pooled.count[1] == 4


def test_streams_depend_on_names_not_on_order() -> None:
    first = cell_generator("roc", "cmmd").random()
    cell_generator("roc", "dmid").random()
    assert cell_generator("roc", "cmmd").random() == first
    assert cell_generator("roc", "mias").random() != first
