"""What goes wrong on a cluster with accounting: the study ends, and nothing is computed twice."""

from __future__ import annotations

from collections import Counter

import pytest
from cluster import SlurmCluster
from processes import wait_for
from runs import (
    SnakemakeRun,
    assert_resumed,
    assert_trained_once,
    local_run,
    write_bundle,
)

from conftest import StartRun

pytestmark = pytest.mark.slurm

EPOCHS = 12
GPU_NODE = "node-gpu"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The report of a run on this machine that nothing disturbs."""
    folder = tmp_path_factory.mktemp("local")
    write_bundle(folder)
    run = local_run(folder, "0", epochs=EPOCHS, epoch_seconds=0)
    try:
        run.succeed()
    finally:
        run.stop()
    return (folder / "results" / "report.csv").read_bytes()


def assert_ended(cluster: SlurmCluster, run: SnakemakeRun, report: bytes, trainings: int) -> None:
    """Assert that the study succeeded with so many jobs that trained and one that scored."""
    run.succeed()
    assert (run.folder / "results" / "report.csv").read_bytes() == report
    jobs = Counter(job.comment.split("_wildcards_")[0] for job in cluster.squeue(run.slurm_id))
    assert jobs == {"rule_train_arm": trainings, "rule_score_arm": 1}


def running_job(run: SnakemakeRun, epoch: int) -> str:
    """Wait until so many epochs are trained; return the job that trains."""
    job = run.wait_for_epoch(epoch).job
    assert job is not None
    return job


def wait_for_scoring(cluster: SlurmCluster, run: SnakemakeRun, state: str = "") -> None:
    """Wait until the job that scores was submitted, and is in a state where one is given."""

    def submitted() -> bool:
        jobs = cluster.squeue(run.slurm_id)
        return any("score_arm" in job.comment and state in job.state for job in jobs)

    wait_for(submitted, f"a scoring job {state}")


def test_a_cancelled_training_is_submitted_again(
    accounted_cluster: SlurmCluster, start_study: StartRun, report: bytes
) -> None:
    run = start_study(epochs=EPOCHS)
    job = running_job(run, 3)
    accounted_cluster.scancel(job)
    accounted_cluster.wait_until_ended(job)
    assert accounted_cluster.recorded_state(job).startswith("CANCELLED by ")
    run.hurry()
    assert_ended(accounted_cluster, run, report, trainings=2)
    assert_resumed(run, EPOCHS, at_least=3)


def test_what_a_failed_node_did_goes_on_when_it_returns(
    accounted_cluster: SlurmCluster, start_study: StartRun, report: bytes
) -> None:
    run = start_study(epochs=EPOCHS)
    job = running_job(run, 3)
    accounted_cluster.fail_node(GPU_NODE)
    accounted_cluster.wait_until_requeued(job)
    # The database says for some seconds that the job failed; Snakemake asks meanwhile.
    wait_for(lambda: accounted_cluster.recorded_state(job) == "PENDING", "the database")
    run.hurry()
    accounted_cluster.start_nodes(GPU_NODE)
    accounted_cluster.start_now(job)
    assert_ended(accounted_cluster, run, report, trainings=1)
    assert_resumed(run, EPOCHS, at_least=3)
    assert [start.job for start in run.starts()] == [job, job]


@pytest.mark.slow
def test_a_drained_node_ends_its_training_and_scores_when_it_is_back(
    accounted_cluster: SlurmCluster, start_study: StartRun, report: bytes
) -> None:
    run = start_study(epochs=EPOCHS)
    running_job(run, 3)
    accounted_cluster.drain_node(GPU_NODE)
    run.hurry()
    wait_for_scoring(accounted_cluster, run, "PENDING")
    accounted_cluster.resume_node(GPU_NODE)
    assert_ended(accounted_cluster, run, report, trainings=1)
    assert_trained_once(run, EPOCHS)


@pytest.mark.slow
def test_a_preempted_training_is_requeued_under_its_id_and_resumes(
    accounted_cluster: SlurmCluster, start_study: StartRun, report: bytes
) -> None:
    run = start_study(epochs=EPOCHS)
    job = running_job(run, 3)
    accounted_cluster.preempt(job)
    accounted_cluster.wait_until_requeued(job)
    run.hurry()
    accounted_cluster.start_now(job)
    assert_ended(accounted_cluster, run, report, trainings=1)
    assert_resumed(run, EPOCHS, at_least=3)
    assert [start.job for start in run.starts()] == [job, job]
    assert accounted_cluster.details(job)["Restarts"] == "1"
    assert "Trying to restart" not in run.log.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("end", ["NODE_FAIL", "PREEMPTED"])
def test_a_training_that_slurm_does_not_requeue_is_submitted_again(
    accounted_cluster: SlurmCluster, start_study: StartRun, report: bytes, end: str
) -> None:
    run = start_study(epochs=EPOCHS)
    job = running_job(run, 3)
    accounted_cluster.forbid_requeueing(job)
    if end == "NODE_FAIL":
        accounted_cluster.fail_node(GPU_NODE)
        accounted_cluster.start_nodes(GPU_NODE)
    else:
        accounted_cluster.preempt(job)
    assert accounted_cluster.details(job)["JobState"] == end
    run.hurry()
    assert_ended(accounted_cluster, run, report, trainings=2)
    assert_resumed(run, EPOCHS, at_least=3)


@pytest.mark.slow
def test_a_training_past_its_time_limit_gets_more_time_and_resumes(
    accounted_cluster: SlurmCluster, start_study: StartRun, report: bytes
) -> None:
    # SLURM looks for jobs past their limit every 30 s.
    run = start_study(epochs=EPOCHS, epoch_seconds=5)
    job = running_job(run, 2)
    assert accounted_cluster.details(job)["TimeLimit"] == "12:00:00"
    accounted_cluster.expire(job)
    accounted_cluster.wait_until_ended(job)
    run.hurry()
    assert_ended(accounted_cluster, run, report, trainings=2)
    assert_resumed(run, EPOCHS, at_least=2)
    again = run.starts()[1].job
    assert again is not None
    assert accounted_cluster.details(job)["JobState"] == "TIMEOUT"
    assert accounted_cluster.details(again)["TimeLimit"] == "1-00:00:00"
    assert "SLURM status is: 'TIMEOUT'" in run.log.read_text(encoding="utf-8")


@pytest.mark.slow
def test_jobs_and_snakemake_outlive_a_crash_of_the_controller(
    accounted_cluster: SlurmCluster, start_study: StartRun, report: bytes
) -> None:
    run = start_study(epochs=EPOCHS)
    running_job(run, 3)
    accounted_cluster.stop_controller()
    run.hurry()
    wait_for(lambda: run.history()[-1].event == "end", "the end of the training")
    accounted_cluster.start_controller()
    run.succeed()
    assert (run.folder / "results" / "report.csv").read_bytes() == report
    jobs = accounted_cluster.squeue(run.slurm_id)
    done = Counter(job.comment.split("_wildcards_")[0] for job in jobs if job.state == "COMPLETED")
    assert done == {"rule_train_arm": 1, "rule_score_arm": 1}
    assert len(run.starts()) == 1
    # Until its node has named its GPUs again, SLURM may start a job and refuse its step: nothing
    # was computed, and the job is submitted again.
    for job in jobs:
        if job.state != "COMPLETED":
            said = run.folder.glob(f"logs/slurm/rule_score_arm/*/{job.job_id}.log")
            assert "Unable to create step" in next(said).read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_run_goes_on_while_the_database_is_away(
    accounted_cluster: SlurmCluster, start_study: StartRun, report: bytes
) -> None:
    run = start_study(epochs=EPOCHS)
    running_job(run, 3)
    accounted_cluster.stop_database()
    run.hurry()
    wait_for_scoring(accounted_cluster, run)
    accounted_cluster.start_database()
    assert_ended(accounted_cluster, run, report, trainings=1)
    assert len(run.starts()) == 1
