"""A searched training with everything on is killed twenty times, and ends as one that is not."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1]))

from process_apart import end_of
from toy_study import ARM, BACKBONE, case_table, write_case_table, write_store

from mammoshift.configuration.model import Arm
from mammoshift.contracts.run import Run
from mammoshift.execution import readers
from mammoshift.execution.interruption import TrainingInterrupted
from mammoshift.kinds._inputs import InputFiles
from mammoshift.search.run import TrialJob, choose_trial, run_trial
from mammoshift.training.run import TrainingJob, run_training

KILLS = 20
TRIALS = 3
NAMES = [f"im{number}" for number in range(28)]
UNTIMED = ("epoch", "stage", "train_loss", "validation_loss", "validation_auc", "lr")
EVERYTHING: dict[str, Any] = {
    **ARM,
    "training": {
        "stages": [
            {
                "train": "head",
                "epochs": 3,
                "lr": 5e-3,
                "optimiser": "adam",
                "dropout": 0.2,
                "stop_early": {"patience": 1, "restore_best": True},
            },
            {
                "epochs": 4,
                "lr": 2e-3,
                "warmup_epochs": 0.5,
                "stop_early": {"patience": 2, "monitor": "train_loss"},
            },
        ],
        "batch_size": 4,
        "accumulate": 2,
        "ema": {"decay": 0.7, "warmup": True},
        "mixup": 0.4,
        "clip_gradient_norm": 0.5,
        "augmentation": {"horizontal_flip": 0.5, "rotation_degrees": 10, "noise": 0.02},
        "select": "best_validation_loss",
        "checkpoint_minutes": 1e-9,
    },
    "search": {
        "space": {"training.stages.1.lr": {"low": 1e-4, "high": 1e-2, "log": True}},
        "trials": TRIALS,
        "parallel": 2,
        "measure": "validation_loss",
    },
}


def job_for(folder: Path) -> TrainingJob:
    subsets = [("train",)] * 18 + [("validation",)] * 10
    table = case_table("film", "a", NAMES, subsets)
    return TrainingJob(
        run=Run("toy", 3),
        settings={"arm": EVERYTHING, "backbone": BACKBONE, "task": "malignant_vs_rest"}
        | {"lineage": {}},
        leaves={},
        code={},
        cases=write_case_table(folder / "cases.parquet", table),
        inputs=InputFiles({"a": write_store(folder, "a", NAMES)}),
        start=None,
        folder=folder / "run",
    )


def search_and_train(job: TrainingJob, folder: Path) -> None:
    """Do what is left of the jobs of a searched arm, as the workflow would after a kill."""
    search = Arm.model_validate(EVERYTHING).search
    assert search is not None
    records = [folder / f"trial-{number}.json" for number in range(search.trials)]
    for number, record in enumerate(records):
        if not record.exists():
            own = TrainingJob(**{**vars(job), "folder": record.with_suffix("")})
            run_trial(TrialJob(number, own, [records[n] for n in search.earlier(number)], record))
    chosen = folder / "chosen.json"
    if not (folder / "is_chosen").exists():
        choose_trial("toy", 0, search, records, folder, folder / "trials.csv")
        (folder / "is_chosen").touch()
    if not (folder / "is_trained").exists():
        run_training(TrainingJob(**{**vars(job), "chosen": json.loads(chosen.read_text())}))
        (folder / "is_trained").touch()


def results(folder: Path) -> list[object]:
    """Return everything that the jobs left behind, without times."""
    with (folder / "run" / "history.csv").open(encoding="utf-8") as stream:
        history = [[row[name] for name in UNTIMED] for row in csv.DictReader(stream)]
    names = [f"trial-{number}.json" for number in range(TRIALS)]
    names += ["chosen.json", "trials.csv", "run/model.safetensors", "run/model.json"]
    return [history, *((folder / name).read_bytes() for name in names)]


@dataclass
class Clock:
    """Counts the function calls of all threads; what a machine does beside cannot move it."""

    calls: int = 0
    at: int = 0
    alarm: Callable[[], None] = lambda: None

    def start(self) -> None:
        threading.setprofile(self._look)
        sys.setprofile(self._look)

    def _look(self, _frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            self.calls += 1
            if self.calls == self.at:
                self.alarm()


def import_everything() -> None:
    """Do all jobs elsewhere, so that a clock counts no calls of what is imported when needed."""
    with TemporaryDirectory() as folder:
        search_and_train(job_for(Path(folder)), Path(folder))


def counted(job: TrainingJob, folder: Path) -> None:
    """Do all jobs, and note how many calls they took."""
    import_everything()
    clock = Clock()
    clock.start()
    search_and_train(job, folder)
    sys.setprofile(None)
    (folder / "calls").write_text(str(clock.calls), encoding="utf-8")


def interrupted(pause: int, number: int, job: TrainingJob, folder: Path) -> None:
    """Do what is left in this process, which gets a signal after so many calls."""
    import_everything()
    clock = Clock(at=max(1, pause), alarm=lambda: os.kill(os.getpid(), number))
    clock.start()
    try:
        search_and_train(job, folder)
    except TrainingInterrupted as stopped:
        sys.exit(stopped.exit_code)


@pytest.mark.slow
def test_twenty_kills_at_random_times_change_no_byte(tmp_path: Path) -> None:
    """SIGKILL and SIGTERM at random points of the whole: trials, choice, training, checkpoints."""
    assert readers.default_readers() > 0
    folders = {name: tmp_path / name for name in ("whole", "again", "broken")}
    jobs = {name: job_for(folder) for name, folder in folders.items()}
    search_and_train(jobs["whole"], folders["whole"])
    expected = results(folders["whole"])

    assert end_of(counted, jobs["again"], folders["again"]) == 0
    assert results(folders["again"]) == expected
    duration = int((folders["again"] / "calls").read_text())

    random = np.random.default_rng(20)
    moments = np.sort(random.integers(1, duration, KILLS))
    pauses = np.diff(moments, prepend=0)
    numbers = random.permutation([signal.SIGKILL, signal.SIGTERM] * (KILLS // 2))
    ends = [
        end_of(interrupted, pause, number, jobs["broken"], folders["broken"])
        for pause, number in zip(pauses.tolist(), numbers.tolist(), strict=True)
    ]
    by_signal = {-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM}
    assert set(ends) <= by_signal, ends
    assert ends.count(-signal.SIGKILL) == KILLS // 2
    assert 128 + signal.SIGTERM in ends
    search_and_train(jobs["broken"], folders["broken"])
    assert results(folders["broken"]) == expected
    lines = (folders["broken"] / "run").glob("**/events.jsonl")
    assert not list(lines), "the state of an unfinished training is left behind"
