from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mammoshift.configuration.model import Backbone
from mammoshift.models.classifier import build_classifier
from mammoshift.models.narrow_maps import compute_narrow_maps_in_float32


class Broken(nn.Conv2d):
    """Gives no number in bfloat16."""

    def forward(self, input: Tensor) -> Tensor:
        output = super().forward(input)
        return output * float("nan") if output.dtype == torch.bfloat16 else output


@pytest.mark.parametrize(
    ("columns", "stride", "whole"), [(2, 2, True), (3, 2, False), (1, 1, False)]
)
def test_strided_convolutions_one_place_wide_are_done_in_float32(
    columns: int, stride: int, whole: bool
) -> None:
    layer = Broken(3, 4, 3, stride=stride, padding=1)
    compute_narrow_maps_in_float32(nn.Sequential(layer))
    images = torch.rand(2, 3, 3, columns)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(images)
    assert found.dtype == torch.bfloat16
    assert bool(torch.isfinite(found).all()) == whole
    assert torch.equal(layer(images), nn.Conv2d.forward(layer, images))


def test_what_lies_in_memory_does_not_reach_a_logit() -> None:
    """On a CPU with AMX the last stage of this network read what it had not written."""
    torch.manual_seed(0)
    backbone = Backbone(architecture="resnet18", channels=1, mean=(0.5,), std=(0.25,))
    model = build_classifier(backbone, (48, 32)).eval()
    images = torch.rand(2, 48, 32)
    with torch.inference_mode():
        expected = model(images).logit
        for value in (float("nan"), 1e4):
            for count in (1 << n for n in range(6, 21)):
                torch.full((count,), value)
            with torch.autocast("cpu", torch.bfloat16):
                found = model(images).logit
            assert torch.allclose(found, expected, atol=0.05), value
