"""Private clusters and runs for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cluster import SlurmCluster, running_cluster, why_unavailable
from runs import PROFILE, SnakemakeRun, profile_without_accounting, slurm_run, write_bundle

StartRun = Callable[..., SnakemakeRun]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A cluster with two GPUs of one kind and no accounting database."""
    if reason := why_unavailable():
        pytest.skip(reason)
    with running_cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(scope="module")
def accounted_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A cluster with an accounting database, two GPUs of one kind and a MIG slice."""
    if reason := why_unavailable(accounting=True):
        pytest.skip(reason)
    kinds = ("a100-sxm4-80gb", "a100-sxm4-80gb", "1g.10gb")
    folder = tmp_path_factory.mktemp("slurm")
    with running_cluster(folder, gpus=kinds, accounting=True) as running:
        yield running


@pytest.fixture
def start_training(cluster: SlurmCluster, tmp_path: Path) -> Iterator[StartRun]:
    """Start trainings on the cluster, their input at hand; stop them at the end of the test."""
    with _starter(cluster, tmp_path, profile_without_accounting(tmp_path / "profile")) as start:

        def start_arms(*arms: str, **config: object) -> SnakemakeRun:
            return start(*(f"results/{arm}/model.json" for arm in arms or ("a",)), **config)

        yield start_arms


@pytest.fixture
def start_study(accounted_cluster: SlurmCluster, tmp_path: Path) -> Iterator[StartRun]:
    """Start the whole study with the shipped profile; stop it at the end of the test."""
    with _starter(accounted_cluster, tmp_path, PROFILE) as start:
        yield start


@contextmanager
def _starter(cluster: SlurmCluster, tmp_path: Path, profile: Path) -> Iterator[StartRun]:
    folder = tmp_path / "work"
    write_bundle(folder)
    with ExitStack() as stack:

        def start(*targets: str, **config: object) -> SnakemakeRun:
            run = slurm_run(cluster, folder, profile, *targets, **config)
            stack.callback(run.stop)
            return run

        yield start
        for job in cluster.squeue():
            if job.state in ("RUNNING", "PENDING"):
                cluster.scancel(job.job_id)
