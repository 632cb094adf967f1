"""Write a synthetic archive in a real archive's raw layout."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.receipt import TwinReceipt, receipt_of
from mammoshift.phantoms.registry import load_layout
from mammoshift.phantoms.truth import folder_of
from mammoshift.phantoms.twins.layout import Layout

_PATIENTS_IN_FLIGHT = 32


def write_twin(layout: str, twin: Twin, destination: Path, workers: int = 1) -> TwinReceipt:
    """Write the twin of one archive to the folder `destination`.

    The archive is built in a temporary folder beside `destination` and put in its place when it
    is complete; an older one is replaced. Equal configurations give equal bytes, whatever the
    number of workers. Where the twin asks for it, its truth is written beside it: see
    `mammoshift.phantoms.truth`.

    Parameters
    ----------
    layout
        The name of an adapter that has a twin: see `mammoshift.phantoms.registry`.
    workers
        Processes that draw patients; memory grows with it, not with the number of patients.

    Raises
    ------
    ConfigurationError
        If the layout is unknown, or the population leaves nothing to draw from.
    """
    chosen = load_layout(layout)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=destination.parent, prefix=f".{destination.name}-"
    ) as scratch:
        fresh, old = Path(scratch, "fresh"), Path(scratch, "old")
        fresh.mkdir()
        chosen.write_tables(twin, _patients(chosen, twin, fresh, workers), fresh)
        receipt = receipt_of(layout, fresh)
        if destination.exists():
            destination.rename(old)
        fresh.rename(destination)
        if folder_of(destination).exists():
            folder_of(destination).rename(folder_of(old))
        if folder_of(fresh).exists():
            folder_of(fresh).rename(folder_of(destination))
    return receipt


def _patients(layout: Layout[Any], twin: Twin, root: Path, workers: int) -> Iterator[Any]:
    """Yield the rows of each patient in order while the images are written."""
    write_patient = partial(_write_patient, layout.write_patient, twin, root)
    if workers <= 1:
        for number in range(1, twin.patients + 1):
            yield write_patient(number)
        return
    with ProcessPoolExecutor(workers) as pool:
        step = workers * _PATIENTS_IN_FLIGHT
        for first in range(1, twin.patients + 1, step):
            yield from pool.map(
                write_patient, range(first, min(first + step, twin.patients + 1)), chunksize=4
            )


def _write_patient(
    write: Callable[[Twin, int, Path], Any], twin: Twin, root: Path, number: int
) -> Any:
    return write(twin, number, root)
