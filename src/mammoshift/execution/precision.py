"""In which numbers a network computes: float32, float32 by way of TF32, or bfloat16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mammoshift.configuration.model import Precision


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context for a forward pass: with bfloat16, torch chooses where it is safe."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


@contextmanager
def float32_products(device: torch.device, precision: Precision) -> Iterator[None]:
    """Let a GPU multiply float32 as float32, or with `tf32` with 10 bits of mantissa; then restore.

    PyTorch's own default is TF32 in convolutions and float32 elsewhere; here it is what the name
    says everywhere. Nothing changes on a CPU.
    """
    if device.type != "cuda":
        yield
        return
    places: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # pyright: ignore[reportAttributeAccessIssue]
    before = [place.fp32_precision for place in places]
    try:
        for place in places:
            place.fp32_precision = "tf32" if precision == "tf32" else "ieee"
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.fp32_precision = value


@contextmanager
def computed_in(device: torch.device, precision: Precision) -> Iterator[None]:
    """Run forward passes in one precision."""
    with float32_products(device, precision), autocast(device, precision):
        yield
