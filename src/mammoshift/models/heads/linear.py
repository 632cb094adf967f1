"""A linear layer on the pooled features."""

from __future__ import annotations

from torch import nn

TAKES_MAP = False


def build(shape: tuple[int, ...], _units: int | None, outputs: int) -> nn.Module:
    """Return the layer."""
    return nn.Linear(shape[0], outputs)
