"""Simulated coverage of the intervals, by the functions of `benchmarks/interval_coverage.py`."""

from __future__ import annotations

from types import ModuleType

import pytest

pytestmark = pytest.mark.slow

SIMULATION = "interval_coverage"
REPETITIONS = 600


def test_sensitivity_at_an_estimated_threshold(simulation: ModuleType) -> None:
    for row in simulation.sensitivity_at_a_specificity(REPETITIONS):
        if row.what.startswith("bootstrap"):
            # Two standard errors of the simulation around 93 to 97 %.
            assert 0.915 <= row.share <= 0.985, row
        elif "AUC 0.65" not in row.cell:
            # Near the diagonal the ROC curve is flat and the threshold matters less.
            assert 0.70 <= row.share <= 0.88, row


def test_transferred_and_clustered(simulation: ModuleType) -> None:
    rows = {row.what: row.share for row in simulation.transferred_thresholds(REPETITIONS)}
    assert rows["Wilson, for this threshold"] == pytest.approx(0.95, abs=0.025)
    assert rows["Wilson, for the true 95 % threshold"] < 0.9
    assert rows["both samples, for the true 95 % threshold"] >= 0.93
    assert rows["both samples, specificity 95 %"] >= 0.93
    rows = {row.what: row.share for row in simulation.images_of_one_patient(REPETITIONS)}
    assert rows["ratio over patients"] == pytest.approx(0.95, abs=0.025)
    assert rows["Wilson on images"] < 0.88


def test_the_paired_comparison_keeps_its_level(simulation: ModuleType) -> None:
    (row,) = simulation.paired_comparison(REPETITIONS)
    assert 0.02 <= row.share <= 0.07


def test_calibration(simulation: ModuleType) -> None:
    for row in simulation.calibration_intervals(REPETITIONS):
        assert row.share == pytest.approx(0.95, abs=0.025), row


def test_the_ece_of_a_calibrated_model(simulation: ModuleType) -> None:
    for n, mean, _, expected in simulation.ece_of_a_calibrated_model():
        assert mean == pytest.approx(expected, abs=0.0015), n
