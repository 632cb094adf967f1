"""Batches of images, read from a pixel store into one tensor each."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from mammoshift.errors import ConfigurationError

PREFETCHED_BATCHES = 4


class PixelSource(Protocol):
    """Where images come from; has to be picklable where worker processes are used."""

    def read(self, image_id: str, /) -> np.ndarray:
        """Return the image as uint16 (rows, columns)."""
        ...


@dataclass(frozen=True)
class BatchReader(Dataset[Tensor]):
    """Reads several images of one size into a tensor.

    `size` is the (rows, columns) that every image must have. Indexing with an array of places in
    `image_ids` gives uint16 (N, rows, columns).
    """

    pixels: PixelSource
    image_ids: Sequence[str]
    size: tuple[int, int]

    def __getitem__(self, index: np.ndarray) -> Tensor:
        """Read the images at the places `index`.

        Raises
        ------
        ConfigurationError
            If an image is of another size or type than the model's input.
        """
        batch = torch.empty((len(index), *self.size), dtype=torch.uint16)
        for target, place in zip(batch.numpy(), index, strict=True):
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


@dataclass
class _Plan(Sampler[np.ndarray]):
    """The batches of the next pass; set anew before each, since the workers live longer."""

    batches: Sequence[np.ndarray] = field(default_factory=list)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class BatchLoader:
    """Gives planned batches, in order, read in this process or ahead of time by workers.

    Parameters
    ----------
    reader
        Reads a batch.
    workers
        Number of reading processes; 0 reads here, which is cheaper for small images.
    device
        Where the batches go; for a GPU they pass through pinned memory.
    """

    def __init__(self, reader: BatchReader, workers: int, device: torch.device) -> None:
        self._reader = reader
        self._device = device
        self._plan = _Plan()
        self._loader = (
            DataLoader(
                reader,
                batch_size=None,
                sampler=self._plan,
                num_workers=workers,
                persistent_workers=True,
                prefetch_factor=PREFETCHED_BATCHES,
                pin_memory=device.type == "cuda",
                worker_init_fn=_leave_signals_to_parent,
            )
            if workers
            else None
        )

    def batches(self, plan: Sequence[np.ndarray]) -> Iterator[Tensor]:
        """Yield uint16 (N, rows, columns) on the device for each array of places in `plan`."""
        if self._loader is None:
            for places in plan:
                yield self._reader[places].to(self._device)
            return
        self._plan.batches = plan
        for batch in self._loader:
            yield batch.to(self._device, non_blocking=True)


def _leave_signals_to_parent(_worker: int) -> None:
    """Let the parent finish its step when a whole process group is told to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
