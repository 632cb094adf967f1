"""What a training costs beside its steps: memory that stays, and checkpoints.

memory       resident memory after 60 epochs with a checkpoint after each step, by that after 10
checkpoints  seconds that a checkpoint of ResNet-50 keeps from the training, each waiting for the
             one before, as a share of the time between two

    python benchmarks/training_costs.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mammoshift.configuration.training import Stage, Training
from mammoshift.execution.allocator import keep_freed_memory
from mammoshift.training.checkpoint import CheckpointWriter
from mammoshift.training.loop import train_arm
from mammoshift.training.request import TrainingRequest
from training import argument_parser, filled_up, make_request

EARLY, LATE = 10, 60


def with_changes(request: TrainingRequest, **changes: object) -> TrainingRequest:
    training = request.arm.training.model_copy(update={"checkpoint_minutes": 1e-9, **changes})
    return replace(request, arm=request.arm.model_copy(update={"training": training}))


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def long_training(request: TrainingRequest) -> tuple[float, float]:
    """Megabytes of resident memory after some and after many epochs."""
    request = with_changes(request, stages=(Stage(epochs=LATE, lr=1e-3),))
    seen: list[float] = []
    train_arm(request, lambda line: seen.append(resident_megabytes()) if "epoch" in line else None)
    return seen[EARLY - 1], seen[LATE - 1]


@contextmanager
def timed_checkpoints(seconds: list[float]) -> Iterator[None]:
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
    stage = Stage(epochs=2, lr=1e-3)
    seconds: list[float] = []
    with timed_checkpoints(seconds):
        train_arm(with_changes(request, stages=(stage,)))
    one = statistics.median(seconds[1:])
    return one, one / (60.0 * Training(stages=(stage,)).checkpoint_minutes)


def main() -> None:
    arguments = argument_parser().parse_args()
    keep_freed_memory()
    for name, work in (("test_resnet", long_training), ("resnet50", checkpoint_share)):
        with tempfile.TemporaryDirectory() as folder:
            own = filled_up(arguments, name)
            found = work(make_request(own, Path(folder)))
        if work is long_training:
            early, late = found
            print(
                f"memory, {name}: {late / early:.3f} (target: 1.0); {early:.0f} MiB after {EARLY} "
                f"epochs, {late:.0f} after {LATE}",
                flush=True,
            )
        else:
            seconds, share = found
            print(f"checkpoints, {name}: {share:.5f} (target: below 0.01); {seconds:.2f} s each")


if __name__ == "__main__":
    main()
