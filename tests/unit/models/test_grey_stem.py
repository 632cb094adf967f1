from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from mammoshift.configuration.model import Backbone
from mammoshift.errors import ConfigurationError
from mammoshift.models.classifier import build_classifier
from mammoshift.models.grey_stem import apply_grey_stem

COLOURS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
EQUAL = {"mean": (0.3,) * 3, "std": (0.25,) * 3}


@pytest.mark.parametrize(
    ("architecture", "normalisation", "size", "options"),
    [
        ("resnet18", COLOURS, (64, 48), {}),
        ("tf_efficientnet_b0", EQUAL, (72, 50), {"static_padding": True, "per_image_range": True}),
        ("tf_efficientnet_b0", COLOURS, (72, 50), {}),
        ("test_vit", COLOURS, (160, 160), {}),
    ],
)
def test_a_grey_stem_gives_and_learns_the_same(
    architecture: str, normalisation: dict[str, object], size: tuple[int, int], options: object
) -> None:
    values = {"architecture": architecture, **normalisation, **options}  # pyright: ignore
    torch.manual_seed(0)
    plain = build_classifier(Backbone.model_validate(values), size).eval()
    grey = build_classifier(
        Backbone.model_validate({**values, "grey_stem": True}), size, state=plain.state_dict()
    ).eval()
    assert grey.state_dict().keys() == plain.state_dict().keys()
    images = torch.rand(2, *size)
    assert grey.normalise(images).shape == (2, 1, *size)
    one, other = plain(images).logit, grey(images).logit
    assert torch.allclose(other, one, atol=1e-5, rtol=1e-5)
    one.sum().backward()
    other.sum().backward()
    gradients = [dict(model.named_parameters()) for model in (plain, grey)]
    name = next(iter(gradients[0]))
    first = next(n for n, p in gradients[0].items() if p.ndim == 4)
    for which in (name, first):
        expected, found = (parameters[which].grad for parameters in gradients)
        assert expected is not None
        assert found is not None
        assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max())), which


def test_networks_without_such_a_layer_are_refused() -> None:
    with pytest.raises(ValidationError, match="is for three channels"):
        Backbone(architecture="test_resnet", channels=1, mean=(0.5,), std=(0.5,), grey_stem=True)
    with pytest.raises(ConfigurationError, match="does not say which convolution"):
        apply_grey_stem(nn.Linear(2, 2), (0.5,), (0.5,))
