"""One process for one folder: a lock that ends with its holder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mammoshift.errors import TrainingError


@contextmanager
def alone_in(run_folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder, so that no two processes write one training's state.

    A job that outlived its Snakemake may still be training when the next Snakemake starts
    another. The kernel drops the lock when its holder ends. Some network file systems have no
    locks; there the training goes on without.

    Raises
    ------
    TrainingError
        If another process holds the lock.
    """
    run_folder.parent.mkdir(parents=True, exist_ok=True)
    path = run_folder.with_name(f".{run_folder.name}.lock")
    with path.open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"{run_folder}: another process trains here, perhaps a job that outlived its "
                "Snakemake; wait for its end or cancel it, then run again"
            ) from None
        except OSError as error:
            print(
                f"{run_folder}: its file system has no locks ({error.strerror}); "
                "make sure that no other process trains here"
            )
        yield
