"""Every backbone against another implementation of it, with the same tensors.

Weights are random, so that nothing is downloaded. `timm alone` are architectures whose published
weights were trained with timm, which is their reference, or of which no other implementation is
installed: their parameters are counted and their tensors loaded by name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml
from reference_networks import (
    Reference,
    eca_resnet,
    mammo_clip_b5,
    mobilenet_v3,
    se_resnet,
    swin,
    torchvision_cnn,
    vgg16,
    vision_transformer,
)
from safetensors.torch import save_file
from torch import Tensor, nn

from mammoshift.configuration.model import Backbone
from mammoshift.models.architectures import (
    create_features,
    describe_architecture,
    feature_count,
    reference_state,
)
from mammoshift.weights.convert import convert_weights, read_converted
from mammoshift.weights.key_maps import from_huggingface_dinov2

ROOT = Path(__file__).parents[3]
BACKBONES = {
    name: Backbone.model_validate(record)
    for name, record in yaml.safe_load((ROOT / "config" / "backbones.yaml").read_text()).items()
}
TIMM_ALONE = None
BASE = partial(vision_transformer, size=518, patch=14, width=768, depth=12, heads=12)


class Known(NamedTuple):
    """Parameters without a head, and who else computes it, at which size."""

    parameters: int
    reference: Callable[[dict[str, Tensor]], Reference] | None = TIMM_ALONE
    size: tuple[int, int] = (96, 64)
    slow: bool = False


KNOWN = {
    "resnet50": Known(23_508_032, partial(torchvision_cnn, "resnet50")),
    "dinov2_b14": Known(86_579_712, BASE, (518, 518), slow=True),
    "rad_dino": Known(86_579_712, BASE, (518, 518), slow=True),
    "mammo_clip_b5": Known(28_340_784, mammo_clip_b5, (120, 88)),
    "mammo_fm": Known(28_340_784, mammo_clip_b5, (88, 120), slow=True),
    "densenet121": Known(6_953_856, partial(torchvision_cnn, "densenet121"), slow=True),
    "efficientnet_b0": Known(4_007_548, partial(torchvision_cnn, "efficientnet_b0")),
    "seresnet50": Known(26_039_024, se_resnet, slow=True),
    "ecaresnet50": Known(23_524_814, eca_resnet, slow=True),
    "coatnet_0": Known(26_666_562),
    "maxvit_tiny": Known(30_403_528),
    "vit_small": Known(
        21_665_664,
        partial(vision_transformer, size=224, patch=16, width=384, depth=12, heads=6),
        (224, 224),
        slow=True,
    ),
    "swin_tiny": Known(27_519_354, swin, (224, 224), slow=True),
    "ecaresnet26t": Known(13_962_916, eca_resnet),
    "mobilevit_s": Known(4_937_632),
    "deit_tiny": Known(
        5_524_416,
        partial(vision_transformer, size=224, patch=16, width=192, depth=12, heads=3),
        (224, 224),
    ),
    "mobilenetv3_small": Known(1_517_856, mobilenet_v3),
    "mobilenetv2": Known(2_223_296, partial(torchvision_cnn, "mobilenet_v2")),
    "vgg16": Known(134_260_544, vgg16, (224, 224), slow=True),
    "end2end_vgg16": Known(134_260_544),
    "end2end_vgg16_inbreast": Known(134_260_544),
    "tiny_resnet": Known(372_400),
    "tiny_efficientnet": Known(98_764),
    "tiny_vit": Known(273_472),
}


def test_every_backbone_of_the_file_is_here() -> None:
    assert set(KNOWN) == set(BACKBONES)


@pytest.mark.parametrize("name", KNOWN)
def test_parameters_are_as_many_as_published_and_the_input_is_stated(name: str) -> None:
    backbone = BACKBONES[name]
    architecture = describe_architecture(backbone.architecture)
    assert backbone.variable_size != architecture.fixed_size
    with torch.device("meta"):
        features = create_features(backbone, architecture.native_size)
    assert sum(p.numel() for p in features.parameters()) == KNOWN[name].parameters
    assert feature_count(features) > 0


def livened(features: nn.Module) -> dict[str, Tensor]:
    """Give a network statistics and scales that show when one is left out."""
    random = torch.Generator().manual_seed(1)
    for name, tensor in features.state_dict().items():
        if name.endswith(("running_var", "norm.weight")) or ".ls" in name:
            tensor.copy_(torch.rand(tensor.shape, generator=random) + 0.5)
        elif name.endswith(("running_mean", "bias")):
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=random))
    return {name: t.clone() for name, t in features.state_dict().items()}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if known.slow else ())
        for name, known in KNOWN.items()
        if known.reference is not TIMM_ALONE
    ],
)
def test_features_are_those_of_another_implementation(name: str) -> None:
    known, torch_state = KNOWN[name], torch.random.get_rng_state()
    torch.manual_seed(0)
    backbone = BACKBONES[name].model_copy(update={"channels": 3})
    state = livened(create_features(backbone, known.size))
    features = create_features(backbone, known.size, state, known.size).eval()
    assert known.reference is not None
    reference = known.reference(state)
    images = torch.randn(2, 3, *known.size)
    with torch.inference_mode():
        found, expected = features(images), reference(images).flatten(1)
    torch.random.set_rng_state(torch_state)
    scale = float(expected.std())
    assert scale > 1e-3
    assert float((found - expected).abs().max()) < 1e-4 * max(1.0, scale), scale


@pytest.mark.slow
@pytest.mark.parametrize("size", [(518, 518), (448, 336)])
def test_rad_dino_is_hugging_faces_model_at_its_own_and_at_another_size(
    size: tuple[int, int],
) -> None:
    """Both names of one network: weights in their format, converted as the workflow does."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    settings = transformers.Dinov2Config(image_size=518, patch_size=14)
    theirs = transformers.Dinov2Model(settings).eval()
    state = theirs.state_dict()
    random = torch.Generator().manual_seed(1)
    for name, tensor in state.items():
        if "lambda1" in name or name.endswith("position_embeddings"):
            tensor.copy_(torch.rand(tensor.shape, generator=random))
    mapped = from_huggingface_dinov2(state)
    features = create_features(BACKBONES["rad_dino"], size, mapped).eval()
    assert mapped.keys() == features.state_dict().keys()
    images = torch.randn(1, 3, *size)
    with torch.inference_mode():
        expected = theirs(images).pooler_output
        assert float((features(images) - expected).abs().max()) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [n for n, b in BACKBONES.items() if b.weights and b.weights.format == "timm"]
)
def test_a_file_as_it_is_published_loads_strictly(name: str, tmp_path: Path) -> None:
    """Tensors by timm's names with the head of 1,000 classes, converted as the workflow does."""
    backbone = BACKBONES[name]
    architecture = describe_architecture(backbone.architecture)
    state = reference_state(backbone)
    head = {f"{layer}.weight": torch.zeros(1000, 8) for layer in architecture.classifiers}
    save_file({**state, **head}, tmp_path / "published.safetensors")
    assert backbone.weights is not None
    convert_weights(
        tmp_path / "published.safetensors", backbone.weights, backbone, tmp_path / "converted"
    )
    converted = read_converted(tmp_path / "converted")
    assert converted.keys() == state.keys()
    loaded = create_features(backbone, architecture.native_size, converted).state_dict()
    first = next(n for n, t in state.items() if t.shape[1:2] == (3,) and t.ndim == 4)
    for tensor_name, tensor in state.items():
        if tensor_name == first and backbone.channels == 1:
            tensor = tensor.sum(dim=1, keepdim=True)
        assert torch.allclose(loaded[tensor_name], tensor), tensor_name
