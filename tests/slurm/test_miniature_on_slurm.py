"""The miniature on a real slurmctld with the shipped profile, against a local run."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path

import pytest
from cluster import SlurmCluster
from processes import PATIENCE

from mammoshift.contracts.run import Run

sys.path.append(str(Path(__file__).parents[1] / "workflow"))

from miniature import Project, create_project

pytestmark = pytest.mark.slurm

HASTE = ("--slurm-init-seconds-before-status-checks", "5", "--latency-wait", "5")
STEADY = Path(__file__).parent / "steady_snakemake.py"


def test_the_miniature_runs_with_the_shipped_profile_and_gives_the_same_tables(
    accounted_cluster: SlurmCluster, tmp_path: Path
) -> None:
    there, here = (create_project(tmp_path / name) for name in ("there", "here"))
    command = [sys.executable, str(STEADY), "--profile", "profiles/slurm", *HASTE]
    done = subprocess.run(
        command,
        cwd=there.folder,
        env=accounted_cluster.env
        | {"PYTHONPATH": str(there.folder / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    here.snakemake()
    tables = sorted(path.name for path in _tables(here).glob("[!.]*"))
    assert tables == ["calibration.csv", "combined.csv", "comparisons.csv", "metrics.csv"]
    for name in tables:
        assert (_tables(there) / name).read_bytes() == (_tables(here) / name).read_bytes()
    _assert_trainings_had_gpus_of_their_own(accounted_cluster, there)


def _tables(project: Project) -> Path:
    return project.folder / "results" / "small" / "tables"


@dataclass(frozen=True)
class _Training:
    """A training as the accounting database and its own log have it."""

    start: datetime
    end: datetime
    visible: str

    def overlaps(self, other: _Training) -> bool:
        return self.start < other.end and other.start < self.end


def _assert_trainings_had_gpus_of_their_own(cluster: SlurmCluster, project: Project) -> None:
    """Every training had one GPU of its allocation; trainings at one time had different ones."""
    trainings = _trainings(cluster, project)
    assert len(trainings) == 4
    at_once = [pair for pair in combinations(trainings, 2) if pair[0].overlaps(pair[1])]
    assert at_once
    assert all(one.visible != other.visible for one, other in at_once)


def _trainings(cluster: SlurmCluster, project: Project) -> list[_Training]:
    listing = cluster.client("sacct", "-X", "-n", "-P", "-o", "Comment,AllocTRES,State,Start,End")
    logs = {}
    for log in (project.folder / "logs" / "small").rglob("train_arm.log"):
        run = Run.of_path(log.parent)
        logs[f"small_{run.arm}_{run.seed}_{run.fold}"] = log
    found = []
    for job in (line.split("|") for line in listing.splitlines() if "train_arm" in line):
        comment, allocated, state, start, end = job
        assert "gres/gpu=1" in allocated
        assert state == "COMPLETED"
        log = logs.pop(comment.removeprefix("rule_train_arm_wildcards_"))
        visible = re.findall(r"^GPU (\S+)", log.read_text(encoding="utf-8"), re.MULTILINE)
        times = (datetime.fromisoformat(time) for time in (start, end))
        found.append(_Training(*times, *visible))
    assert not logs
    return found
