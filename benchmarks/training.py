"""Training speed as a ratio to a bare loop: same network, same batch, random tensors in memory.

The bare loop has no reading, normalisation, augmentation, validation or checkpoint: it is the floor
that the hardware sets. The resident batch is changed and normalised at every step, so that what is
left is reading, drawing and bookkeeping. All run in this process, in turns, so that a busy machine
slows all of them. Freed memory is kept, as in a job of the workflow.

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

from mammoshift.configuration.model import Arm, Backbone, InputRecipe
from mammoshift.configuration.training import Augmentation, Stage, Training
from mammoshift.execution.allocator import keep_freed_memory
from mammoshift.execution.determinism import deterministic_torch
from mammoshift.execution.device import choose_device
from mammoshift.execution.precision import autocast
from mammoshift.models.classifier import build_classifier, prepared, unit_intensities
from mammoshift.training.augmentation import augment, draw_changes
from mammoshift.training.loop import train_arm
from mammoshift.training.losses.bce import binary_cross_entropy
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


def step_rate(request: TrainingRequest, device: torch.device, augmented: bool) -> float:
    """Images per second of forward, backward and update on one batch that is already in place.

    With `augmented` the batch is of stored pixels, which are changed as the arm says and normalised
    at every step; without, it is what the network takes.
    """
    training, size = request.arm.training, request.arm.input.size
    model = prepared(build_classifier(request.backbone, size), device).train()
    optimiser = build_optimiser(STAGE, model.parameters())
    count = training.batch_size
    shape = (count, request.backbone.channels, *size)
    inputs = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
    pixels = torch.randint(0, 65536, (count, *size), dtype=torch.int32, device=device)
    pixels = pixels.to(torch.uint16)
    changes = draw_changes(training.augmentation, 0, 0, np.arange(count))
    labels = (torch.arange(count, device=device) % 2).float()
    steps = len(request.training.image_ids) // count
    rates = []
    for _ in range(EPOCHS):
        began = time.monotonic()
        for _ in range(steps):
            with autocast(device, training.precision):
                if augmented:
                    changed = augment(unit_intensities(pixels), training.augmentation, changes)
                    logits = model(changed).logit
                else:
                    logits = model.head(model.features(inputs).float()).squeeze(1)
            loss = binary_cross_entropy(logits, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        rates.append(steps * count / (time.monotonic() - began))
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
            activation_checkpointing=arguments.checkpointing,
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
    parser.add_argument("--checkpointing", action="store_true", default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--augment", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    keep_freed_memory()
    device = choose_device(arguments.device)
    ratios: list[tuple[float, float]] = []
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            request = make_request(arguments, Path(folder))
            with deterministic_torch(device, arguments.threads):
                bare = step_rate(request, device, augmented=False)
                resident = step_rate(request, device, augmented=True)
            library = library_rate(request)
        ratios.append((library / bare, library / resident))
        print(
            f"round {number + 1}: bare {bare:.1f} images/s, resident batch {resident:.1f}, "
            f"mammoshift {library:.1f}, ratios {ratios[-1][0]:.3f} and {ratios[-1][1]:.3f}"
        )
    to_bare, to_resident = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(
        f"median ratio to a bare loop {to_bare:.3f}, to a resident batch with the same "
        f"augmentation {to_resident:.3f} (floors: 1.0 on {device.type})"
    )


if __name__ == "__main__":
    main()
