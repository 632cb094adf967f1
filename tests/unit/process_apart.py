"""Work in a process that begins anew: not a copy of one that tests, with its threads and state."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["mammoshift.training.run", "mammoshift.search.run", "optuna"])


def end_of(work: Callable[..., None], *arguments: object) -> int:
    """Do some work, which must be importable by name, and return how its process ended.

    Returns
    -------
    int
        The exit code, or the number of the signal that ended it, negative.
    """
    process = _CONTEXT.Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode is None:
        raise RuntimeError("a process that was waited for has no end")
    return process.exitcode
