"""Where a model runs, and what does not fit there."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mammoshift.errors import ConfigurationError


def choose_device(name: str = "auto") -> torch.device:
    """Return the device to run on: `auto` is the first visible GPU, or else the CPU.

    Raises
    ------
    ConfigurationError
        If `name` is neither `auto`, `cpu` nor `cuda`, or a GPU is asked for and none is visible.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigurationError(f"device {name!r} is not known; allowed: auto, cpu, cuda")
    visible = torch.cuda.is_available()
    if name == "cuda" and not visible:
        raise ConfigurationError("device cuda was asked for, but no GPU is visible to PyTorch")
    return torch.device("cuda", 0) if visible and name != "cpu" else torch.device("cpu")


@contextmanager
def enough_memory(who: str, images: int, size: tuple[int, int], remedy: str) -> Iterator[None]:
    """Run a block, and say in one sentence what to do where the memory of a GPU is full.

    Parameters
    ----------
    who
        Computes, such as an arm.
    images, size
        Of a batch, and (rows, columns) of each.
    remedy
        What takes less memory.

    Raises
    ------
    ConfigurationError
        If the GPU has no memory left.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        count = "1 image" if images == 1 else f"{images} images"
        raise ConfigurationError(
            f"{who}: a batch of {count} of {size[0]} x {size[1]} does not fit into the memory of "
            f"the GPU; {remedy}"
        ) from None


def peak_memory_mib(device: torch.device) -> float:
    """Most memory in MiB that was in use: of the GPU where there is one, or else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
