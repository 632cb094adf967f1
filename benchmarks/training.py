"""Training speed as a ratio to a bare loop: same network, same batch, random tensors in memory.

The bare loop has no reading, normalisation, augmentation, validation or checkpoint: it is the floor
that the hardware sets. Both run in this process, in turns, so that a busy machine slows both.

    python benchmarks/training.py --architecture test_resnet --size 128 80
    python benchmarks/training.py --architecture resnet50 --size 1520 912 --precision bfloat16 \\
        --batch-size 16 --images 256 --device cuda
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mammoshift.configuration.model import (
    Arm,
    Augmentation,
    Backbone,
    InputRecipe,
    Stage,
    Training,
)
from mammoshift.execution.determinism import deterministic_torch
from mammoshift.execution.device import choose_device
from mammoshift.models.classifier import build_classifier, prepared
from mammoshift.training.loop import train_arm
from mammoshift.training.losses import binary_cross_entropy
from mammoshift.training.request import Cases, Execution, TrainingRequest
from mammoshift.training.schedule import build_optimiser

EPOCHS = 3
STAGE = Stage(epochs=EPOCHS, lr=1e-3)
AUGMENTATION = Augmentation(
    horizontal_flip=0.5, rotation_degrees=10, scaling=0.1, translation=0.05, brightness=0.1
)


@dataclass(frozen=True)
class NoiseImages:
    """Images of noise, all parts of one array, so that reading costs one copy."""

    pool: np.ndarray
    size: tuple[int, int]

    def read(self, image_id: str) -> np.ndarray:
        start = int(image_id) % (len(self.pool) - self.size[0])
        return self.pool[start : start + self.size[0]]


def library_rate(request: TrainingRequest) -> float:
    """Images per second of training, the median over the epochs after the first."""
    history = train_arm(request).history
    return statistics.median(record.images_per_second for record in history[1:])


def bare_rate(request: TrainingRequest, device: torch.device) -> float:
    """Images per second of forward, backward and update on tensors that are already in place."""
    training, size = request.arm.training, request.arm.input.size
    shape = (training.batch_size, request.backbone.channels, *size)
    model = prepared(build_classifier(request.backbone, size), device).train()
    optimiser = build_optimiser(STAGE, model.parameters())
    inputs = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
    labels = (torch.arange(training.batch_size, device=device) % 2).float()
    steps = len(request.training.image_ids) // training.batch_size
    rates = []
    for _ in range(EPOCHS):
        began = time.monotonic()
        for _ in range(steps):
            enabled = training.precision == "bfloat16"
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled):
                features = model.features(inputs)
            loss = binary_cross_entropy(model.head(features.float()).squeeze(1), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        rates.append(steps * training.batch_size / (time.monotonic() - began))
    return statistics.median(rates[1:])


def make_request(arguments: argparse.Namespace, folder: Path) -> TrainingRequest:
    size = (arguments.size[0], arguments.size[1])
    arm = Arm(
        name="benchmark",
        backbone="benchmark",
        input=InputRecipe(size=size),
        training=Training(
            stages=(STAGE,),
            batch_size=arguments.batch_size,
            precision=arguments.precision,
            select="last_epoch",
            cpu_threads=arguments.threads,
            augmentation=AUGMENTATION if arguments.augment else Augmentation(),
        ),
    )
    backbone = Backbone(architecture=arguments.architecture, channels=1, mean=(0.25,), std=(0.25,))
    random = np.random.default_rng(0)
    pool = random.integers(0, 65536, (size[0] * 4, size[1]), dtype=np.uint16)
    ids = [str(number) for number in range(arguments.images)]
    return TrainingRequest(
        arm=arm,
        backbone=backbone,
        seed=0,
        training=Cases.make(ids, np.arange(arguments.images) % 2),
        validation=Cases.make([], []),
        pixels=NoiseImages(pool, size),
        execution=Execution(folder, arguments.device, arguments.readers),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Training speed against a bare loop.")
    parser.add_argument("--architecture", default="test_resnet")
    parser.add_argument("--size", type=int, nargs=2, default=(128, 80), metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--readers", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--augment", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    ratios = []
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            request = make_request(arguments, Path(folder))
            with deterministic_torch(device, arguments.threads):
                bare = bare_rate(request, device)
            library = library_rate(request)
        ratios.append(library / bare)
        print(
            f"round {number + 1}: bare {bare:.1f} images/s, mammoshift {library:.1f} images/s, "
            f"ratio {ratios[-1]:.3f}"
        )
    print(f"median ratio {statistics.median(ratios):.3f} (floor: 1.0 on {device.type})")


if __name__ == "__main__":
    main()
