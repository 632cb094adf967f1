"""What a training or scoring job costs before its work, as a ratio to a bare `import torch`.

A job starts as the workflow's jobs do, imports what the rule's script imports and builds a small
model. The floor, an interpreter that imports torch, runs in turns with it, so that a busy machine
slows both. Processor time counts all threads of a process; on an idle machine it is close to the
wall time.

    python benchmarks/start_up.py --repeats 9
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

LIMIT = 1.25
FLOOR = "import torch"
JOB = """
from mammoshift.execution.job import job_log
with job_log({log!r}):
    {imports}
    from mammoshift.configuration.model import Backbone
    from mammoshift.models.classifier import build_classifier
    backbone = Backbone(architecture="test_resnet", channels=1, mean=(0.25,), std=(0.25,))
    build_classifier(backbone, (64, 48))
"""
KINDS = {
    "train": "from mammoshift.training.run import run_training",
    "score": "from mammoshift.scoring import run, score",
}


@dataclass(frozen=True)
class Cost:
    """Seconds of one process."""

    wall: float
    processor: float


def cost_of(script: str) -> Cost:
    """Run `script` in a fresh interpreter."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - began, used)


def main() -> None:
    parser = argparse.ArgumentParser(description="Start of a job against a bare import of torch.")
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        for kind, imports in KINDS.items():
            job = JOB.format(log=str(Path(folder) / "job.log"), imports=imports)
            for script in (FLOOR, job):
                cost_of(script)
            pairs = [(cost_of(FLOOR), cost_of(job)) for _ in range(repeats)]
            wall = statistics.median(own.wall / floor.wall for floor, own in pairs)
            processor = statistics.median(own.processor / floor.processor for floor, own in pairs)
            floor = statistics.median(floor.processor for floor, _ in pairs)
            print(
                f"{kind}: {wall:.2f} x a bare import of torch by wall time, {processor:.2f} x by "
                f"processor time (floor {floor:.2f} s; limit {LIMIT})"
            )


if __name__ == "__main__":
    main()
