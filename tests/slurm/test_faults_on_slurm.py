"""What goes wrong on a cluster without accounting: the run completes, and training resumes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import SlurmCluster
from runs import (
    SnakemakeRun,
    assert_resumed,
    local_run,
    profile_without_accounting,
    slurm_run,
)

pytestmark = pytest.mark.slurm

StartRun = Callable[..., SnakemakeRun]
EPOCHS = 12


def test_trainings_fill_both_gpus_and_the_report_equals_a_local_runs(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    config = {"arms": "a,b", "bundles": 1, "epochs": 8}
    for name in ("cluster", "here"):
        (tmp_path / name).mkdir()
    profile = profile_without_accounting(tmp_path / "profile")
    here = local_run(tmp_path / "here", "0,1", **config)
    there = slurm_run(cluster, tmp_path / "cluster", profile, **config)
    try:
        here.succeed()
        there.succeed()
    finally:
        here.stop()
        there.stop()
    for run in (here, there):
        spans = [(run.history(arm)[0], run.history(arm)[-1]) for arm in ("a", "b")]
        (one, one_end), (other, other_end) = spans
        assert {one.device, other.device} == {"0", "1"}
        assert max(one.time, other.time) < min(one_end.time, other_end.time)
    jobs = [there.starts(arm)[0] for arm in ("a", "b")]
    assert jobs[0].job != jobs[1].job
    assert {job.partition for job in jobs} == {"gpu"}
    bundle_log = (tmp_path / "cluster" / "logs" / "preprocess" / "0.log").read_text("utf-8")
    assert bundle_log == "cpu None\n"
    # The report is made on the submitting machine: jobs went to the queue for the rest only.
    submitted = sorted(
        job.comment.split("_wildcards_")[0] for job in cluster.squeue(there.slurm_id)
    )
    assert submitted == sorted(
        ["rule_preprocess_bundle"] + 2 * ["rule_train_arm"] + 2 * ["rule_score_arm"]
    )
    reports = [
        (tmp_path / name / "results" / "report.csv").read_bytes() for name in ("here", "cluster")
    ]
    assert reports[0] == reports[1]


def test_cancelled_and_killed_trainings_are_retried_and_resume(
    cluster: SlurmCluster, start_training: StartRun
) -> None:
    run = start_training("a", "b", epochs=EPOCHS)
    job = run.wait_for_epoch(3, "a").job
    assert job is not None
    os.kill(run.wait_for_epoch(3, "b").pid, signal.SIGKILL)
    cluster.scancel(job)
    cluster.wait_until_ended(job)
    run.hurry("a")
    run.hurry("b")
    run.succeed()
    for arm in ("a", "b"):
        assert_resumed(run, EPOCHS, at_least=3, arm=arm)
    assert run.starts("a")[1].job != job


def test_a_folder_has_one_snakemake_and_a_killed_one_leaves_work_that_is_resumed(
    cluster: SlurmCluster, start_training: StartRun
) -> None:
    run = start_training(epochs=EPOCHS)
    run.wait_for_epoch(2)
    second = start_training(epochs=EPOCHS)
    assert second.wait() != 0
    assert "Directory cannot be locked" in second.log.read_text(encoding="utf-8")
    assert run.process.poll() is None

    run.process.kill()
    run.process.wait()
    # As docs/cluster.md says: cancel what the killed Snakemake left, unlock, run again.
    cluster.client("scancel", f"--name={run.slurm_id}")
    for job in cluster.squeue(run.slurm_id):
        cluster.wait_until_ended(job.job_id)
    reached = run.history()[-1].epoch
    run.hurry()
    unlock = SnakemakeRun(run.folder, ["--unlock", "--workflow-profile", "none"], cluster.env)
    unlock.succeed()
    resumed = start_training(epochs=EPOCHS)
    resumed.succeed()
    assert_resumed(resumed, EPOCHS, at_least=reached)
