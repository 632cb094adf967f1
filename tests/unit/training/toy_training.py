"""A tiny training on toy images, which tests of training share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mammoshift.configuration.model import Arm, Backbone
from mammoshift.training.artefacts import write_artefacts
from mammoshift.training.request import Cases, Execution, TrainingRequest, TrainingResult

SIZE = (32, 32)
TRAIN, VALIDATION = 40, 20
BACKBONE = Backbone(architecture="test_resnet", channels=1, mean=(0.25,), std=(0.25,))


def nothing(_number: int) -> None:
    """Let an image be read."""


@dataclass(frozen=True)
class KilledAtRead:
    """Kills the process that reads image `number`, counted from 1."""

    number: int

    def __call__(self, number: int) -> None:
        if number == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class ToyImages:
    """Noise, with a bright square in images of an odd number."""

    size: tuple[int, int] = SIZE
    reads: int = 0
    before_read: Callable[[int], None] = nothing

    def read(self, image_id: str) -> np.ndarray:
        self.reads += 1
        self.before_read(self.reads)
        number = int(image_id.removeprefix("toy-"))
        random = np.random.default_rng(number)
        image = random.integers(0, 20000, self.size).astype(np.uint16)
        if number % 2:
            row, column = random.integers(0, 20, 2)
            image[row : row + 12, column : column + 12] += 30000
        return image


def cases(first: int, count: int) -> Cases:
    numbers = range(first, first + count)
    densities = [("a", "b", "c", "d", None)[n % 5] for n in numbers]
    return Cases.make([f"toy-{n}" for n in numbers], [n % 2 for n in numbers], densities)


def request_for(folder: Path, *, start: Path | None = None, **changes: object) -> TrainingRequest:
    training = {
        "stages": [{"epochs": 3, "lr": 2e-3, "dropout": 0.2, "warmup_epochs": 1}],
        "batch_size": 8,
        "augmentation": {"horizontal_flip": 0.5, "rotation_degrees": 10, "brightness": 0.1},
    }
    arm = {
        "name": "toy",
        "backbone": "tiny",
        "input": {"size": SIZE},
        "initialisation": changes.pop("initialisation", "random"),
        "loss": changes.pop("loss", {"name": "bce"}),
        "training": {**training, **changes},
    }
    return TrainingRequest(
        arm=Arm.model_validate(arm),
        backbone=BACKBONE,
        seed=1,
        training=cases(0, TRAIN),
        validation=cases(1000, VALIDATION),
        pixels=ToyImages(),
        execution=Execution(folder / "run", readers=0),
        start=start,
    )


def model_bytes(folder: Path, request: TrainingRequest, result: TrainingResult) -> list[bytes]:
    write_artefacts(folder / "model", request, result)
    return [(folder / "model" / n).read_bytes() for n in ("model.safetensors", "model.json")]
