"""What a head is, and the one that an arm names. It ends in one output, or in two of a softmax."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from mammoshift import registry
from mammoshift.configuration.model import HEADS, Head
from mammoshift.errors import ConfigurationError
from mammoshift.models.architectures import NETWORK_ERRORS, check_takes


class HeadModule(Protocol):
    """What the module of a head offers."""

    TAKES_MAP: bool

    def build(self, shape: tuple[int, ...], units: int | None, outputs: int) -> nn.Module:
        """Build the head for one image's features: (count,), or (channels, rows, columns)."""
        ...


def takes_maps(head: Head | None) -> bool:
    """Whether a head takes the last feature map instead of the pooled vector."""
    return _module(head).TAKES_MAP


def map_shape(features: nn.Module, channels: int, size: tuple[int, int]) -> tuple[int, int, int]:
    """Return (channels, rows, columns) of the last feature map for images of `size`.

    Raises
    ------
    ConfigurationError
        If the network gives no map, or does not take images of this size.
    """
    training = features.training
    try:
        with torch.no_grad():
            found = features.eval()(torch.zeros((1, channels, *size)))
    except NETWORK_ERRORS:
        check_takes(features, channels, size)
        raise
    features.train(training)
    if found.ndim != 4:
        raise ConfigurationError(
            f"{type(features).__name__} gives no feature map, which the head takes; choose the "
            "head linear or mlp"
        )
    return found.shape[1], found.shape[2], found.shape[3]


def build_head(head: Head | None, shape: tuple[int, ...]) -> nn.Module:
    """Build a head that ends in (N, 1), or (N, 2) where its outputs are two.

    Parameters
    ----------
    head
        Its `kind`, `units` and `outputs`; None for a linear layer of one.
    shape
        Of one image's features: (count,), or (channels, rows, columns) for heads that take maps.

    Raises
    ------
    ConfigurationError
        If the feature map is too small for the head.
    """
    units = None if head is None else head.units
    outputs = 1 if head is None or head.outputs is None else head.outputs
    return _module(head).build(shape, units, outputs)


def _module(head: Head | None) -> HeadModule:
    kind = "linear" if head is None else head.kind
    return registry.load(HEADS, kind)  # type: ignore[return-value]
