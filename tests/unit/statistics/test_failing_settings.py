"""The settings that tests and intervals failed in, by the script that makes the table of docs."""

from __future__ import annotations

import math
from types import ModuleType

import pytest

pytestmark = pytest.mark.slow

SIMULATION = "failing_settings"
REPETITIONS = 1500


def _measured(simulation: ModuleType, name: str, repetitions: int = REPETITIONS):
    """Return {(setting, method): share}; methods that are mended start with `after`."""
    return {(s.setting, s.method): s for s in simulation.EXPERIMENTS[name](repetitions)}


def _hold(found, low: float, high: float, repetitions: int = REPETITIONS) -> None:
    """Assert that what was mended lies within the bounds, but for the simulation's own error."""
    mended = {key: s for key, s in found.items() if key[1].startswith("after")}
    assert mended
    for key, s in mended.items():
        noise = 2.5 * math.sqrt(s.nominal * (1.0 - s.nominal) / repetitions)
        assert low - noise <= s.share <= high + noise, (key, s.share)


def test_interaction_over_subgroups(simulation):
    found = _measured(simulation, "subgroups")
    _hold(found, 0.035, 0.065)
    failed = [s.share for (_, method), s in found.items() if method == "before: chi-square of AUCs"]
    assert min(failed) > 0.09


def test_drops_with_seeds_as_random(simulation):
    found = _measured(simulation, "drops", 800)
    _hold(found, 0.035, 0.065, 800)
    assert max(s.share for (_, method), s in found.items() if "fixed, diff" in method) > 0.3


def test_arms_that_vary_differently_from_seed_to_seed(simulation):
    found = _measured(simulation, "seeds", 1000)
    # Two seeds of one arm are said to be too few by the note of the test.
    held = {key: s for key, s in found.items() if "2 and 10 seeds" not in key[0]}
    _hold(held, 0.03, 0.065, 1000)
    assert max(s.share for (_, method), s in found.items() if method == "before: pooled") > 0.12


def test_three_targets_together(simulation):
    found = _measured(simulation, "targets", 1000)
    _hold(found, 0.03, 0.065, 1000)
    by_seeds = [s.share for (_, method), s in found.items() if "sum of z" in method]
    assert max(by_seeds) > 0.3


def test_intervals_of_few_positive_patients(simulation):
    found = _measured(simulation, "few positives", 3000)
    # The score interval is on the wide side, and never short.
    _hold(found, 0.94, 0.995, 3000)
    assert min(s.share for (_, method), s in found.items() if method == "before: logit") < 0.91


def test_sensitivity_at_a_fixed_threshold(simulation):
    found = _measured(simulation, "fixed threshold")
    _hold(found, 0.93, 0.97)
    assert min(s.share for (_, method), s in found.items() if method.startswith("before")) < 0.9


def test_three_datasets_of_unequal_precision(simulation):
    found = _measured(simulation, "few datasets", 3000)
    _hold(found, 0.025, 0.06, 3000)
    assert max(s.share for (_, method), s in found.items() if method.startswith("before")) > 0.12


def test_calibration_slope_of_few_positive_patients(simulation):
    found = _measured(simulation, "slopes", 1000)
    _hold(found, 0.94, 0.995, 300)
    assert min(s.share for (_, method), s in found.items() if method.startswith("before")) < 0.93
