"""The backbones that the project names: what they are, and where their weights come from."""

from __future__ import annotations

from pathlib import Path

import yaml

from mammoshift.configuration.model import Backbone

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
