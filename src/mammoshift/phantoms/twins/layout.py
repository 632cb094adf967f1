"""What every layout provides to the driver in `mammoshift.phantoms.twin`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from mammoshift.configuration.dataset import Twin

Rows = TypeVar("Rows")


@dataclass(frozen=True)
class Layout(Generic[Rows]):
    """The two halves of writing an archive.

    `write_patient(twin, number, root)` writes the images of patient `number` (from 1) below
    `root` and returns that patient's rows of the archive's tables; it depends on no other
    patient. `write_tables(twin, patients, root)` takes the rows of all patients in order, once,
    and writes the tables; it must not keep them.
    """

    write_patient: Callable[[Twin, int, Path], Rows]
    write_tables: Callable[[Twin, Iterator[Rows], Path], None]
