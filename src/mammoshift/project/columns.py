"""Which column of a table means what: guessed by its name, and taken only if its cells fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mammoshift.archives.adapters._csv_cells import MEANINGS
from mammoshift.project.folder import Table
from mammoshift.project.words import COLUMNS, plain_word

ONE_PATIENT = (
    "{images} images of 1 patient, as the column of patients says; a patient is never divided "
    "between subsets, and training, choice and test each need patients with and without cancer"
)
"""What is said of a table that cannot be split."""


EACH_ITS_OWN = (
    "every image has a patient of its own: if these are numbers of images or examinations, two "
    "images of one woman may be in training and test; name the column of patients then, with "
    "`mammoshift init --patient` or `patient_id` in the dataset's columns"
)
"""What is said of a column of patients without two equal cells."""


@dataclass(frozen=True)
class Guess:
    """What the columns of a table are taken for.

    `columns` maps a meaning to a column; `left_out` says in words which columns have the name of
    a meaning but cells that do not fit.
    """

    columns: Mapping[str, str]
    left_out: tuple[str, ...]


def guess_columns(table: Table, taken: Mapping[str, str]) -> Guess:
    """Return the column of each meaning that is recognised by its name, `taken` as given.

    A column of which a cell does not fit its meaning is left out, and so is one that is empty.
    """
    columns = dict(taken)
    left_out = []
    plain = {column: re.sub(r"[\W_]+", "", plain_word(column)) for column in table.columns}
    for meaning, names in COLUMNS.items():
        if meaning in columns:
            continue
        candidates = [column for name in names for column in table.columns if plain[column] == name]
        for column in candidates:
            if column in columns.values() or not any(table.cells(column)):
                continue
            wrong = misfit(table, meaning, column)
            if wrong is None:
                columns[meaning] = column
                break
            left_out.append(wrong)
    return Guess(columns, tuple(left_out))


def misfit(table: Table, meaning: str, column: str) -> str | None:
    """Return in words the first cell that does not fit a meaning; None when all do."""
    if meaning not in MEANINGS:
        return None
    for row in table.rows:
        cell = row.cells[column]
        if cell and MEANINGS[meaning].parse(cell) is None:
            allowed = MEANINGS[meaning].allowed
            comma = MEANINGS[meaning].parse(cell.replace(",", ".")) is not None
            point = "; write a decimal point, not a comma" if comma else ""
            return f"column {column!r} is not used: row {row.number} is not {allowed}{point}"
    return None


def unused_columns(table: Table, columns: Mapping[str, str]) -> tuple[str, ...]:
    """Return the columns of a table that stand for no meaning."""
    return tuple(column for column in table.columns if column not in columns.values())


def nearly_equal(ids: Iterable[str]) -> int:
    """Return how many ids differ from another one in capitals, blanks or leading zeros only."""
    groups: dict[str, set[str]] = {}
    for name in ids:
        alike = "".join(name.casefold().split()).lstrip("0")
        groups.setdefault(alike, set()).add(name)
    return sum(len(names) for names in groups.values() if len(names) > 1)
