from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from mammoshift.configuration.model import Arm, Backbone
from mammoshift.errors import ConfigurationError, WeightsError
from mammoshift.files import sha256_of_file
from mammoshift.models.classifier import build_classifier
from mammoshift.models.saved_model import (
    ModelRecord,
    Versions,
    load_model,
    read_record,
    read_state,
    write_model,
)
from mammoshift.provenance import sums

CPU = torch.device("cpu")
BACKBONE = Backbone(architecture="test_resnet", channels=1, mean=(0.4,), std=(0.2,))


def written(folder: Path, **arm: Any) -> Path:
    whole = Arm.model_validate(
        {
            "name": "toy",
            "backbone": "tiny",
            "input": {"size": (32, 48)},
            "training": {"stages": [{"epochs": 1, "lr": 1e-3}]},
            **arm,
        }
    )
    torch.manual_seed(3)
    record = ModelRecord(
        arm=whole,
        backbone=BACKBONE,
        density_head=False,
        label="malignant",
        classes=("benign", "malignant"),
        seed=0,
        selected_epoch=1,
        training_cases=4,
        training_positives=2,
        versions=Versions(mammoshift="0", torch="0", timm="0"),
        lineage={"trained_on": [{"domain": "film", "subset": "train"}]},
    )
    write_model(folder, build_classifier(BACKBONE, (32, 48)).state_dict(), record)
    return folder


def test_the_record_names_the_bytes_of_the_weights_and_the_lineage(tmp_path: Path) -> None:
    folder = written(tmp_path)
    record = read_record(folder)
    assert record.weights_sha256 == sha256_of_file(folder / "model.safetensors")
    assert record.lineage == {"trained_on": [{"domain": "film", "subset": "train"}]}


def test_what_is_not_set_is_not_in_the_record(tmp_path: Path) -> None:
    """So that a new optional field leaves the bytes of models that do not set it as they are."""
    content = json.loads((written(tmp_path) / "model.json").read_text())
    assert "licence" not in content
    assert "normalisation" not in content["arm"]
    assert "cpu_threads" not in content["arm"]["training"]


@pytest.mark.parametrize("read", [read_state, lambda folder: load_model(folder, CPU)])
def test_a_changed_byte_of_the_weights_is_found(tmp_path: Path, read: Any) -> None:
    folder = written(tmp_path)
    read(folder)
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.safetensors: .*delete the folder .* run again"):
        read(folder)


def test_weights_that_did_not_change_are_hashed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path)
    hashed: list[Path] = []
    monkeypatch.setattr(
        sums, "sha256_of_file", lambda path: hashed.append(path) or sha256_of_file(path)
    )
    os.utime(folder / "model.safetensors", ns=(0, 5))
    for _ in range(3):
        read_state(folder)
    assert len(hashed) == 1


def test_an_arms_own_normalisation_is_applied_and_saved(tmp_path: Path) -> None:
    plain, _ = load_model(written(tmp_path / "plain"), CPU)
    own, record = load_model(
        written(tmp_path / "own", normalisation={"mean": [0.1], "std": [0.5]}), CPU
    )
    image = torch.full((1, 32, 48), 0.6)
    assert plain.normalise(image).mean() == pytest.approx(1.0)
    assert own.normalise(image).mean() == pytest.approx(1.0 / 1.0)
    assert own.normalise(torch.full((1, 32, 48), 0.1)).abs().max() < 1e-6
    assert record.arm.normalisation is not None
    assert record.backbone == BACKBONE


def test_a_normalisation_for_other_channels_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path, normalisation={"mean": [0.1] * 3, "std": [0.5] * 3})
    with pytest.raises(ConfigurationError, match="normalisation: mean and std need 1 values"):
        load_model(folder, CPU)
