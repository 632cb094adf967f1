"""The head of the MEXBreast study: the whole feature map into a dense layer."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

TAKES_MAP = True
UNITS = 2048


def build(shape: tuple[int, ...], units: int | None, outputs: int) -> nn.Module:
    """Return the layers; `units` of the hidden one are 2048 when they are left out."""
    channels, rows, columns = shape
    count = units or UNITS
    hidden, output = nn.Linear(channels * rows * columns, count), nn.Linear(count, outputs)
    for layer in (hidden, output):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            hidden=hidden,
            activation=nn.ReLU(),
            dropout=nn.Dropout(0.0),
            output=output,
        )
    )
