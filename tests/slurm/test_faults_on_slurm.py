"""What goes wrong on a cluster: the run completes, and training resumes instead of restarting."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import SlurmCluster
from runs import Event, SnakemakeRun, local_run, profile_without_accounting, slurm_run

pytestmark = pytest.mark.slurm

StartRun = Callable[..., SnakemakeRun]
EPOCHS = 12


def starts(run: SnakemakeRun, arm: str = "a") -> list[Event]:
    return [event for event in run.history(arm) if event.event == "start"]


def assert_resumed(run: SnakemakeRun, at_least: int, arm: str = "a") -> None:
    """The training started twice, went on from its checkpoint and trained each epoch once."""
    first, second = starts(run, arm)
    assert first.epoch == 0
    assert at_least <= second.epoch < EPOCHS
    epochs = [event.epoch for event in run.history(arm) if event.event == "epoch"]
    assert epochs == list(range(1, EPOCHS + 1))
    model = run.folder / "results" / arm / "model.json"
    assert json.loads(model.read_text(encoding="utf-8"))["epoch"] == EPOCHS


def test_trainings_fill_both_gpus_and_the_report_equals_a_local_runs(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    config = {"arms": "a,b", "shards": 1, "epochs": 8}
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
    jobs = [starts(there, arm)[0] for arm in ("a", "b")]
    assert jobs[0].job != jobs[1].job
    assert {job.partition for job in jobs} == {"gpu"}
    shard_log = (tmp_path / "cluster" / "logs" / "preprocess" / "0.log").read_text("utf-8")
    assert shard_log == "cpu None\n"
    # The report is made on the submitting machine: jobs went to the queue for the rest only.
    submitted = sorted(
        job.comment.split("_wildcards_")[0] for job in cluster.squeue(there.slurm_id)
    )
    assert submitted == sorted(
        ["rule_preprocess_shard"] + 2 * ["rule_train_arm"] + 2 * ["rule_infer_study"]
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
        assert_resumed(run, at_least=3, arm=arm)
    assert starts(run, "a")[1].job != job


def test_a_training_past_its_time_limit_gets_more_time_and_resumes(
    cluster: SlurmCluster, start_training: StartRun
) -> None:
    # SLURM looks for jobs past their limit every 30 s.
    run = start_training(epochs=EPOCHS, epoch_seconds=5)
    job = run.wait_for_epoch(2).job
    assert job is not None
    assert cluster.details(job)["TimeLimit"] == "12:00:00"
    cluster.expire(job)
    cluster.wait_until_ended(job)
    run.hurry()
    run.succeed()
    assert_resumed(run, at_least=2)
    again = starts(run)[1].job
    assert again is not None
    assert cluster.details(job)["JobState"] == "TIMEOUT"
    assert cluster.details(again)["TimeLimit"] == "1-00:00:00"
    assert "SLURM status is: 'TIMEOUT'" in run.log.read_text(encoding="utf-8")


def test_a_preempted_training_is_requeued_under_its_id_and_resumes(
    cluster: SlurmCluster, start_training: StartRun
) -> None:
    run = start_training(epochs=EPOCHS)
    job = run.wait_for_epoch(3).job
    assert job is not None
    cluster.preempt(job)
    run.hurry()
    cluster.start_now(job)
    run.succeed()
    assert_resumed(run, at_least=3)
    assert [start.job for start in starts(run)] == [job, job]
    assert cluster.details(job)["Restarts"] == "1"
    assert "Trying to restart" not in run.log.read_text(encoding="utf-8")


def test_jobs_and_snakemake_outlive_a_crash_of_the_controller(
    cluster: SlurmCluster, start_training: StartRun
) -> None:
    run = start_training(epochs=EPOCHS, epoch_seconds=5)
    run.wait_for_epoch(1)
    cluster.restart_controller(pause=3)
    assert run.history()[-1].event != "end"
    run.hurry()
    run.succeed()
    assert len(starts(run)) == 1


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
    assert_resumed(resumed, at_least=reached)
