"""Paddings of EfficientNets that were trained with paddings computed for one image size.

The reference implementation of Mammo-CLIP (and of Mammo-FM) pads its stride-2 convolutions as
TensorFlow's SAME would at the network's native size, whatever the size of the input; timm pads for
the size that it is given. Both agree at the native size only. With random weights the pooled
features differ by 30 % to 70 % elsewhere, so weights that were trained one way must be used so.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import pad

from mammoshift.errors import ConfigurationError

NATIVE_SIZES = {
    "tf_efficientnet_b0": 224,
    "tf_efficientnet_b1": 240,
    "tf_efficientnet_b2": 260,
    "tf_efficientnet_b3": 300,
    "tf_efficientnet_b4": 380,
    "tf_efficientnet_b5": 456,
    "tf_efficientnet_b6": 528,
    "tf_efficientnet_b7": 600,
}
"""Edge in pixels of the square image that each network's paddings were computed for."""


class StaticallyPaddedConv(nn.Conv2d):
    """A convolution that pads by the same number of pixels at every input size.

    `static_padding` is (left, right, top, bottom) in pixels. Names and shapes of the parameters
    are those of the convolution it replaces.
    """

    static_padding: tuple[int, int, int, int]

    def __init__(self, source: nn.Conv2d, static_padding: tuple[int, int, int, int]) -> None:
        super().__init__(
            source.in_channels,
            source.out_channels,
            (source.kernel_size[0], source.kernel_size[1]),
            (source.stride[0], source.stride[1]),
            padding=0,
            dilation=(source.dilation[0], source.dilation[1]),
            groups=source.groups,
            bias=source.bias is not None,
            device="meta",
        )
        self.weight = source.weight
        self.bias = source.bias
        self.static_padding = static_padding

    def forward(self, input: Tensor) -> Tensor:
        """Pad `input` (N, channels, rows, columns) and convolve it."""
        return super().forward(pad(input, self.static_padding))


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TensorFlow's SAME padding, (before, after), of one axis of `size` pixels."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def apply_static_padding(features: nn.Module) -> None:
    """Replace, in place, the stride-2 convolutions of a timm EfficientNet by static ones.

    Raises
    ------
    ConfigurationError
        If the network is not one of `NATIVE_SIZES`.
    """
    settings = getattr(features, "pretrained_cfg", {})
    name = settings.get("architecture", type(features).__name__)
    if name not in NATIVE_SIZES:
        raise ConfigurationError(
            f"static_padding is not defined for the architecture {name}; "
            f"allowed: {', '.join(NATIVE_SIZES)}"
        )
    size = NATIVE_SIZES[name]
    strided = [
        (path, module)
        for path, module in features.named_modules()
        if isinstance(module, nn.Conv2d) and module.stride[0] > 1
    ]
    for path, conv in strided:
        before, after = same_padding(size, conv.kernel_size[0], conv.stride[0], conv.dilation[0])
        parent, _, attribute = path.rpartition(".")
        replacement = StaticallyPaddedConv(conv, (before, after, before, after))
        setattr(features.get_submodule(parent), attribute, replacement)
        size = -(-size // conv.stride[0])
