from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from mammoshift.configuration.training import Selection
from mammoshift.errors import TrainingError
from mammoshift.training.request import EpochRecord
from mammoshift.training.selection import POLICIES
from mammoshift.training.validation import validation_measures

FIRST = EpochRecord(
    epoch=1,
    stage=1,
    train_loss=0.7,
    validation_loss=0.6,
    validation_auc=0.8,
    lr=1e-3,
    images_per_second=1.0,
    seconds=1.0,
    peak_memory_mib=1.0,
    validation_accuracy=0.75,
)


def test_the_names_of_the_configuration_are_the_policies() -> None:
    assert get_args(Selection) == tuple(POLICIES)
    assert POLICIES["best_source_validation_auc"] is POLICIES["best_validation_auc"]


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        ("best_validation_auc", {"validation_auc": 0.81}, {"validation_auc": 0.79}),
        ("best_validation_loss", {"validation_loss": 0.59}, {"validation_loss": 0.61}),
        ("best_validation_accuracy", {"validation_accuracy": 0.8}, {"validation_accuracy": 0.7}),
    ],
)
def test_each_policy_compares_its_own_column_and_keeps_the_first_of_equals(
    name: str, better: dict[str, float], worse: dict[str, float]
) -> None:
    policy = POLICIES[name]
    best = policy.value(FIRST)
    assert policy.better(replace(FIRST, **better), best)
    assert not policy.better(replace(FIRST, **worse), best)
    assert not policy.better(FIRST, best)
    assert POLICIES["last_epoch"].better(replace(FIRST, **worse), best)


def test_a_policy_without_its_validation_cases_is_refused() -> None:
    none, one = np.array([], dtype=np.int64), np.array([1, 1])
    for name in POLICIES:
        if name == "last_epoch":
            POLICIES[name].check("arm", none)
            continue
        with pytest.raises(TrainingError, match=r"arm arm: best_.* needs validation cases"):
            POLICIES[name].check("arm", none)
    with pytest.raises(TrainingError, match="both labels"):
        POLICIES["best_validation_auc"].check("arm", one)
    POLICIES["best_validation_loss"].check("arm", one)


def test_accuracy_is_that_at_a_probability_of_one_half() -> None:
    found = validation_measures(0.3, np.array([0, 1, 1, 0]), np.array([-1.0, 2.0, -0.1, 0.2]))
    assert (found.loss, found.accuracy, found.auc) == (0.3, 0.5, 0.75)
