"""The backbones that the project names: each builds from random weights, without a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mammoshift.configuration.model import Backbone
from mammoshift.models.architectures import create_features, describe_architecture, feature_count

ROOT = Path(__file__).parents[3]
BACKBONES = {
    name: Backbone.model_validate(record)
    for name, record in yaml.safe_load((ROOT / "config" / "backbones.yaml").read_text()).items()
}
CONTRAST_ENHANCED = {
    "classical": ["resnet50", "densenet121", "efficientnet_b0"],
    "attention": ["seresnet50", "ecaresnet50"],
    "hybrid": ["coatnet_0", "maxvit_tiny"],
    "transformer": ["vit_small", "swin_tiny"],
    "mammography": ["mammo_clip_b5", "mammo_fm"],
}


def test_eleven_architectures_of_five_classes_are_there_with_source_and_licence() -> None:
    names = [name for found in CONTRAST_ENHANCED.values() for name in found]
    assert len(set(names)) == 11
    for name in [*names, "mobilenetv2", "vgg16"]:
        weights = BACKBONES[name].weights
        assert weights is not None
        assert weights.source.split("/")[1] in weights.file or "mammo" in weights.file
        assert weights.licence


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("densenet121", 6_953_856),
        ("efficientnet_b0", 4_007_548),
        ("seresnet50", 26_039_024),
        ("ecaresnet50", 23_524_814),
        ("coatnet_0", 26_666_562),
        ("maxvit_tiny", 30_403_528),
        ("vit_small", 21_665_664),
        ("swin_tiny", 27_519_354),
        ("mobilenetv2", 2_223_296),
    ],
)
def test_a_backbone_has_its_size_and_states_its_input(name: str, parameters: int) -> None:
    backbone = BACKBONES[name]
    architecture = describe_architecture(backbone.architecture)
    assert backbone.variable_size != architecture.fixed_size
    features = create_features(backbone, architecture.native_size)
    assert sum(p.numel() for p in features.parameters()) == parameters
    assert feature_count(features) > 0
