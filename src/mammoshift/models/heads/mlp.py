"""One hidden layer on the pooled features."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

TAKES_MAP = False
UNITS = 512


def build(shape: tuple[int, ...], units: int | None, outputs: int) -> nn.Module:
    """Return the layers; `units` of the hidden one are 512 when they are left out."""
    hidden = units or UNITS
    return nn.Sequential(
        OrderedDict(
            hidden=nn.Linear(shape[0], hidden),
            activation=nn.ReLU(),
            dropout=nn.Dropout(0.0),
            output=nn.Linear(hidden, outputs),
        )
    )
