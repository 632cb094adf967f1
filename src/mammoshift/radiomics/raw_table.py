"""A CSV file of patients as text: read whole, its header checked, its cells named by line."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mammoshift.errors import TableError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})


POSITIVE = frozenset({"1", "true", "yes", "positive", "malignant", "cancer", "case"})


NEGATIVE = frozenset({"0", "false", "no", "negative", "benign", "normal", "control"})


MAXIMUM_BYTES = 1024**3


LISTED = 5


_SHOWN = 40


@dataclass(frozen=True)
class RawTable:
    """A table as text: `lines` [N] say where each row ends in the file."""

    path: Path
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column."""
        place = self.header.index(name)
        return [row[place] for row in self.cells]

    def fail(self, row: int, column: str, what: str, remedy: str) -> NoReturn:
        """Raise a TableError that names file, line and column, and no content of a cell."""
        raise TableError(
            f"{self.path}: line {self.lines[row]}, column {quoted(column)}: {what}; {remedy}"
        )


def quoted(text: str) -> str:
    """Return text from a file, shortened and with control characters escaped."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def read_raw_table(path: Path) -> RawTable:
    """Return a file as text.

    Raises
    ------
    TableError
        If it is no CSV table with a header.
    """
    if not path.is_file():
        raise TableError(f"{path}: there is no such file")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise TableError(f"{path}: larger than 1 GiB, which no table of patients is")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = tuple(cell.strip() for cell in next(reader, []))
            _check_header(path, header)
            rows = [(tuple(map(str.strip, row)), reader.line_num) for row in reader if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(
            f"{path}: this is not a CSV file in UTF-8; save it as CSV UTF-8, separated by commas"
        ) from error
    for row, line in rows:
        if len(row) != len(header):
            raise TableError(
                f"{path}: line {line}: {len(row)} values for {len(header)} columns; put text that "
                "holds commas in double quotes, and write numbers with a decimal point"
            )
    if not rows:
        raise TableError(f"{path}: the table has no rows")
    cells, lines = zip(*rows, strict=True)
    return RawTable(path, header, cells, lines)


def _check_header(path: Path, header: tuple[str, ...]) -> None:
    if not any(header):
        raise TableError(f"{path}: the file is empty; its first line names the columns")
    if len(header) == 1 and re.search(r"[;\t|]", header[0]):
        raise TableError(
            f"{path}: the columns are separated by semicolons or tabs; separate them by commas "
            "and write numbers with a decimal point"
        )
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise TableError(f"{path}: column {quoted(repeated[0])} occurs twice; rename one")


def canonical(word: str) -> str:
    """Return a label in lower case, and numbers in one way of writing."""
    number = number_of(word)
    return word.strip().lower() if number is None else f"{number:g}"


def number_of(cell: str) -> float | None:
    """Return the number of a cell; None where it is none."""
    try:
        # Underscores are digits' separators to Python and to nobody who writes a table.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def listed(names: Sequence[str]) -> str:
    """Return the first names, quoted, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{', '.join(quoted(name) for name in names[:LISTED])}{more}"
