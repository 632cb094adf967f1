"""Where Snakemake's SLURM plugin is told the truth about its jobs (docs/cluster.md, its defects).

slurmctld knows every job that waits or runs and, for a while, those that ended. The accounting
database knows all jobs, but later, and for some seconds calls a requeued job failed. Therefore
the controller is believed about each job that it knows and the database about the others; a
site without a database, or one that is down, is answered by the controller alone.

The plugin is passed in, since this library imports no part of Snakemake.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

MENDED_VERSION = "2.8"
PATIENCE = 900.0
"""Seconds for which a submission waits for a controller that does not answer."""
PAUSE = 5.0

_ENDED_FOR_GOOD = {"NODE_FAIL": "FAILED", "PREEMPTED": "CANCELLED"}
"""States in which the plugin waits for ever for a new start -> words at which it submits again."""


def job_states(controller: Mapping[str, str], database: Mapping[str, str]) -> dict[str, str]:
    """Return each job's state in the words that the plugin compares with.

    Parameters
    ----------
    controller, database
        Job id -> state as `squeue` and `sacct` print it, for example `CANCELLED by 1000`.

    Returns
    -------
    Job id -> state. A job that its node or a more urgent job has ended, and that SLURM has not put
    back into the queue, is FAILED or CANCELLED.
    """
    return {job: _plain(state) for job, state in {**database, **controller}.items()}


def _plain(state: str) -> str:
    word = state.split(" ", 1)[0].rstrip("+")
    return _ENDED_FOR_GOOD.get(word, word)


def mend(plugin: ModuleType, version: str) -> bool:
    """Replace what is wrong in the loaded plugin; return whether its version is the known one.

    The plugin of any other version is left as it is. May be called again.
    """
    if not version.startswith(f"{MENDED_VERSION}."):
        return False
    queries = plugin.job_status_query
    replaced: dict[str, Any] = {
        # What the plugin passes from the first two to the third is the name of the run's jobs.
        "query_job_status_sacct": str,
        "query_job_status_squeue": str,
        "query_job_status": _asking_both(
            queries.query_job_status,
            queries.query_job_status_squeue,
            queries.query_job_status_sacct,
        ),
        # Asked of the database before each submission, where once is enough.
        "validate_account": cache(plugin.accounts.validate_account),
        "get_submit_command": _waiting_first(plugin.submit_string.get_submit_command),
    }
    vars(plugin).update(replaced)
    return True


def _asking_both(
    ask: Callable[..., Awaitable[tuple[dict[str, str] | None, float | None]]],
    controller_command: Callable[[str], str],
    database_command: Callable[[str], str],
) -> Callable[..., Awaitable[tuple[dict[str, str] | None, float | None]]]:
    async def states(name: str, logger: Any) -> tuple[dict[str, str] | None, float | None]:
        (known, seconds), (recorded, _) = await asyncio.gather(
            ask(controller_command(name), logger), ask(database_command(name), logger)
        )
        return (None, None) if known is None else (job_states(known, recorded or {}), seconds)

    return states


def _waiting_first(command: Callable[..., str]) -> Callable[..., str]:
    def patient(*args: Any, **kwargs: Any) -> str:
        wait_for_controller()
        return command(*args, **kwargs)

    return patient


def wait_for_controller(
    answers: Callable[[], bool] | None = None, pause: float = PAUSE, patience: float = PATIENCE
) -> None:
    """Return when slurmctld answers, or when it has not for `patience` seconds.

    While it restarts every submission is refused, and a job's attempts would be used up.
    """
    ask = answers or _controller_answers
    deadline = time.monotonic() + patience
    while not ask() and time.monotonic() < deadline:
        time.sleep(pause)


def _controller_answers() -> bool:
    done = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, check=False)
    return not is_down(done.stdout)


def is_down(ping: str) -> bool:
    """Return whether `scontrol ping` names a controller that is down and none that is up."""
    words = ping.split()
    return "DOWN" in words and "UP" not in words
