"""Batches of images, read from a pixel store into one tensor each, ahead of their use."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from mammoshift.errors import ConfigurationError

READERS_LIMIT = 8
"""Most reading threads that are useful: a copy out of a mapped file is bound by memory."""
AHEAD = 2
"""Batches that are read ahead beside one for each reader."""

Item = TypeVar("Item")
Made = TypeVar("Made")


class PixelSource(Protocol):
    """Where images come from; several threads read at a time."""

    def read(self, image_id: str, /) -> np.ndarray:
        """Return the image as uint16 (rows, columns)."""
        ...


def given_cpus() -> int:
    """Return the number of CPUs that this process may use.

    What the system binds it to, or what SLURM gave the job where SLURM does not bind.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(bound or 1, int(asked)) if asked.isdecimal() and int(asked) else bound or 1


def default_readers() -> int:
    """Return the number of reading threads for the CPUs that the job was given."""
    return min(READERS_LIMIT, given_cpus())


@dataclass(frozen=True)
class BatchReader:
    """Reads several images of one size into a tensor.

    `size` is the (rows, columns) that every image must have. With `pinned` the tensors lie in
    memory from which a GPU copies while the CPU goes on.
    """

    pixels: PixelSource
    image_ids: Sequence[str]
    size: tuple[int, int]
    pinned: bool = False

    def read(self, places: np.ndarray) -> Tensor:
        """Read the images at `places` in `image_ids` into uint16 (N, rows, columns).

        Raises
        ------
        ConfigurationError
            If an image is of another size or type than the model's input.
        """
        shape = (len(places), *self.size)
        batch = torch.empty(shape, dtype=torch.uint16, pin_memory=self.pinned)
        for target, place in zip(batch.numpy(), places, strict=True):
            image_id = self.image_ids[int(place)]
            image = self.pixels.read(image_id)
            if image.shape != self.size or image.dtype != np.uint16:
                raise ConfigurationError(
                    f"image {image_id}: the pixel store holds {image.dtype} of "
                    f"{list(image.shape)}, the model takes uint16 of {list(self.size)}; "
                    "make the pixel store with the arm's input recipe"
                )
            target[:] = image
        return batch


class BatchLoader:
    """Gives planned batches, in order, read in this thread or ahead of time by others.

    Copies out of mapped files leave Python's lock alone, so that threads read in parallel without
    a second process, a second copy or a fork beside a GPU.

    Parameters
    ----------
    pixels, image_ids, size
        See `BatchReader`.
    readers
        Number of reading threads; 0 reads here, None takes what the job's CPUs allow. What is
        read does not depend on it.
    device
        Where the batches go; to a GPU they are copied while the CPU goes on.
    """

    def __init__(
        self,
        pixels: PixelSource,
        image_ids: Sequence[str],
        size: tuple[int, int],
        readers: int | None,
        device: torch.device,
    ) -> None:
        self._reader = BatchReader(pixels, image_ids, size, device.type == "cuda")
        self._device = device
        self._readers = default_readers() if readers is None else readers
        self._pool = ThreadPoolExecutor(self._readers, "reader") if self._readers else None

    def batches(self, plan: Sequence[np.ndarray]) -> Iterator[Tensor]:
        """Yield uint16 (N, rows, columns) on the device for each array of places in `plan`."""
        for batch in self.ahead(self._reader.read, plan):
            yield batch.to(self._device, non_blocking=True)

    def batches_with(
        self,
        plan: Sequence[np.ndarray],
        make: Callable[[Item], Made],
        items: Sequence[Item],
    ) -> Iterator[tuple[Tensor, Made]]:
        """Yield what `batches` does, and beside each batch `make` of its item."""

        def read(both: tuple[np.ndarray, Item]) -> tuple[Tensor, Made]:
            places, item = both
            return self._reader.read(places), make(item)

        for batch, made in self.ahead(read, zip(plan, items, strict=True)):
            yield batch.to(self._device, non_blocking=True), made

    def ahead(self, make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        """Yield `make` of each item, in order, some made by the reading threads ahead of time."""
        if self._pool is None:
            yield from map(make, items)
            return
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(make, item))
                if len(waiting) > self._readers + AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
