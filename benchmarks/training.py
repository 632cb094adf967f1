"""Training and scoring speed as ratios to loops that do less, or do it the usual way.

Parts, each against its peer in short turns in one process, so that a busy machine slows both; what
is printed is the median of the turns' ratios:

loop         a training against forward, backward and update on a batch that is already in place,
             changed and normalised at every step: what is left is reading, drawing, bookkeeping
scoring      against forward passes on a batch that is already in place
bfloat16     a step in bfloat16, channels last and fused, against a plain timm network in float32
plain        a training on stored arrays against the usual loop: timm, PIL on PNG files of the
             network's size, torchvision's transforms and a DataLoader, in a process of its own

    python benchmarks/training.py
    python benchmarks/training.py loop --architecture resnet50 --size 1520 912 --batch-size 16 \\
        --precision bfloat16 --images 256 --device cuda
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from mammoshift.configuration.model import Arm, Backbone, InputRecipe
from mammoshift.configuration.training import Augmentation, Stage, Training
from mammoshift.execution.allocator import keep_freed_memory
from mammoshift.execution.determinism import deterministic_torch
from mammoshift.execution.device import choose_device
from mammoshift.execution.precision import autocast, computed_in
from mammoshift.models.classifier import build_classifier, prepared, unit_intensities
from mammoshift.models.lean_timm import timm
from mammoshift.scoring.score import score_with
from mammoshift.training.augmentation import augment, draw_changes
from mammoshift.training.loop import train_arm
from mammoshift.training.losses.bce import binary_cross_entropy
from mammoshift.training.request import Cases, Execution, TrainingRequest
from mammoshift.training.schedule import build_optimiser

TURNS = 5
STAGE = Stage(epochs=TURNS + 1, lr=1e-3)
AUGMENTATION = Augmentation(
    horizontal_flip=0.5, rotation_degrees=10, scaling=0.1, translation=0.05, brightness=0.1
)
NETWORKS = {
    "test_resnet": ((128, 80), 16, 320),
    "mobilenetv3_small_100": ((224, 224), 16, 96),
    "resnet50": ((224, 224), 8, 24),
}
"""What is measured when no architecture is named: its size, batch size and number of images."""


class Turn(NamedTuple):
    """Images per second of one thing and of its peer, one after the other."""

    own: float
    peer: float


@dataclass(frozen=True)
class StoredImages:
    """Images in a mapped file, as in a shard of a pixel store."""

    images: np.ndarray

    def read(self, image_id: str) -> np.ndarray:
        return self.images[int(image_id)]


def make_images(folder: Path, count: int, size: tuple[int, int]) -> StoredImages:
    """Write clouds with noise, which PNG can compress by about half."""
    path, random = folder / "images.npy", np.random.default_rng(0)
    images = np.lib.format.open_memmap(path, "w+", np.uint16, (count, *size))
    for image in images:
        clouds = cv2.resize(random.random((8, 6), np.float32), size[::-1])
        image[:] = np.clip(60000 * clouds + random.normal(0, 600, size), 0, 65535)
    images.flush()
    return StoredImages(np.load(path, mmap_mode="r"))


Work = Callable[[], object]


def library_rate(request: TrainingRequest) -> float:
    """Images per second of training, the median over the epochs after the first."""
    history = train_arm(request).history
    return statistics.median(record.images_per_second for record in history[1:])


def rate_of(work: Work, images: int, device: torch.device) -> float:
    """Images per second of something that takes so many."""
    began = time.monotonic()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return images / (time.monotonic() - began)


def repeated(step: Work, request: TrainingRequest) -> Work:
    """Return what does a step on one batch as often as there are batches in an epoch."""
    steps = len(request.training.image_ids) // request.arm.training.batch_size

    def epoch() -> None:
        for _ in range(steps):
            step()

    return epoch


def in_turns(request: TrainingRequest, step: Work, device: torch.device) -> list[Turn]:
    """Train, and after each epoch take as many steps on a batch that is already in place."""
    epoch, rates = repeated(step, request), []
    images = len(request.training.image_ids)

    def after(line: str) -> None:
        if line.startswith("epoch"):
            rates.append(rate_of(epoch, images, device))

    history = train_arm(request, after).history
    own = [record.images_per_second for record in history]
    return [Turn(*pair) for pair in zip(own, rates, strict=True)][1:]


def step_rate(request: TrainingRequest, device: torch.device, augmented: bool) -> float:
    """Images per second of `step_of`, the median of the turns after the first."""
    epoch, images = (
        repeated(step_of(request, device, augmented), request),
        len(request.training.image_ids),
    )
    return statistics.median([rate_of(epoch, images, device) for _ in range(4)][1:])


def step_of(request: TrainingRequest, device: torch.device, augmented: bool) -> Work:
    """Return forward, backward and update on one batch that is already in place.

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

    def step() -> None:
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

    return step


def naive_step(request: TrainingRequest, device: torch.device) -> Work:
    """Return a step of timm's network as it is built: float32, channels first, not fused."""
    count, size = request.arm.training.batch_size, request.arm.input.size
    channels = request.backbone.channels
    model = timm.create_model(request.backbone.architecture, in_chans=channels, num_classes=1)
    model = model.to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    images = torch.randn((count, channels, *size), device=device)
    labels = (torch.arange(count, device=device) % 2).float()

    def step() -> None:
        loss = binary_cross_entropy(model(images).squeeze(1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def alternating(one: Work, other: Work, images: int, device: torch.device) -> list[Turn]:
    """Measure two things one after the other, again and again."""
    turns = [
        Turn(rate_of(one, images, device), rate_of(other, images, device)) for _ in range(TURNS + 1)
    ]
    return turns[1:]


def scoring_turns(request: TrainingRequest, device: torch.device) -> list[Turn]:
    """Scoring, and forward passes on one batch, in one precision."""
    size, training = request.arm.input.size, request.arm.training
    model = prepared(build_classifier(request.backbone, size), device).eval()
    model.precision = training.precision
    ids, count = request.training.image_ids, training.batch_size
    pixels = torch.from_numpy(np.stack([request.pixels.read(n) for n in ids[:count]])).to(device)

    def forward() -> None:
        with torch.inference_mode(), computed_in(device, model.precision):
            model(pixels)

    def score() -> None:
        score_with([model], size, request.pixels, ids, count, device, request.execution.readers)

    return alternating(score, repeated(forward, request), len(ids), device)


def write_pictures(images: StoredImages, folder: Path) -> None:
    folder.mkdir()
    for number, image in enumerate(images.images):
        cv2.imwrite(str(folder / f"{number}.png"), (image >> 8).astype(np.uint8))


class PlainTraining:
    """`plain_training.py` in a process of its own, an epoch at a time."""

    def __init__(self, request: TrainingRequest, pictures: Path, threads: int) -> None:
        training = request.arm.training
        script = Path(__file__).with_name("plain_training.py")
        command = [script, pictures, request.backbone.architecture, training.batch_size, threads]
        self._process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def epoch(self) -> float:
        """Return its images per second in one more epoch."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print("go", file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate()


def plain_turns(request: TrainingRequest, folder: Path, threads: int) -> list[Turn]:
    """Train, and have the plain loop do as much after each epoch."""
    write_pictures(request.pixels, folder)  # pyright: ignore[reportArgumentType]
    plain, rates = PlainTraining(request, folder, threads), []
    history = train_arm(
        request, lambda line: rates.append(plain.epoch()) if line.startswith("epoch") else None
    ).history
    plain.end()
    own = [record.images_per_second for record in history]
    return [Turn(*pair) for pair in zip(own, rates, strict=True)][1:]


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
    channels = arguments.channels
    backbone = Backbone(
        architecture=arguments.architecture,
        channels=channels,
        mean=(0.25,) * channels,
        std=(0.25,) * channels,
    )
    ids = [str(number) for number in range(arguments.images)]
    return TrainingRequest(
        arm=arm,
        backbone=backbone,
        seed=0,
        training=Cases.make(ids, np.arange(arguments.images) % 2),
        validation=Cases.make([], []),
        pixels=make_images(folder, arguments.images, size),
        execution=Execution(folder / "run", arguments.device, arguments.readers),
    )


def filled_up(arguments: argparse.Namespace, name: str) -> argparse.Namespace:
    """Return the arguments of one network, with its own size where none is given."""
    size, batch_size, images = NETWORKS.get(name, ((224, 224), 8, 64))
    own = argparse.Namespace(**vars(arguments))
    own.architecture, own.size = name, arguments.size or size
    own.batch_size = arguments.batch_size or batch_size
    own.images = arguments.images or images
    return own


def measure(part: str, arguments: argparse.Namespace, device: torch.device) -> str:
    """Measure one part with one network, and say what came out."""
    with (
        tempfile.TemporaryDirectory() as folder,
        deterministic_torch(device, arguments.threads),
    ):
        request = make_request(arguments, Path(folder))
        if part == "loop":
            turns = in_turns(request, step_of(request, device, augmented=True), device)
        elif part == "scoring":
            turns = scoring_turns(request, device)
        elif part == "plain":
            turns = plain_turns(request, Path(folder) / "pictures", arguments.threads)
        else:
            training = request.arm.training.model_copy(update={"precision": "bfloat16"})
            fast = replace(request, arm=request.arm.model_copy(update={"training": training}))
            own, naive = step_of(fast, device, augmented=False), naive_step(request, device)
            images = len(request.training.image_ids)
            turns = alternating(repeated(own, request), repeated(naive, request), images, device)
        ratios = sorted(turn.own / turn.peer for turn in turns)
        own, peer = (statistics.median(column) for column in zip(*turns, strict=True))
        return (
            f"{statistics.median(ratios):.3f}, {ratios[1]:.3f} to {ratios[-2]:.3f} but for the "
            f"ends; {own:.1f} against {peer:.1f} images/s"
        )


TARGETS = {
    "loop": "at least 0.95",
    "scoring": "at least 0.9",
    "bfloat16": "at least 1.8",
    "plain": "at least 1.15",
}


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Training and scoring speed against simpler ones.")
    parser.add_argument("--architecture", nargs="*")
    parser.add_argument("--size", type=int, nargs=2, metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--images", type=int)
    parser.add_argument("--channels", type=int, choices=(1, 3), default=3)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--readers", type=int, default=None)
    parser.add_argument("--checkpointing", action="store_true", default=None)
    parser.add_argument("--augment", action=argparse.BooleanOptionalAction, default=True)
    return parser


def main() -> None:
    parser = argument_parser()
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(TARGETS))
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(TARGETS)
    if unknown:
        parser.error(f"no part {min(unknown)}; there are {', '.join(TARGETS)}")
    keep_freed_memory()
    device = choose_device(arguments.device)
    for part in arguments.parts or TARGETS:
        for name in arguments.architecture or NETWORKS:
            own = filled_up(arguments, name)
            print(
                f"{part}, {name} {'x'.join(map(str, own.size))}: {measure(part, own, device)} "
                f"(target: {TARGETS[part]})",
                flush=True,
            )


if __name__ == "__main__":
    main()
