"""Simulated type-I errors and coverages, by the script that prints them."""

from __future__ import annotations

import pytest

SIMULATION = "type_one_error"
pytestmark = pytest.mark.slow
REPETITIONS = 3000


def _rates(experiment, repetitions=REPETITIONS):
    return {(rate.cell, rate.what): rate.rate for rate in experiment(repetitions)}


def test_seeds_on_one_test_set(simulation):
    rates = _rates(simulation.seeds_on_one_test_set, 2000)
    for (cell, what), rate in rates.items():
        if what == "stouffer_naive":
            assert rate > 0.10, cell
        else:
            assert 0.035 <= rate <= 0.065, (cell, what)


def test_seeds_as_random(simulation):
    rates = _rates(simulation.seeds_as_random)
    for (cell, what), rate in rates.items():
        # The crossed test is for seeds that both arms share.
        if what == "obuchowski_rockette_nested" or cell.startswith("arm by seed"):
            assert 0.035 <= rate <= 0.065, (cell, what)
    assert rates["seed SD 0.2 of d'", "exact_fixed"] > 0.25


def test_images_of_one_patient(simulation):
    rates = _rates(simulation.images_of_one_patient)
    for (cell, what), rate in rates.items():
        if what == "paired Obuchowski":
            assert 0.035 <= rate <= 0.065, cell
        else:
            assert rate > 0.08, cell


def test_other_comparisons(simulation):
    for key, rate in _rates(simulation.other_comparisons).items():
        assert 0.035 <= rate <= 0.065, key


def test_datasets_that_differ(simulation):
    rates = _rates(simulation.random_effects_of_heterogeneous_datasets, 6000)
    for (cell, what), rate in rates.items():
        if what == "random_effects":
            assert 0.035 <= rate <= 0.065, cell
        else:
            assert rate > 0.12, cell


def test_coverage_of_the_logit_interval(simulation):
    rates = _rates(simulation.coverage_of_intervals, 20_000)
    for (cell, what), rate in rates.items():
        if what == "logit" and not cell.startswith("10 + 130"):
            assert 0.93 <= rate <= 0.97, cell
        elif what == "wald" and cell.startswith("8 + 40"):
            assert rate < 0.88, cell
