from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.cases.near_duplicates import (
    close_pairs,
    find_near_duplicates,
    fine_hash_words,
)


def brute_force(hashes: np.ndarray, distance: int) -> set[tuple[int, int]]:
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    first, second = np.nonzero(np.triu(bits <= distance, 1))
    return set(zip(first.tolist(), second.tolist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 120),
    distance=st.integers(0, 8),
    flips=st.integers(0, 8),
)
def test_close_pairs_are_those_of_all_pairs(
    seed: int, count: int, distance: int, flips: int
) -> None:
    generator = np.random.default_rng(seed)
    centers = generator.integers(0, 1 << 63, 5, dtype=np.uint64)
    hashes = centers[generator.integers(0, 5, count)].copy()
    for _ in range(flips):
        hashes ^= np.uint64(1) << generator.integers(0, 64, count).astype(np.uint64)
    found = [
        (int(a), int(b), int(d))
        for first, second, bits in close_pairs(hashes, distance)
        for a, b, d in zip(first, second, bits, strict=True)
    ]
    pairs = [(a, b) for a, b, _ in found]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == brute_force(hashes, distance)
    for a, b, bits in found:
        assert bits == int(hashes[a] ^ hashes[b]).bit_count()


def test_distance_is_checked() -> None:
    with pytest.raises(ValueError, match="0 to 15"):
        list(close_pairs(np.zeros(2, np.uint64), 16))


def test_large_bucket_is_compared_in_bounded_blocks() -> None:
    hashes = np.random.default_rng(0).integers(0, 1 << 40, 4000, dtype=np.uint64)
    sizes = [first.size for first, _, _ in close_pairs(hashes, 3)]
    assert sum(sizes) == len(brute_force(hashes, 3))
    identical = np.zeros(3000, np.uint64)
    sizes = [first.size for first, _, _ in close_pairs(identical, 2)]
    assert sum(sizes) == 3000 * 2999 // 2
    assert max(sizes) <= (1 << 20) + 3000


def test_search_stops_at_its_limit() -> None:
    fine = np.zeros((500, 8), np.uint64)
    found = find_near_duplicates(np.zeros(500, np.uint64), fine, maximum_pairs=50)
    assert found.first.size == 50
    assert not found.complete


def test_fine_hash_rejects_what_is_only_alike_in_outline() -> None:
    coarse = np.zeros(3, np.uint64)
    fine = fine_hash_words([bytes(64), b"\xff" * 2 + bytes(62), b"\xff" * 32 + bytes(32)])
    found = find_near_duplicates(coarse, fine)
    assert found.first.tolist() == [0]
    assert found.second.tolist() == [1]
    assert found.distance.tolist() == [16]
    assert found.complete
    assert fine_hash_words([]).shape == (0, 8)
