"""How a rule's script runs: sound inputs, its log, sums of its outputs, readable errors."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammoshift.errors import MammoshiftError
from mammoshift.execution.allocator import keep_freed_memory
from mammoshift.provenance.inputs import check_inputs, check_still_there, drop_note, note_outputs
from mammoshift.provenance.keys import CODE
from mammoshift.provenance.planned_code import check_code, watch
from mammoshift.provenance.planned_parameters import check_folders, check_parameters

YOUNG_OBJECTS = 50_000
"""Objects that a job makes before the collector looks at the youngest; Python's default is 700."""


def prepare_jobs(library: Path) -> None:
    """Make the library importable in every job, also in one that runs in another environment."""
    present = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(library) not in present:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(library), *filter(None, present)])


@contextmanager
def running(
    job: Any, also: Iterable[Path] = (), read: Mapping[Path, Mapping[str, str]] | None = None
) -> Iterator[None]:
    """Run a job of the workflow: with its log, on inputs that are what was written.

    At its end the sums of its outputs and the versions that made them are noted beside them. A
    job whose code is not what was planned, before its work or after it, ends with an error, and
    so does one with other parameters.

    Parameters
    ----------
    job
        The `snakemake` object of a script.
    also
        Folders of files that the job writes beside its declared outputs.
    read
        Folders of files that it reads beside its inputs, with the planned hash of each file.
    """
    outputs = [Path(path) for path in job.output]
    with job_log(job.log[0]):
        drop_note(outputs)
        watch(Path(str(sys.modules["__main__"].__file__)), job.params.get(CODE))
        check_parameters(job)
        check_folders(read or {})
        sums = check_inputs([Path(path) for path in job.input])
        yield
        check_code()
        check_folders(read or {})
        check_still_there(sums)
        note_outputs(outputs, also, sums)


@contextmanager
def job_log(path: str) -> Iterator[None]:
    """Send everything that a job prints to its log; end it with the message of a known error.

    Output of libraries below Python is caught too, since the file descriptors are replaced. An
    error that is not ours keeps its traceback.

    The collector looks at young objects less often, and a job that has succeeded ends without
    taking the interpreter apart: with the million objects of torch's modules the two are nearly
    half of what a process costs beside its work (`benchmarks/demo_overhead.py`). Freed memory is
    kept (`mammoshift.execution.allocator`).
    """
    gc.set_threshold(YOUNG_OBJECTS)
    keep_freed_memory()
    ending = _Ending()
    atexit.register(ending.leave)
    log = Path(path)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", buffering=1, encoding="utf-8") as stream:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        try:
            yield
        except MammoshiftError as error:
            print(f"Error: {error}", file=sys.stderr, flush=True)
            sys.exit(error.exit_code)
        except Exception:  # noqa: BLE001 - the traceback belongs in the log, whatever it is
            traceback.print_exc()
            sys.exit(1)
        ending.succeeded = True


@dataclass
class _Ending:
    """The last handler at exit, as the first that was registered."""

    succeeded: bool = False

    def leave(self) -> None:
        if self.succeeded:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
