"""Processes of a private cluster: found by a mark in their environment, ended, never others'."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

MARK = "MAMMOSHIFT_TEST_CLUSTER"
PATIENCE = 300.0
"""Seconds until a test gives up; far more than is needed, since machines that test are busy."""


class ClusterError(RuntimeError):
    """The private cluster could not be started, or did not do what it was asked for in time."""


def wait_for(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Return as soon as `condition` holds; raise ClusterError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.1)


def marked_processes(mark: str) -> list[int]:
    """Return the ids of the processes that carry this cluster's mark in their environment."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def kill_marked(mark: str) -> None:
    """Kill every process that carries the mark, job steps and their children included."""

    def none_left() -> bool:
        processes = marked_processes(mark)
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return not processes

    wait_for(none_left, "the processes of the private cluster to end", 60)


def kill_jobs(mark: str, jobs: Sequence[str]) -> None:
    """Kill all processes of some of a cluster's jobs, and slurmd's keepers of them."""
    variables = {f"SLURM_JOB_ID={job}".encode() for job in jobs}
    keepers = tuple(f"slurmstepd: [{job}.".encode() for job in jobs)
    for process in marked_processes(mark):
        with suppress(OSError):
            folder = Path("/proc") / str(process)
            title = (folder / "cmdline").read_bytes()
            environment = (folder / "environ").read_bytes().split(b"\0")
            if title.startswith(keepers) or not variables.isdisjoint(environment):
                os.kill(process, signal.SIGKILL)


@contextmanager
def alone(mark: str) -> Iterator[None]:
    """Hold the machine's one place for a private cluster; end what a killed run left behind."""
    path = Path(tempfile.gettempdir()) / "mammoshift-test-slurm.lock"
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "r+", encoding="ascii") as lock:

        def taken() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        wait_for(taken, f"the end of another private cluster (lock {path})", 1800)
        left = lock.read().strip()
        if left:
            kill_marked(left)
        _replace_content(lock, mark)
        yield
        _replace_content(lock, "")


def _replace_content(stream: IO[str], text: str) -> None:
    stream.seek(0)
    stream.truncate()
    stream.write(text)
    stream.flush()


def terminate(daemon: subprocess.Popen[bytes], seconds: float = 10.0) -> None:
    daemon.terminate()
    try:
        daemon.wait(seconds)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
