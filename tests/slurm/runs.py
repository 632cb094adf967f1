"""Snakemake runs of the test workflow, on a private cluster or on this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cluster import SlurmCluster
from processes import PATIENCE, wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
PROFILE = REPOSITORY / "profiles" / "slurm"
SNAKEMAKE = Path(__file__).parent / "steady_snakemake.py"
SNAKEFILE = Path(__file__).parent / "workflow" / "Snakefile"
# What a test changes for speed: jobs here last seconds, and the disk is local.
HASTE = ("--slurm-init-seconds-before-status-checks", "5", "--latency-wait", "5")


@dataclass(frozen=True)
class Event:
    """One line of a training's own history.

    Attributes
    ----------
    event
        `start`, `epoch` or `end`.
    epoch
        Epochs finished at that moment.
    time
        Seconds since 1970.
    device
        Value of CUDA_VISIBLE_DEVICES.
    job, partition
        SLURM's, or None in a local run.
    pid
        Of the training process.
    """

    event: str
    epoch: int
    time: float
    device: str | None
    job: str | None
    partition: str | None
    pid: int


class SnakemakeRun:
    """A Snakemake process in a working directory of its own."""

    def __init__(self, folder: Path, arguments: list[str], env: dict[str, str]) -> None:
        self.folder = folder
        self.log = folder / "snakemake.log"
        command = [sys.executable, str(SNAKEMAKE), "--snakefile", str(SNAKEFILE), *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=env | {"OMP_NUM_THREADS": "1", "SNAKEMAKE_LOGGER_MAMMOSHIFT_TEXT": "snakemake"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def succeed(self, seconds: float = PATIENCE) -> None:
        """Wait for the end of a run that must succeed."""
        assert self.wait(seconds) == 0, self.log.read_text(encoding="utf-8")

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end; return the exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"Snakemake still runs after {seconds} s: {self.log.read_text(encoding='utf-8')}"
            ) from None

    def stop(self) -> None:
        """End the process if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def slurm_id(self) -> str:
        """The name of all SLURM jobs of this run."""
        found = re.search(r"SLURM run ID: (\S+)", self.log.read_text(encoding="utf-8"))
        assert found is not None
        return found.group(1)

    def history(self, arm: str = "a") -> list[Event]:
        """Return what the training of an arm has noted so far."""
        path = self.folder / "results" / arm / "run" / "events.jsonl"
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Event(**json.loads(line)) for line in lines]

    def starts(self, arm: str = "a") -> list[Event]:
        """Return the first note of each start of an arm's training."""
        return [event for event in self.history(arm) if event.event == "start"]

    def hurry(self, arm: str = "a") -> None:
        """Let the epochs of an arm take no time from now on."""
        (self.folder / "results" / arm / "run" / "pace").write_text("0", encoding="ascii")

    def wait_for_epoch(self, epoch: int, arm: str = "a", seconds: float = PATIENCE) -> Event:
        """Wait until the training of an arm has finished `epoch` epochs; return its last note."""

        def reached() -> bool:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            return any(event.epoch >= epoch for event in self.history(arm))

        wait_for(reached, f"epoch {epoch} of arm {arm}", seconds)
        return self.history(arm)[-1]


def slurm_run(
    cluster: SlurmCluster, folder: Path, profile: Path, *targets: str, **config: object
) -> SnakemakeRun:
    """Start the test workflow on a cluster with a profile."""
    partitions = str(PROFILE / "partitions.yaml")
    arguments = ["--workflow-profile", str(profile), "--slurm-partition-config", partitions, *HASTE]
    return SnakemakeRun(folder, [*arguments, *_configured(config), *targets], cluster.env)


def local_run(folder: Path, gpus: str, *targets: str, **config: object) -> SnakemakeRun:
    """Start the test workflow on this machine with the named GPUs."""
    hidden = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    count = len(gpus.split(","))
    arguments = ["--executor", "local", "--cores", "4", "--resources", f"gpu={count}"]
    env["MAMMOSHIFT_GPUS"] = gpus
    return SnakemakeRun(folder, [*arguments, *_configured(config), *targets], env)


def assert_trained_once(run: SnakemakeRun, epochs: int, arm: str = "a") -> None:
    """Assert that the training trained each epoch once, whatever ended it on the way."""
    trained = [event.epoch for event in run.history(arm) if event.event == "epoch"]
    assert trained == list(range(1, epochs + 1))
    model = run.folder / "results" / arm / "model.json"
    assert json.loads(model.read_text(encoding="utf-8"))["epoch"] == epochs


def assert_resumed(run: SnakemakeRun, epochs: int, at_least: int, arm: str = "a") -> None:
    """Assert that the training started twice and went on from its checkpoint."""
    first, second = run.starts(arm)
    assert first.epoch == 0
    assert at_least <= second.epoch < epochs
    assert_trained_once(run, epochs, arm)


def write_bundle(folder: Path) -> None:
    """Put the training's input into a working directory, so that no job has to make it."""
    bundle = folder / "results" / "pixels" / "0.txt"
    bundle.parent.mkdir(parents=True)
    bundle.write_text("bundle 0\n", encoding="utf-8")


def profile_without_accounting(folder: Path) -> Path:
    """Write the shipped profile with the edit for a site that has no accounting database."""
    profile: dict[str, Any] = yaml.safe_load((PROFILE / "config.yaml").read_text(encoding="utf-8"))
    del profile["default-resources"]["slurm_account"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    return folder


def _configured(config: dict[str, object]) -> list[str]:
    settings = [f"{name}={value}" for name, value in config.items()]
    return ["--config", *settings, "--"] if settings else ["--"]
