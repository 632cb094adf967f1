"""First convolutions that take one grey channel and compute what three equal ones would give.

A network for colours sees a grey image three times, each time normalised by the mean and deviation
of a colour. With g the image as the first colour has it, c the colours and w their kernels the
first layer is

    sum_c w_c * (x - m_c) / s_c  =  (sum_c w_c s_0 / s_c) * g  +  (sum_c w_c (m_0 - m_c) / s_c) * 1

where 1 is an image of ones with the layer's own padding. So one convolution of the grey image with
the summed kernel is enough, and where the means differ one of a single image of ones, the same for
all. The layer keeps its weights by their names, and learns them as before.

It pays in memory, not in time on a CPU: a tensor of one channel tells PyTorch nothing of its
layout, so that the first layers leave channels-last. On two cores of a Xeon a step took 1.07
(ResNet-50), 1.15 (EfficientNet-B0) and 1.35 times (MobileNetV3) as long. A GPU was not at hand.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from mammoshift.errors import ConfigurationError
from mammoshift.models.padding import StaticallyPaddedConv, same_padding


class GreyConv(nn.Conv2d):
    """A convolution for several channels, applied to the one that they all come from.

    Parameters
    ----------
    source
        The convolution that it takes the place of; its weight and bias become this one's.
    mean, std
        One value for each of its channels.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, source: nn.Conv2d, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__(
            source.in_channels,
            source.out_channels,
            (source.kernel_size[0], source.kernel_size[1]),
            (source.stride[0], source.stride[1]),
            dilation=(source.dilation[0], source.dilation[1]),
            bias=source.bias is not None,
            device="meta",
        )
        self.weight, self.bias = source.weight, source.bias
        self.sides = _sides_of(source)
        means, deviations = (
            torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1) for values in (mean, std)
        )
        scale, shift = std[0] / deviations, (mean[0] - means) / deviations
        self.shifted = len(set(mean)) > 1
        # Both come from the record of the model, as the classifier's own.
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve a grey image (N, 1, rows, columns), normalised as the first colour."""
        kernel = (self.weight * self.scale).sum(dim=1, keepdim=True)
        found = self._convolved(input, kernel, self.bias)
        if not self.shifted:
            return found
        constant = (self.weight * self.shift).sum(dim=1, keepdim=True)
        return found + self._convolved(torch.ones_like(input[:1]), constant)

    def _convolved(self, image: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
        sides = self.sides
        if sides is None:
            before = [
                same_padding(size, length, stride, dilation)
                for size, length, stride, dilation in zip(
                    image.shape[2:], self.kernel_size, self.stride, self.dilation, strict=True
                )
            ]
            sides = (*before[1], *before[0])
        if sides[0] == sides[1] and sides[2] == sides[3]:
            padding = (sides[2], sides[0])
            return conv2d(image, kernel, bias, self.stride, padding, self.dilation)
        return conv2d(pad(image, sides), kernel, bias, self.stride, 0, self.dilation)


def _sides_of(source: nn.Conv2d) -> tuple[int, int, int, int] | None:
    """Return (left, right, top, bottom) of a layer's padding, None for that of TensorFlow's SAME.

    Raises
    ------
    ConfigurationError
        If the layer computes something else than a plain convolution.
    """
    kind = type(source)
    if isinstance(source, StaticallyPaddedConv):
        return source.static_padding
    if kind.__name__ == "Conv2dSame":
        return None
    if kind is nn.Conv2d and source.groups == 1 and not isinstance(source.padding, str):
        rows, columns = source.padding
        return (columns, columns, rows, rows)
    raise ConfigurationError(
        f"grey_stem: the first layer is a {kind.__name__}, which cannot take one channel; leave "
        "grey_stem out"
    )


def apply_grey_stem(features: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Replace, in place, the first convolution of a timm network by one for a grey image.

    Raises
    ------
    ConfigurationError
        If the network does not say which layer is its first, or that is no plain convolution.
    """
    settings: Any = getattr(features, "pretrained_cfg", {})
    path = settings.get("first_conv")
    source = None
    if isinstance(path, str):
        try:
            source = features.get_submodule(path)
        except AttributeError:
            source = None
    if not isinstance(source, nn.Conv2d):
        raise ConfigurationError(
            f"grey_stem: {type(features).__name__} does not say which convolution is its first; "
            "leave grey_stem out"
        )
    parent, _, attribute = path.rpartition(".")
    setattr(features.get_submodule(parent), attribute, GreyConv(source, mean, std))
