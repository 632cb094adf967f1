"""Training and scoring speed as ratios to loops that do less, or do it the usual way.

Parts, each against its peer in turns in one process, so that a busy machine slows both:

loop         a training against forward, backward and update on a batch that is already in place,
             changed and normalised at every step: what is left is reading, drawing, bookkeeping;
             and against the bare network, without any of that
scoring      against forward passes on a batch that is already in place
bfloat16     a step in bfloat16, channels last and fused, against a plain timm network in float32
plain        a training on stored arrays against the usual loop: timm, PIL on PNG files of the
             network's size, torchvision's transforms and a DataLoader, in a process of its own
memory       resident memory after 60 epochs against that after 10
checkpoints  seconds that a checkpoint keeps from the training, as a share of the time between two

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
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

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
from mammoshift.training.checkpoint import CheckpointWriter
from mammoshift.training.loop import train_arm
from mammoshift.training.losses.bce import binary_cross_entropy
from mammoshift.training.request import Cases, Execution, TrainingRequest
from mammoshift.training.schedule import build_optimiser

EPOCHS = 3
STAGE = Stage(epochs=EPOCHS, lr=1e-3)
AUGMENTATION = Augmentation(
    horizontal_flip=0.5, rotation_degrees=10, scaling=0.1, translation=0.05, brightness=0.1
)
NETWORKS = {
    "test_resnet": ((128, 80), 16, 640),
    "mobilenetv3_small_100": ((224, 224), 16, 192),
    "resnet50": ((224, 224), 8, 48),
}
"""What is measured when no architecture is named: its size, batch size and number of images."""
SMALLEST = "test_resnet"
LONG = 60


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


def library_rate(request: TrainingRequest) -> float:
    """Images per second of training, the median over the epochs after the first."""
    history = train_arm(request).history
    return statistics.median(record.images_per_second for record in history[1:])


def rate_of(step: Callable[[], object], request: TrainingRequest, device: torch.device) -> float:
    """Images per second of a step on one batch, the median over the epochs after the first."""
    count = request.arm.training.batch_size
    steps, rates = len(request.training.image_ids) // count, []
    for _ in range(EPOCHS):
        began = time.monotonic()
        for _ in range(steps):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        rates.append(steps * count / (time.monotonic() - began))
    return statistics.median(rates[1:])


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

    return rate_of(step, request, device)


def naive_rate(request: TrainingRequest, device: torch.device) -> float:
    """Images per second of timm's network as it is built: float32, channels first, not fused."""
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

    return rate_of(step, request, device)


def scoring_rates(request: TrainingRequest, device: torch.device) -> tuple[float, float]:
    """Images per second of scoring, and of forward passes on one batch, in one precision."""
    size, training = request.arm.input.size, request.arm.training
    model = prepared(build_classifier(request.backbone, size), device).eval()
    model.precision = training.precision
    ids, count = request.training.image_ids, training.batch_size
    pixels = torch.from_numpy(np.stack([request.pixels.read(n) for n in ids[:count]])).to(device)

    def score() -> None:
        with torch.inference_mode(), computed_in(device, model.precision):
            model(pixels)

    resident = rate_of(score, request, device)
    rates = []
    for _ in range(EPOCHS):
        began = time.monotonic()
        readers = request.execution.readers
        score_with([model], size, request.pixels, ids, count, device, readers)
        rates.append(len(ids) / (time.monotonic() - began))
    return statistics.median(rates[1:]), resident


def write_pictures(images: StoredImages, folder: Path) -> None:
    folder.mkdir()
    for number, image in enumerate(images.images):
        cv2.imwrite(str(folder / f"{number}.png"), (image >> 8).astype(np.uint8))


def plain_rate(request: TrainingRequest, pictures: Path, threads: int) -> float:
    """Images per second of `plain_training.py` in a process of its own."""
    training = request.arm.training
    script = Path(__file__).with_name("plain_training.py")
    command = [script, pictures, request.backbone.architecture, training.batch_size, EPOCHS]
    done = subprocess.run(
        [sys.executable, *map(str, [*command, threads])], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def long_training(request: TrainingRequest) -> tuple[float, float]:
    """Megabytes of resident memory after 10 and after 60 epochs, a checkpoint after each."""
    stage = request.arm.training.stages[0].model_copy(update={"epochs": LONG})
    update = {"stages": (stage,), "checkpoint_minutes": 1e-9}
    training = request.arm.training.model_copy(update=update)
    request = replace(request, arm=request.arm.model_copy(update={"training": training}))
    seen: list[float] = []
    train_arm(request, lambda line: seen.append(resident_megabytes()) if "epoch" in line else None)
    return seen[9], seen[LONG - 1]


@contextmanager
def timed_checkpoints(seconds: list[float]):
    """Note how long each checkpoint keeps the training."""
    plain = CheckpointWriter.save

    def save(*arguments: object) -> None:
        began = time.monotonic()
        plain(*arguments)  # pyright: ignore[reportArgumentType]
        seconds.append(time.monotonic() - began)

    CheckpointWriter.save = save  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        CheckpointWriter.save = plain


def checkpoint_share(request: TrainingRequest) -> tuple[float, float]:
    """Return the seconds of one checkpoint, each after the one before is written, and its share.

    The share is that of the minutes that lie between two by default.
    """
    training = request.arm.training.model_copy(update={"checkpoint_minutes": 1e-9})
    request = replace(request, arm=request.arm.model_copy(update={"training": training}))
    seconds: list[float] = []
    with timed_checkpoints(seconds):
        train_arm(request)
    one = statistics.median(seconds[1:])
    return one, one / (60.0 * Training(stages=(STAGE,)).checkpoint_minutes)


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


def measure(part: str, arguments: argparse.Namespace, device: torch.device) -> tuple[float, str]:
    """Return the ratio of one part, and what it is of."""
    with (
        tempfile.TemporaryDirectory() as folder,
        deterministic_torch(device, arguments.threads),
    ):
        request = make_request(arguments, Path(folder))
        if part == "loop":
            bare = step_rate(request, device, augmented=False)
            resident = step_rate(request, device, augmented=True)
            library = library_rate(request)
            return library / resident, f"{library:.1f} of {resident:.1f} images/s; bare {bare:.1f}"
        if part == "scoring":
            library, resident = scoring_rates(request, device)
            return library / resident, f"{library:.1f} of {resident:.1f} images/s"
        if part == "bfloat16":
            naive = naive_rate(request, device)
            training = request.arm.training.model_copy(update={"precision": "bfloat16"})
            arm = request.arm.model_copy(update={"training": training})
            fast = step_rate(replace(request, arm=arm), device, augmented=False)
            return fast / naive, f"{fast:.1f} against {naive:.1f} images/s"
        if part == "plain":
            write_pictures(request.pixels, Path(folder) / "pictures")  # pyright: ignore
            library = library_rate(request)
            plain = plain_rate(request, Path(folder) / "pictures", arguments.threads)
            return library / plain, f"{library:.1f} against {plain:.1f} images/s"
        if part == "memory":
            early, late = long_training(request)
            return late / early, f"{early:.0f} MiB after 10 epochs, {late:.0f} after {LONG}"
        seconds, share = checkpoint_share(request)
        return share, f"{seconds:.2f} s each"


TARGETS = {
    "loop": "at least 0.95",
    "scoring": "at least 0.9",
    "bfloat16": "at least 1.8",
    "plain": "at least 1.15",
    "memory": "1.0",
    "checkpoints": "below 0.01",
}
ALONE = {"memory": SMALLEST, "checkpoints": "resnet50"}
"""Parts that are measured once, with one network."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Training and scoring speed against simpler ones.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(TARGETS))
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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--augment", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(TARGETS)
    if unknown:
        parser.error(f"no part {min(unknown)}; there are {', '.join(TARGETS)}")
    keep_freed_memory()
    device = choose_device(arguments.device)
    for part in arguments.parts or TARGETS:
        names = arguments.architecture or ([ALONE[part]] if part in ALONE else list(NETWORKS))
        for name in names:
            size, batch_size, images = NETWORKS.get(name, ((224, 224), 8, 64))
            own = argparse.Namespace(**vars(arguments))
            own.architecture, own.size = name, arguments.size or size
            own.batch_size = arguments.batch_size or batch_size
            own.images = arguments.images or images
            rounds = 1 if part in ALONE else arguments.rounds
            found = [measure(part, own, device) for _ in range(rounds)]
            ratios = sorted(ratio for ratio, _ in found)
            print(
                f"{part}, {name} {'x'.join(map(str, own.size))}: {statistics.median(ratios):.4g} "
                f"({TARGETS[part]}; {ratios[0]:.4g} to {ratios[-1]:.4g}; {found[-1][1]})",
                flush=True,
            )


if __name__ == "__main__":
    main()
