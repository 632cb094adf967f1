"""A table as it is printed, and its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mammoshift.files import atomic_path


@dataclass(frozen=True)
class PublicationTable:
    """A table as it is printed.

    Attributes
    ----------
    key
        Name of its caption and of its file.
    cells
        Text cells; the column names are the printed heads.
    row_headers
        How many leading columns head the row.
    text_columns
        Columns behind the row heads that hold words and are set left-aligned.
    """

    key: str
    cells: pd.DataFrame
    row_headers: int = 1
    text_columns: frozenset[str] = field(default_factory=frozenset)


def write_table(table: PublicationTable, folder: Path) -> Path:
    """Write the cells as CSV and return the path of the file."""
    path = folder / f"{table.key}.csv"
    with atomic_path(path) as temporary:
        table.cells.to_csv(temporary, index=False)
    return path
