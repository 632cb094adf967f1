"""What turns features into a logit: a linear layer, or the heads of published studies.

`linear` and `mlp` take the pooled feature vector; `flatten_dense` and `end2end_512x1` take the last
feature map. A head ends in one output, or in the two of a softmax.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from mammoshift.configuration.model import Head
from mammoshift.errors import ConfigurationError
from mammoshift.models.architectures import NETWORK_ERRORS, check_takes

DENSE_UNITS = 2048
MLP_UNITS = 512
END2END_CHANNELS = 512
END2END_STAGES = 2
# Those of Keras, in which the published model was trained.
_EPSILON = 1e-3
_MOMENTUM = 0.01
_MAP_HEADS = frozenset({"flatten_dense", "end2end_512x1"})


def takes_maps(head: Head | None) -> bool:
    """Whether a head takes the last feature map instead of the pooled vector."""
    return head is not None and head.kind in _MAP_HEADS


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
    kind = "linear" if head is None else head.kind
    units = None if head is None else head.units
    outputs = 1 if head is None or head.outputs is None else head.outputs
    if kind == "linear":
        return nn.Linear(shape[0], outputs)
    if kind == "mlp":
        return _mlp(shape[0], units or MLP_UNITS, outputs)
    if kind == "flatten_dense":
        return _flatten_dense(shape, units or DENSE_UNITS, outputs)
    return _end2end(shape, outputs)


def _mlp(count: int, units: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            hidden=nn.Linear(count, units),
            activation=nn.ReLU(),
            dropout=nn.Dropout(0.0),
            output=nn.Linear(units, outputs),
        )
    )


def _flatten_dense(shape: tuple[int, ...], units: int, outputs: int) -> nn.Module:
    """Return the head of the MEXBreast study: the whole map into a dense layer."""
    channels, rows, columns = shape
    hidden, output = nn.Linear(channels * rows * columns, units), nn.Linear(units, outputs)
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


def _end2end(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Return the top of Shen et al. 2019: twice 3 x 3 convolution, then the mean of the map."""
    channels, rows, columns = shape
    if min(rows, columns) < 2**END2END_STAGES:
        raise ConfigurationError(
            f"the head end2end_512x1 halves the feature map {END2END_STAGES} times, and it has "
            f"only {rows} x {columns} places; take larger images"
        )
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for stage in range(1, END2END_STAGES + 1):
        convolution = nn.Conv2d(channels, END2END_CHANNELS, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        nn.init.zeros_(convolution.bias)  # pyright: ignore[reportArgumentType]
        layers[f"convolution{stage}"] = convolution
        layers[f"normalisation{stage}"] = nn.BatchNorm2d(END2END_CHANNELS, _EPSILON, _MOMENTUM)
        layers[f"activation{stage}"] = nn.ReLU()
        layers[f"dropout{stage}"] = nn.Dropout(0.0)
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
        channels = END2END_CHANNELS
    layers["mean"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["dropout"] = nn.Dropout(0.0)
    layers["output"] = nn.Linear(channels, outputs)
    return nn.Sequential(layers)
