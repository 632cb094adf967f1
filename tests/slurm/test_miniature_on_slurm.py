"""The miniature on a real slurmctld with the shipped profile, against a local run."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from cluster import SlurmCluster

sys.path.append(str(Path(__file__).parents[1] / "workflow"))

from miniature import Project, create_project

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

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
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    here.snakemake()
    tables = sorted(path.name for path in _tables(here).iterdir())
    assert tables == ["calibration.csv", "combined.csv", "comparisons.csv", "metrics.csv"]
    for name in tables:
        assert (_tables(there) / name).read_bytes() == (_tables(here) / name).read_bytes()
    _assert_trainings_had_gpus_of_their_own(accounted_cluster, there)


def _tables(project: Project) -> Path:
    return project.folder / "results" / "small" / "tables"


def _assert_trainings_had_gpus_of_their_own(cluster: SlurmCluster, project: Project) -> None:
    """Every training had one GPU of its allocation, and two trainings ran at one time."""
    logs = sorted((project.folder / "logs" / "small").rglob("train_arm.log"))
    assert len(logs) == 4
    for log in logs:
        assert "GPU " in log.read_text(encoding="utf-8")
    fields = "Comment,AllocTRES,Start,End,State"
    listing = cluster.client("sacct", "-X", "-n", "-P", "-o", fields)
    jobs = [line.split("|") for line in listing.splitlines() if "train_arm" in line]
    assert len(jobs) == 4
    assert all("gres/gpu=1" in job[1] and job[4] == "COMPLETED" for job in jobs)
    spans = sorted((datetime.fromisoformat(job[2]), datetime.fromisoformat(job[3])) for job in jobs)
    assert any(later[0] < earlier[1] for earlier, later in pairwise(spans))
