from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.training.sampler import batch_bounds, epoch_order

LABELS = st.lists(st.integers(0, 1), min_size=2, max_size=60).filter(lambda x: 0 < sum(x) < len(x))


@settings(max_examples=40, deadline=None)
@given(labels=LABELS, seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_natural_order_is_a_permutation(labels: list[int], seed: int, epoch: int) -> None:
    order = epoch_order(np.array(labels), seed, epoch, "natural")
    assert sorted(order.tolist()) == list(range(len(labels)))


@settings(max_examples=40, deadline=None)
@given(labels=LABELS, seed=st.integers(0, 9))
def test_balanced_order_has_both_labels_equally_often(labels: list[int], seed: int) -> None:
    known = np.array(labels)
    order = epoch_order(known, seed, 1, "balanced")
    assert len(order) == len(labels)
    assert known[order].sum() == len(labels) // 2
    for label in (0, 1):
        times = np.bincount(order, minlength=len(known))[known == label]
        assert times.max() - times.min() <= 1


def test_order_depends_on_seed_and_epoch_alone() -> None:
    labels = np.arange(50) % 2
    first = epoch_order(labels, 3, 4, "natural")
    assert np.array_equal(first, epoch_order(labels, 3, 4, "natural"))
    assert not np.array_equal(first, epoch_order(labels, 3, 5, "natural"))
    assert not np.array_equal(first, epoch_order(labels, 4, 4, "natural"))


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 200), size=st.integers(1, 40))
def test_batches_cover_every_position_once(count: int, size: int) -> None:
    bounds = batch_bounds(count, size)
    covered = [place for first, last in bounds for place in range(first, last)]
    assert covered == list(range(count))
    if count > 1 and size > 1:
        assert min(last - first for first, last in bounds) > 1
