"""Randomness that depends on what is computed, not on when or in which process.

Every random number is drawn from a generator that is made, there and then, from its purpose and
its place (seed, epoch, step or position). No generator's state has to be saved: a job that is
killed and goes on draws the same numbers as one that was not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, Literal

import numpy as np
import torch

from mammoshift.errors import ConfigurationError

Determinism = Literal["exact", "fast"]

_WORDS_OF_A_BLOCK = 4
"""Numbers of 64 bits that Philox makes of one value of its counter."""

# The module's settings are properties that its type stub does not know.
_MEMORY: Any = torch.utils.deterministic


class Purpose(IntEnum):
    """What a random number is for; the numbers are part of every stream and must not change."""

    INITIALISATION = 1
    ORDER = 2
    AUGMENTATION = 3
    DROPOUT = 4
    MIXUP = 5
    DEFORMATION = 6
    SYMMETRY = 7
    SEARCH = 8


def generator(purpose: Purpose, *place: int) -> np.random.Generator:
    """Return the generator of one purpose at one place, such as (seed, epoch)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((purpose, *place))))


def numbered_draws(
    purpose: Purpose, place: tuple[int, ...], numbers: np.ndarray, count: int
) -> np.ndarray:
    """Return `count` values, uniform in [0, 1), for each of some numbers at one place.

    They come from blocks of a counter-based generator, one after the other: those of a number are
    the same whichever others are asked for, and a batch of neighbours costs one generator.

    Parameters
    ----------
    purpose, place
        As in `generator`.
    numbers
        (N,) int64, not negative; best near each other, since those in between are drawn too.
    count
        Values for each.

    Returns
    -------
    numpy.ndarray
        (N, count) float64.
    """
    if not len(numbers):
        return np.empty((0, count))
    blocks = -(-count // _WORDS_OF_A_BLOCK)
    first, last = int(numbers.min()), int(numbers.max())
    bits = np.random.Philox(np.random.SeedSequence((purpose, *place))).advance(blocks * first)
    drawn = np.random.Generator(bits).random((last - first + 1, blocks * _WORDS_OF_A_BLOCK))
    return drawn[numbers - first, :count]


def torch_seed(purpose: Purpose, *place: int) -> int:
    """Return a seed, in [0, 2^63), for torch's generator at one place."""
    words = np.random.SeedSequence((purpose, *place)).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))


def seed_torch(device: torch.device, seed: int) -> None:
    """Seed torch's generator of a device, and that of the CPU.

    `torch.manual_seed` seeds every kind of device that torch was built for; where CUDA is not in
    use it notes for later where it was called from, which takes longer than a small layer.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


@contextmanager
def deterministic_torch(
    device: torch.device, threads: int, determinism: Determinism | None = None
) -> Iterator[None]:
    """Run a block with deterministic algorithms and `threads` CPU threads, then restore all.

    Parameters
    ----------
    device
        Where the block computes.
    threads
        CPU threads of torch, at least 1.
    determinism
        `exact`, which None means: an operation of a GPU that has no deterministic form is a
        `RuntimeError` of torch, and attention takes its deterministic form. `fast`: a GPU takes the
        quickest form that it finds, and two runs may differ; on a CPU it is the same as `exact`.

    torch's global generators are given back as they were.
    """
    exact = determinism != "fast" or device.type == "cpu"
    # cuBLAS reads this when its first handle is made; without it its reductions may vary.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.get_num_threads(),
        _MEMORY.fill_uninitialized_memory,
    )
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.use_deterministic_algorithms(exact)
        torch.backends.cudnn.benchmark = not exact
        # Every buffer is written before it is read; filling each one first only costs time.
        _MEMORY.fill_uninitialized_memory = False
        torch.set_num_threads(max(1, threads))
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            torch.backends.cudnn.benchmark = before[2]
            torch.set_num_threads(before[3])
            _MEMORY.fill_uninitialized_memory = before[4]


def raise_if_indeterministic(error: RuntimeError, where: str) -> None:
    """Raise a `ConfigurationError` where `error` is torch's word that it cannot repeat something.

    The message names the operation and the setting that allows it.
    """
    if "deterministic" in str(error):
        raise ConfigurationError(
            f"{where}: on this device an operation of the network cannot be repeated to the bit: "
            f"{str(error).splitlines()[0]} Set training.determinism to fast to allow it."
        ) from error
