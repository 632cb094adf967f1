"""Small models on disk, and images to apply them to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mammoshift.configuration.model import Arm, Backbone
from mammoshift.files import sha256_of_file
from mammoshift.models.card import CARD_NAME, Ensemble, ModelCard, Reading, write_card
from mammoshift.models.classifier import build_classifier
from mammoshift.models.saved_model import ModelRecord, Versions, write_model

SIZE = (48, 32)
BACKBONE = Backbone(architecture="test_resnet", channels=1, mean=(0.4,), std=(0.2,))


def write_toy(
    folder: Path,
    *,
    seed: int = 0,
    backbone: Backbone = BACKBONE,
    size: tuple[int, int] = SIZE,
    density_head: bool = False,
    **arm: Any,
) -> Path:
    """Write a model with random weights; its logits spread over more than rounding."""
    record = ModelRecord(
        arm=Arm.model_validate(
            {
                "name": "toy",
                "backbone": "tiny",
                "input": {"size": size},
                "training": {"stages": [{"epochs": 1, "lr": 1e-3}]},
                **arm,
            }
        ),
        backbone=backbone,
        density_head=density_head,
        label="malignant_vs_rest",
        classes=("rest", "malignant"),
        seed=seed,
        selected_epoch=1,
        training_cases=4,
        training_positives=2,
        versions=Versions(mammoshift="0.1.0", torch="0", timm="0"),
    )
    torch.manual_seed(seed)
    classifier = build_classifier(backbone, size, density_head, head=record.arm.head)
    write_model(folder, classifier.state_dict(), record)
    return folder


def reading_of(threshold: float = 0.0, temperature: float | None = 2.0, **others: Any) -> Reading:
    points = [
        {"name": "specificity_0.95", "threshold": threshold},
        {"name": "youden", "threshold": threshold - 100.0},
    ]
    return Reading.model_validate(
        {
            "unit": "image",
            "combine": "mean",
            "domain": "film",
            "subset": "validation",
            "fold": 0,
            "n": 20,
            "n_pos": 8,
            "temperature": temperature,
            "temperature_note": "" if temperature else "not fitted",
            "operating_points": [{**p, "sensitivity": 0.5, "specificity": 0.95} for p in points],
        }
        | others
    )


def write_toy_card(
    folder: Path, readings: list[Reading] | None = None, ensemble: Ensemble | None = None
) -> None:
    card = ModelCard.model_validate(
        {
            "study": "small",
            "arm": "toy",
            "seed": 0,
            "fold": 0,
            "kind": "network",
            "weights_sha256": sha256_of_file(folder / "model.safetensors"),
            "task": "malignant_vs_rest",
            "classes": ("rest", "malignant"),
            "training_cases": 4,
            "training_positives": 2,
            "training_data": [],
            "lineage": {},
            "readings": readings or [reading_of()],
            "ensemble": ensemble,
            "versions": {"mammoshift": "0.1.0"},
        }
    )
    write_card(card, folder / CARD_NAME)


def breast(seed: int, shape: tuple[int, int] = (120, 90)) -> NDArray[np.uint8]:
    """A bright half disc at the left edge of a dark image, with noise."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    inside = ((rows - shape[0] / 2) / (0.45 * shape[0])) ** 2 + (
        columns / (0.7 * shape[1])
    ) ** 2 < 1
    grey = np.where(inside, 120 + 15 * seed % 90, 5) + generator.integers(0, 20, shape)
    return grey.astype(np.uint8)


def write_images(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03}.png" for number in range(count)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), breast(number))
    return paths
