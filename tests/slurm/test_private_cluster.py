"""The private cluster ends all that it started, and nothing that it did not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import cluster as private
import pytest
from cluster import running_cluster, why_unavailable
from processes import ClusterError, marked_processes

pytestmark = pytest.mark.slurm

# Runs a job on a cluster of its own, prints the cluster's mark and waits.
OWNER = """
import sys, time
from pathlib import Path
from cluster import running_cluster
from processes import wait_for
with running_cluster(Path(sys.argv[1])) as running:
    job = running.client("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 1000").strip()
    wait_for(lambda: running.details(job)["JobState"] == "RUNNING", "the job")
    print(running.mark, flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short name: SLURM puts sockets of limited length below it."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture(autouse=True)
def _available() -> None:
    if reason := why_unavailable():
        pytest.skip(reason)


def test_a_failed_start_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private.secrets, "token_hex", lambda _: "mark-of-this-test")
    with (
        pytest.raises(ClusterError, match=r"slurmctld ended with code 1: .*Parse error"),
        running_cluster(tmp_path / "slurm", gpus=("bad kind",)),
    ):
        pass
    assert marked_processes("mark-of-this-test") == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_or_killed_owner_leaves_nothing_for_long(
    tmp_path: Path, how: signal.Signals
) -> None:
    bystander = subprocess.Popen(["sleep", "1000"])
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "first")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        text=True,
        # What was started in the background ignores SIGINT, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert owner.stdout is not None
        mark = owner.stdout.readline().strip()
        assert len(marked_processes(mark)) >= 4
        owner.send_signal(how)
        owner.wait(30)
        if how == signal.SIGKILL:
            # The job still runs: nobody was left to end it. The next cluster does.
            assert marked_processes(mark)
            with running_cluster(tmp_path / "second") as running:
                assert running.squeue() == []
        assert marked_processes(mark) == []
        assert bystander.poll() is None
    finally:
        owner.kill()
        owner.wait()
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("variable", ["SLURM_CONF", "SLURM_JOB_ID"])
def test_a_real_cluster_is_left_alone(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    reason = why_unavailable()
    assert reason is not None
    assert "real SLURM cluster" in reason
