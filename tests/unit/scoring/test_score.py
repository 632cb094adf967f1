from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mammoshift.configuration.model import Arm, Backbone
from mammoshift.errors import ConfigurationError, WeightsError
from mammoshift.execution.determinism import deterministic_torch
from mammoshift.models.classifier import Classifier, Output, build_classifier
from mammoshift.models.saved_model import (
    ModelRecord,
    Versions,
    load_model,
    read_record,
    write_model,
)
from mammoshift.scoring.score import score_closely, score_images, score_with

CPU = torch.device("cpu")
IDS = [f"image-{number}" for number in range(7)]


@dataclass(frozen=True)
class NoiseImages:
    size: tuple[int, int] = (32, 48)

    def read(self, image_id: str) -> np.ndarray:
        random = np.random.default_rng(int(image_id.split("-")[1]))
        return random.integers(0, 65536, self.size, dtype=np.uint16)


def make_model(
    folder: Path,
    architecture: str,
    density: bool = False,
    seed: int = 4,
    changes: Mapping[str, object] | None = None,
) -> Path:
    backbone = Backbone(architecture=architecture, mean=(0.4,) * 3, std=(0.2,) * 3)
    arm = {
        "name": "toy",
        "backbone": "tiny",
        "input": {"size": (32, 48)},
        "training": {"stages": [{"epochs": 1, "lr": 1e-3}]},
        **(changes or {}),
    }
    torch.manual_seed(seed)
    model = build_classifier(backbone, (32, 48), density)
    with torch.no_grad():
        # Running statistics of real images, so that features do not vanish.
        model.train()(torch.rand(16, 32, 48))
    record = ModelRecord(
        arm=Arm.model_validate(arm),
        backbone=backbone,
        density_head=density,
        label="malignant",
        classes=("benign", "malignant"),
        seed=0,
        selected_epoch=1,
        selected_validation_auc=None,
        training_cases=4,
        training_positives=2,
        start_sha256=None,
        licence=None,
        versions=Versions(mammoshift="0", torch="0", timm="0"),
    )
    write_model(folder, model.state_dict(), record)
    return folder


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_logits_do_not_depend_on_the_batch_size_and_keep_the_order(
    tmp_path: Path, architecture: str
) -> None:
    folder = make_model(tmp_path / "model", architecture)
    whole = score_images(folder, NoiseImages(), IDS, 7, CPU)
    single = score_images(folder, NoiseImages(), IDS, 1, CPU)
    reverse = score_images(folder, NoiseImages(), IDS[::-1], 3, CPU)
    assert whole.dtype == np.float64
    assert whole.std() > 1e-4
    np.testing.assert_allclose(single, whole, atol=1e-5)
    np.testing.assert_allclose(reverse[::-1], whole, atol=1e-5)
    np.testing.assert_array_equal(score_images(folder, NoiseImages(), IDS, 7, CPU), whole)


def test_logits_are_those_of_the_model_that_was_saved(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", "test_resnet", density=True)
    torch.manual_seed(4)
    model = build_classifier(read_record(folder).backbone, (32, 48), True)
    with torch.no_grad():
        model.train()(torch.rand(16, 32, 48))
        pixels = np.stack([NoiseImages().read(name) for name in IDS])
        expected = model.eval()(torch.from_numpy(pixels)).logit.numpy()
    found = score_images(folder, NoiseImages(), IDS, 4, CPU)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_several_models_score_each_image_as_each_does_alone(tmp_path: Path) -> None:
    plain = make_model(tmp_path / "plain", "test_resnet")
    density = make_model(tmp_path / "density", "test_vit", density=True)
    models = [load_model(folder, CPU)[0] for folder in (plain, density)]
    with deterministic_torch(CPU, 1):
        logits = score_with(models, (32, 48), NoiseImages(), IDS, 3, CPU)
    for folder, row in zip((plain, density), logits, strict=True):
        np.testing.assert_array_equal(score_images(folder, NoiseImages(), IDS, 3, CPU), row)


def test_no_images_no_logits(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", "test_resnet")
    assert score_images(folder, NoiseImages(), [], 4, CPU).shape == (0,)


def test_image_of_another_size_is_named(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", "test_resnet")
    with pytest.raises(ConfigurationError, match=r"image-0: .*\[16, 16\].*\[32, 48\]"):
        score_images(folder, NoiseImages((16, 16)), IDS, 4, CPU)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_incomplete_models_are_refused(tmp_path: Path, name: str) -> None:
    folder = make_model(tmp_path / "model", "test_resnet")
    (folder / name).write_bytes(b"{}")
    with pytest.raises(WeightsError, match=name.replace(".", r"\.")):
        score_images(folder, NoiseImages(), IDS, 4, CPU)
    (folder / name).unlink()
    with pytest.raises(WeightsError, match=name.replace(".", r"\.")):
        score_images(folder, NoiseImages(), IDS, 4, CPU)


def test_writing_twice_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("model.json", "model.safetensors"):
        one, two = (make_model(tmp_path / n, "test_resnet") / name for n in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_scoring_takes_the_precision_of_training_unless_the_arm_says_otherwise(
    tmp_path: Path,
) -> None:
    settings = {"stages": [{"epochs": 1, "lr": 1e-3}]}
    coarse = {**settings, "precision": "bfloat16"}
    found = {}
    for name, arm in {
        "float32": {"training": settings},
        "bfloat16": {"training": coarse},
        "own": {"training": coarse, "scoring_precision": "float32"},
    }.items():
        folder = make_model(tmp_path / name, "test_resnet", changes=arm)
        found[name] = score_images(folder, NoiseImages(), IDS, 4, CPU)
    np.testing.assert_array_equal(found["own"], found["float32"])
    difference = np.abs(found["bfloat16"] - found["float32"])
    assert 0 < difference.max() < 0.02


def test_models_of_different_precision_score_together_as_alone(tmp_path: Path) -> None:
    plain = make_model(tmp_path / "plain", "test_resnet")
    coarse = make_model(tmp_path / "b", "test_resnet", changes={"scoring_precision": "bfloat16"})
    models = [load_model(folder, CPU)[0] for folder in (plain, coarse)]
    with deterministic_torch(CPU, 1):
        logits = score_with(models, (32, 48), NoiseImages(), IDS, 3, CPU)
    for folder, row in zip((plain, coarse), logits, strict=True):
        np.testing.assert_array_equal(score_images(folder, NoiseImages(), IDS, 3, CPU), row)


def test_a_logit_that_is_no_number_is_computed_again_in_float32(tmp_path: Path) -> None:
    """A model that fails in bfloat16 on bright images."""
    changes = {"scoring_precision": "bfloat16"}
    folder = make_model(tmp_path / "model", "test_resnet", changes=changes)
    plain, failing = (load_model(folder, CPU)[0] for _ in range(2))

    def fail(_module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> Any:
        bright = inputs[0].mean(dim=(1, 2, 3)) > middle
        wrong = torch.is_autocast_enabled("cpu") & bright
        return torch.where(wrong[:, None], float("nan"), output)

    means = [
        float(plain.normalise(torch.from_numpy(NoiseImages().read(n))[None]).mean()) for n in IDS
    ]
    middle = float(np.median(means))
    failing.features.register_forward_hook(fail)
    with deterministic_torch(CPU, 1):
        found = score_closely([plain, failing], (32, 48), NoiseImages(), IDS, 3, CPU)
        plain.precision = "float32"
        exact = score_with([plain], (32, 48), NoiseImages(), IDS, 3, CPU)[0]
    again = np.array(means) > middle
    assert 0 < again.sum() < len(IDS)
    np.testing.assert_array_equal(found.again, [np.zeros(len(IDS), bool), again])
    np.testing.assert_array_equal(found.logits[1][~again], found.logits[0][~again])
    np.testing.assert_allclose(found.logits[1][again], exact[again], atol=1e-6)


class Crowded:
    """A model on a device that holds so many images at once."""

    def __init__(self, model: Classifier, room: int) -> None:
        self.plain, self.room = model.forward, room

    def __call__(self, images: torch.Tensor) -> Output:
        if len(images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.plain(images)


@pytest.mark.parametrize(("room", "taken"), [(7, 7), (3, 3), (2, 1)])
def test_a_batch_that_does_not_fit_is_taken_in_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, taken: int
) -> None:
    model = load_model(make_model(tmp_path, "test_resnet"), CPU)[0]
    whole = score_closely([model], (32, 48), NoiseImages(), IDS, 7, CPU)
    monkeypatch.setattr(model, "forward", Crowded(model, room))
    halved = score_closely([model], (32, 48), NoiseImages(), IDS, 7, CPU)
    assert halved.batch_size == taken
    np.testing.assert_allclose(halved.logits, whole.logits, atol=1e-5)


def test_an_image_that_does_not_fit_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(make_model(tmp_path, "test_resnet"), CPU)[0]
    monkeypatch.setattr(model, "forward", Crowded(model, room=0))
    with pytest.raises(ConfigurationError, match=r"1 image of 32 x 48 .*scoring_precision"):
        score_closely([model], (32, 48), NoiseImages(), IDS, 4, CPU)
