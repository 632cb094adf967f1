"""The top of Shen et al. 2019: twice 3 x 3 convolution, then the mean of the map."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from mammoshift.errors import ConfigurationError

TAKES_MAP = True
CHANNELS = 512
STAGES = 2
# Those of Keras, in which the published model was trained.
_EPSILON = 1e-3
_MOMENTUM = 0.01


def build(shape: tuple[int, ...], _units: int | None, outputs: int) -> nn.Module:
    """Return the layers.

    Raises
    ------
    ConfigurationError
        If the feature map is too small to be halved as often.
    """
    channels, rows, columns = shape
    if min(rows, columns) < 2**STAGES:
        raise ConfigurationError(
            f"the head end2end_512x1 halves the feature map {STAGES} times, and it has "
            f"only {rows} x {columns} places; take larger images"
        )
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for stage in range(1, STAGES + 1):
        convolution = nn.Conv2d(channels, CHANNELS, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        nn.init.zeros_(convolution.bias)  # pyright: ignore[reportArgumentType]
        layers[f"convolution{stage}"] = convolution
        layers[f"normalisation{stage}"] = nn.BatchNorm2d(CHANNELS, _EPSILON, _MOMENTUM)
        layers[f"activation{stage}"] = nn.ReLU()
        layers[f"dropout{stage}"] = nn.Dropout(0.0)
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
        channels = CHANNELS
    layers["mean"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["dropout"] = nn.Dropout(0.0)
    layers["output"] = nn.Linear(channels, outputs)
    return nn.Sequential(layers)
