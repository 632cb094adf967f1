from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mammoshift.configuration.model import Backbone
from mammoshift.errors import ConfigurationError
from mammoshift.models.architectures import create_features
from mammoshift.models.padding import StaticallyPaddedConv, same_padding


def efficientnet(architecture: str, static_padding: bool) -> nn.Module:
    torch.manual_seed(0)
    backbone = Backbone(
        architecture=architecture,
        mean=(0.5,) * 3,
        std=(0.2,) * 3,
        static_padding=static_padding,
    )
    return create_features(backbone).eval()


def test_paddings_of_b5_are_those_of_the_reference_implementation() -> None:
    found = {
        name: module.static_padding
        for name, module in efficientnet("tf_efficientnet_b5", True).named_modules()
        if isinstance(module, StaticallyPaddedConv)
    }
    assert found == {
        "conv_stem": (0, 1, 0, 1),
        "blocks.1.0.conv_dw": (0, 1, 0, 1),
        "blocks.2.0.conv_dw": (1, 2, 1, 2),
        "blocks.3.0.conv_dw": (1, 1, 1, 1),
        "blocks.5.0.conv_dw": (2, 2, 2, 2),
    }


def test_static_and_dynamic_padding_agree_at_the_native_size_only() -> None:
    dynamic = efficientnet("tf_efficientnet_b0", False)
    static = efficientnet("tf_efficientnet_b0", True)
    static.load_state_dict(dynamic.state_dict())
    with torch.inference_mode():
        native, other = torch.rand(1, 3, 224, 224), torch.rand(1, 3, 120, 72)
        assert torch.allclose(static(native), dynamic(native), atol=1e-5)
        assert static(other).shape == dynamic(other).shape
    assert static.state_dict().keys() == dynamic.state_dict().keys()


def test_other_networks_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="static_padding is not defined"):
        efficientnet("test_resnet", True)


@settings(max_examples=50, deadline=None)
@given(size=st.integers(3, 600), kernel=st.sampled_from([3, 5, 7]), stride=st.integers(1, 3))
def test_same_padding_gives_the_ceiling_of_size_over_stride(
    size: int, kernel: int, stride: int
) -> None:
    before, after = same_padding(size, kernel, stride)
    assert 0 <= after - before <= 1
    outputs = (size + before + after - kernel) // stride + 1
    assert outputs == -(-size // stride)
