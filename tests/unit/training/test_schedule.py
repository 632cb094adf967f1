from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.configuration.training import Stage
from mammoshift.training.schedule import build_optimiser, learning_rate
from mammoshift.training.validation import rank_auc


def test_warm_up_then_half_a_cosine() -> None:
    stage = Stage(epochs=4, lr=0.8, warmup_epochs=1)
    rates = [learning_rate(stage, step, 10) for step in range(40)]
    assert rates[:10] == pytest.approx([0.08 * (k + 1) for k in range(10)])
    assert rates[10] == 0.8
    assert rates[25] == pytest.approx(0.4)
    assert 0 < rates[39] < 0.01
    assert all(a >= b for a, b in itertools.pairwise(rates[9:]))


def test_constant_schedule() -> None:
    stage = Stage(epochs=2, lr=0.1, schedule="constant")
    assert {learning_rate(stage, step, 5) for step in range(10)} == {0.1}


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_optimisers_minimise(name: str) -> None:
    value = torch.nn.Parameter(torch.tensor([3.0]))
    stage = Stage.model_validate({"epochs": 1, "optimiser": name, "lr": 0.1, "weight_decay": 0})
    optimiser = build_optimiser(stage, [value])
    for _ in range(100):
        optimiser.zero_grad()
        value.square().sum().backward()
        optimiser.step()
    assert abs(value.item()) < 0.3


@settings(max_examples=60, deadline=None)
@given(cases=st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=2, max_size=40))
def test_rank_auc_is_the_share_of_ordered_pairs(cases: list[tuple[int, int]]) -> None:
    labels, scores = np.array(cases).T
    positive, negative = scores[labels == 1], scores[labels == 0]
    found = rank_auc(labels, scores.astype(float))
    if not len(positive) or not len(negative):
        assert np.isnan(found)
        return
    difference = positive[:, None] - negative[None, :]
    assert found == pytest.approx(((difference > 0) + 0.5 * (difference == 0)).mean())
