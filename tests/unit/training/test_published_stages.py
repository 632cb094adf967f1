"""What learns in each stage of the published studies, counted without training."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammoshift.configuration.load import load_project, read_yaml
from mammoshift.configuration.model import Arm
from mammoshift.models.classifier import build_classifier
from mammoshift.training.learning import prepare_stage

ROOT = Path(__file__).parents[3]
PROJECT = load_project(read_yaml(ROOT / "config" / "paper.yaml"), ROOT)
STATISTICS_OF_MOBILENET, STATISTICS_OF_TOP = 34_112, 4 * 512


def learning(study: str, arm: str) -> list[int]:
    """The parameters that learn in each stage of an arm."""
    record = PROJECT.studies[study].arms[arm]
    assert isinstance(record, Arm)
    backbone = PROJECT.backbones[record.backbone]
    assert record.head is not None
    size = record.input.size if record.head.kind == "flatten_dense" else (128, 128)
    model = build_classifier(backbone, size, head=record.head)
    counts = []
    for stage in record.training.stages:
        prepare_stage(model, stage)
        counts.append(sum(p.numel() for p in model.parameters() if p.requires_grad))
    return counts


@pytest.mark.parametrize(
    ("arm", "published"),
    [
        ("scratch_70", 67_797_505 - STATISTICS_OF_MOBILENET),
        ("transfer_70", 65_540_097),
        ("transfer_100", 41_947_137),
    ],
)
def test_frozen_features_leave_the_dense_layers(arm: str, published: int) -> None:
    assert learning("microcalcification", arm) == [published]


def test_the_two_configurations_free_what_is_printed_and_what_is_coded() -> None:
    convolution, normalisation, dense = 512 * 512 * 9 + 512, 2 * 512, 512 * 2 + 2
    every = 19_439_426 - STATISTICS_OF_TOP
    assert learning("domain_adaptation", "config_1_as_printed") == [
        convolution + normalisation + dense,
        every,
    ]
    assert learning("domain_adaptation", "config_2_as_printed_of_file") == [
        2 * (convolution + normalisation) + dense,
        every,
    ]
    assert learning("domain_adaptation", "config_as_coded") == [
        convolution + dense,
        every - 2 * normalisation,
    ]
