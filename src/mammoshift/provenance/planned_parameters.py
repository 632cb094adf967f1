"""A job has the parameters that it was planned with, or ends with an error.

A job on another node reads the configuration anew, perhaps hours after it was planned: an edit of a
study meanwhile would give it other parameters, and the key beside its results states the planned
ones. The command that starts such a job therefore tells it, in its environment, a digest of each
planned parameter. A job that Snakemake starts on its own machine is handed the planned values
themselves and needs none.

The executor's class is passed in, since this library imports no part of Snakemake. Standard library
only: every job imports this before its work.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mammoshift.errors import ParametersChangedError
from mammoshift.provenance.bookkeeping import named_parameters
from mammoshift.provenance.keys import CODE

VARIABLE = "MAMMOSHIFT_PARAMETERS"
"""What a job is told: first output of a job -> name of a parameter -> digest of its value."""
COMMAND = "format_job_exec"
"""Method of an executor that gives the command of a job."""


def tell_jobs(executor: type) -> bool:
    """Let executors tell each job its planned parameters; return whether they are able to.

    May be called again.

    Parameters
    ----------
    executor
        The class of all that start a job by a command.
    """
    given = getattr(executor, COMMAND, None)
    if given is None:
        return False
    setattr(executor, COMMAND, _telling(getattr(given, "without_parameters", given)))
    return True


def _telling(given: Callable[[Any, Any], str]) -> Callable[[Any, Any], str]:
    def command(executor: Any, job: Any) -> str:
        told = json.dumps({str(one.output[0]): _digests(one) for one in _jobs(job)})
        # Several shells quote the command on its way.
        text = base64.b64encode(told.encode()).decode()
        return f"export {VARIABLE}={text} && {given(executor, job)}"

    command.without_parameters = given  # pyright: ignore[reportFunctionMemberAccess]
    return command


def _jobs(job: Any) -> Iterator[Any]:
    """Yield a job, or the jobs of a group, but for those without output."""
    yield from (one for one in (job.jobs if job.is_group() else [job]) if len(one.output))


def _digests(job: Any) -> dict[str, str]:
    """Return a digest of each parameter that decides a job; its code is compared by itself."""
    named = named_parameters(job)
    return {name: _digest(value) for name, value in named.items() if name != CODE}


def _digest(value: Any) -> str:
    """Return what tells a parameter's value from others, as Snakemake tells them apart."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:32]


def check_parameters(job: Any) -> None:
    """Compare the parameters of the job of this process with the planned ones.

    Parameters
    ----------
    job
        The `snakemake` object of a script. One that was told nothing is not compared.

    Raises
    ------
    ParametersChangedError
        If one is another.
    """
    told = os.environ.get(VARIABLE)
    if told is None or not len(job.output):
        return
    planned = json.loads(base64.b64decode(told)).get(str(job.output[0]), {})
    changed = [name for name, digest in planned.items() if _digest(job.params.get(name)) != digest]
    if changed:
        raise ParametersChangedError(
            f"{job.rule}: {', '.join(changed)}: not what was planned, since the configuration, or "
            "what it names, was edited while the study ran; nothing was written: start the study "
            "again, which plans with what is there now"
        )


def check_folders(planned: Mapping[Path, Mapping[str, str]]) -> None:
    """Compare the files of folders that a job reads with the hashes that it was planned with.

    Raises
    ------
    ParametersChangedError
        If a file is another; the message names it.
    """
    for folder, hashes in planned.items():
        # What parses the library is not loaded for other jobs.
        from mammoshift.provenance.fingerprint import file_hashes

        found = file_hashes(folder)
        changed = [
            name for name in sorted({*found, *hashes}) if found.get(name) != hashes.get(name)
        ]
        if changed:
            raise ParametersChangedError(
                f"{folder}: {', '.join(changed)}: edited while the study ran; nothing of the "
                "result was kept: start the study again"
            )
