"""The shipped profile on a cluster whose accounting database answers `sacct`."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import ACCOUNT, SlurmCluster
from processes import PATIENCE
from runs import PROFILE, slurm_run

pytestmark = pytest.mark.slurm


def test_the_shipped_profile_runs_under_its_account_and_sacct_sees_every_job(
    accounted_cluster: SlurmCluster, tmp_path: Path
) -> None:
    run = slurm_run(accounted_cluster, tmp_path, PROFILE, "results/a/model.json", epochs=1)
    try:
        run.succeed()
    finally:
        run.stop()
    jobs = accounted_cluster.client(
        "sacct",
        "--allocations",
        "--parsable2",
        "--noheader",
        "--format=Partition,State,Account,ReqCPUS",
    )
    assert sorted(jobs.splitlines()) == [
        f"cpu|COMPLETED|{ACCOUNT}|4",
        f"gpu|COMPLETED|{ACCOUNT}|8",
    ]
    assert "Falling back" not in run.log.read_text(encoding="utf-8")
    _assert_resources_are_summed_up(accounted_cluster, tmp_path)


def _assert_resources_are_summed_up(cluster: SlurmCluster, folder: Path) -> None:
    """What `mammoshift resources` writes after the run is what was asked for and allocated."""
    command = "from mammoshift.commands.main import run; run()"
    subprocess.run(
        [sys.executable, "-c", command, "resources", "--csv", "resources.csv"],
        cwd=folder, env=cluster.env, check=True, timeout=PATIENCE,
    )  # fmt: skip
    with (folder / "resources.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    asked = [
        (row["rule"], row["asked_cpus"], row["asked_gpus"], row["asked_memory_mb"]) for row in rows
    ]
    assert asked == [
        ("preprocess_bundle", "4", "0", "16000.0"),
        ("train_arm", "8", "1", "48000.0"),
    ]
    assert all(float(row["waited_seconds"]) >= 0 for row in rows)
    assert float(rows[1]["gpu_hours"]) == float(rows[1]["seconds"]) / 3600 > 0


def test_kinds_of_gpus_are_asked_for_in_the_profile(
    accounted_cluster: SlurmCluster, tmp_path: Path
) -> None:
    text = (PROFILE / "config.yaml").read_text(encoding="utf-8")
    profile: dict[str, Any] = yaml.safe_load(text)
    # A MIG slice for training, and for scoring a kind whose name the plugin does not take.
    profile["set-resources"]["train_arm"]["gpu_model"] = "1g.10gb"
    profile["set-resources"]["score_arm"] |= {
        "gpu": 0,
        "slurm_partition": "gpu",
        "slurm_extra": "--gpus-per-node=a100-sxm4-80gb:1",
    }
    # Where a site refuses --gpus.
    profile["set-resources"]["preprocess_bundle"] |= {"gpu": 0, "gres": "gpu:1"}
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "config.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    target = "results/a/predictions.csv"
    run = slurm_run(accounted_cluster, tmp_path, tmp_path / "profile", target, epochs=1)
    try:
        run.succeed()
    finally:
        run.stop()
    assert {event.device for event in run.history()} == {"2"}
    bundle_log = (tmp_path / "logs" / "preprocess" / "0.log").read_text(encoding="utf-8")
    assert bundle_log in ("gpu 0\n", "gpu 1\n", "gpu 2\n")
    # Readers of images are told how many CPUs were asked for beside the threads.
    score_log = (tmp_path / "logs" / "a" / "score_arm.log").read_text(encoding="utf-8")
    assert score_log in ("0 8\n", "1 8\n")
