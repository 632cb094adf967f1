"""Which training case comes when: a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from mammoshift.execution.determinism import Purpose, generator


def epoch_order(
    labels: np.ndarray, seed: int, epoch: int, sampler: Literal["natural", "balanced"]
) -> np.ndarray:
    """Return the order of the cases in one epoch.

    Parameters
    ----------
    labels
        (N,) 0 or 1.
    seed, epoch
        Make the order, with nothing else.
    sampler
        `natural` takes every case once. `balanced` takes N cases, half of them (rounded down)
        positive: of the larger class a random part, of the smaller one every case equally often,
        give or take one.

    Returns
    -------
    numpy.ndarray
        (N,) int64 indices of cases.
    """
    random = generator(Purpose.ORDER, seed, epoch)
    count = len(labels)
    if sampler == "natural":
        return random.permutation(count)
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    chosen = np.concatenate(
        [
            _repeated_permutations(positive, count // 2, random),
            _repeated_permutations(negative, count - count // 2, random),
        ]
    )
    return random.permutation(chosen)


def batch_bounds(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Cut `count` positions into batches, each given as (first, one past the last).

    A last batch of a single image is joined to the one before: batch normalisation cannot
    normalise a single value.
    """
    bounds = [(a, min(a + batch_size, count)) for a in range(0, count, batch_size)]
    if len(bounds) > 1 and batch_size > 1 and bounds[-1][1] - bounds[-1][0] == 1:
        bounds[-2:] = [(bounds[-2][0], count)]
    return bounds


class Step(NamedTuple):
    """The batches of one step: how many images they have, and the place of the last."""

    images: int
    last: int


def steps_of(bounds: Sequence[tuple[int, int]], together: int) -> list[Step]:
    """Join batches, given by `batch_bounds`, into steps of `together`; the last may have fewer."""
    groups = [
        range(first, min(first + together, len(bounds)))
        for first in range(0, len(bounds), together)
    ]
    return [Step(bounds[group[-1]][1] - bounds[group[0]][0], group[-1]) for group in groups]


def _repeated_permutations(
    cases: np.ndarray, count: int, random: np.random.Generator
) -> np.ndarray:
    rounds = -(-count // len(cases))
    return np.concatenate([random.permutation(cases) for _ in range(rounds)])[:count]
