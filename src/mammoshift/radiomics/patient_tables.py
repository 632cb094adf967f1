"""Tables of patients, one row each, for training, validation and test: read, checked, made equal.

Messages name files, lines and columns, never what stands in a cell of an identifier.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammoshift.errors import LeakageError, TableError
from mammoshift.radiomics.raw_table import (
    LISTED,
    MISSING,
    NEGATIVE,
    POSITIVE,
    RawTable,
    canonical,
    listed,
    number_of,
    quoted,
    read_raw_table,
)

SUBSETS = ("train", "validation", "test")

LARGEST = 1e30
"""Features beyond it leave the range of the trees' single precision, or mean a broken table."""
_TELLING_VALUES, _TELLING_COLUMNS = 10, 3
_NAME_OF_PERSON = re.compile(r"(^|[_\W])(id|identifier|patient|case|study|number)($|[_\W])", re.I)


@dataclass(frozen=True)
class Columns:
    """What the columns of the tables are.

    Attributes
    ----------
    label
        The class of a patient.
    identifier
        What names a patient; None without.
    drop
        Columns that are not looked at.
    scores
        Features that are scores of another classifier.
    positive
        The word that marks the positive class, where it is none of `POSITIVE`.
    """

    label: str
    identifier: str | None = None
    drop: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    positive: str | None = None


@dataclass(frozen=True)
class Patients:
    """The patients of one table: `features` [N, F] with NaN where missing, `labels` [N]."""

    features: NDArray[np.float64]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class PatientTables:
    """Three tables with the same features.

    Attributes
    ----------
    names
        [F], the features in the order of the training table.
    subsets
        The patients by subset.
    notes
        What was left out, for the reader.
    """

    names: tuple[str, ...]
    subsets: dict[str, Patients]
    notes: tuple[str, ...]

    def scores(self, subset: str, columns: Sequence[str]) -> NDArray[np.float64]:
        """Return the score columns of a subset, [N, S]."""
        places = [self.names.index(name) for name in columns]
        return self.subsets[subset].features[:, places]


def read_patient_tables(
    train: Path, validation: Path, test: Path, columns: Columns
) -> PatientTables:
    """Read and check three tables of patients.

    Every column with numbers is a feature, but for the label, the identifier and what is dropped.
    Columns of text, and features that are the same in all training patients, are left out.

    Parameters
    ----------
    train, validation, test
        CSV: comma, UTF-8 with or without a byte order mark, one header.

    Raises
    ------
    TableError
        If a file cannot be read, lacks a column, holds text or an infinite value among numbers, a
        label that is not understood, or patients of one class only.
    LeakageError
        If a patient is in two of the files.
    """
    raw = {
        name: read_raw_table(path)
        for name, path in zip(SUBSETS, (train, validation, test), strict=True)
    }
    _check_named(raw, columns)
    labels = _labels(raw, columns)
    _check_identifiers(raw, columns.identifier)
    names, left_out = _features(raw, columns)
    values = {subset: _numbers(table, names) for subset, table in raw.items()}
    kept, constant = _varying(raw["train"], values["train"], names, columns)
    notes = [*left_out, *constant, *_extra_columns(raw, columns)]
    names = tuple(name for name, keep in zip(names, kept, strict=True) if keep)
    values = {subset: own[:, kept] for subset, own in values.items()}
    _check_same_content(raw, values)
    notes += _looks_like_names(names, values["train"])
    subsets = {name: Patients(values[name], labels[name]) for name in SUBSETS}
    return PatientTables(names, subsets, tuple(notes))


def _check_named(raw: dict[str, RawTable], columns: Columns) -> None:
    special = [columns.label, *([columns.identifier] if columns.identifier else [])]
    for option, names in (
        ("--label", (columns.label,)),
        ("--id", special[1:]),
        ("--drop", columns.drop),
        ("--scores", columns.scores),
    ):
        for name in names:
            # What is dropped need not be everywhere; the rest must.
            tables = list(raw.values())[: 1 if option == "--drop" else None]
            for table in tables:
                if name not in table.header:
                    raise TableError(
                        f"{table.path}: there is no column {quoted(name)}, named by {option}; "
                        f"the table has {listed(table.header)}"
                    )
    for option, names in (("--scores", columns.scores), ("--drop", columns.drop)):
        if len(set(names)) < len(names):
            raise TableError(f"{option} names a column twice; name each once")
    if columns.identifier == columns.label:
        raise TableError(f"{quoted(columns.label)} is given as --label and as --id; name two")
    for option, names in (("--drop", columns.drop), ("--scores", columns.scores)):
        for name in names:
            if name in special or (option == "--scores" and name in columns.drop):
                raise TableError(
                    f"{option} {quoted(name)}: the column is already named by another option"
                )


def _labels(raw: dict[str, RawTable], columns: Columns) -> dict[str, NDArray[np.int64]]:
    words = {
        subset: [canonical(word) for word in table.column(columns.label)]
        for subset, table in raw.items()
    }
    for subset, own in words.items():
        for row, word in enumerate(own):
            if word in MISSING:
                raw[subset].fail(row, columns.label, "is empty", "leave the patient out")
    used = sorted({word for own in words.values() for word in own})
    positive = POSITIVE if columns.positive is None else {canonical(columns.positive)}
    negative = NEGATIVE if columns.positive is None else set(used) - positive
    _check_words(raw, words, columns, used, frozenset(positive), frozenset(negative))
    found = {}
    for subset, own in words.items():
        labels = np.array([int(word in positive) for word in own], dtype=np.int64)
        if len(set(labels.tolist())) < 2:
            kind = "positive" if labels[0] else "negative"
            raise TableError(
                f"{raw[subset].path}: column {quoted(columns.label)}: all {len(labels)} patients "
                f"are {kind}; an AUC and a threshold need both classes"
            )
        found[subset] = labels
    return found


def _check_words(
    raw: dict[str, RawTable],
    words: dict[str, list[str]],
    columns: Columns,
    used: list[str],
    positive: frozenset[str],
    negative: frozenset[str],
) -> None:
    if len(used) > 2 or (columns.positive is not None and not positive & set(used)):
        what = (
            f"{len(used)} different values"
            if len(used) > 2
            else f"{quoted(columns.positive or '')}, named by --positive, does not occur"
        )
        raise TableError(
            f"{raw['train'].path}: column {quoted(columns.label)}: {what}; a label has two values, "
            "0 and 1 or two words"
        )
    for subset, own in words.items():
        for row, word in enumerate(own):
            if word not in positive | negative:
                raw[subset].fail(
                    row,
                    columns.label,
                    "is neither 0 nor 1, nor a word that says which",
                    "write 0 and 1, or name the positive word with --positive",
                )


def _check_identifiers(raw: dict[str, RawTable], identifier: str | None) -> None:
    if identifier is None:
        return
    where: dict[str, tuple[str, int]] = {}
    shared: list[str] = []
    for subset, table in raw.items():
        for row, name in enumerate(table.column(identifier)):
            if name.lower() in MISSING:
                table.fail(row, identifier, "is empty", "name the patient")
            first, line = where.setdefault(name, (subset, table.lines[row]))
            if (first, line) == (subset, table.lines[row]):
                continue
            if first == subset:
                table.fail(
                    row,
                    identifier,
                    f"the same patient as in line {line}",
                    "a patient has one row; combine the two",
                )
            shared.append(_pair(raw, first, line, subset, table.lines[row]))
    _refuse_shared(shared, "by their identifier")


def _check_same_content(raw: dict[str, RawTable], values: dict[str, NDArray[np.float64]]) -> None:
    """Refuse a patient whose every number is that of a patient of another file.

    Tables of few numbers, or of numbers with few values, agree by chance and are not looked at.
    """
    train = values["train"]
    telling = [
        place
        for place in range(train.shape[1])
        if len(np.unique(train[~np.isnan(train[:, place]), place])) > _TELLING_VALUES
    ]
    if len(telling) < _TELLING_COLUMNS:
        return
    where: dict[bytes, tuple[str, int]] = {}
    shared: list[str] = []
    for subset, own in values.items():
        for row, content in enumerate(own):
            if np.isnan(content[telling]).all():
                continue
            line = raw[subset].lines[row]
            first, at = where.setdefault(content.tobytes(), (subset, line))
            if first != subset:
                shared.append(_pair(raw, first, at, subset, line))
    _refuse_shared(shared, "by all their numbers")


def _pair(raw: dict[str, RawTable], first: str, line: int, second: str, other: int) -> str:
    return f"line {line} of {raw[first].path} and line {other} of {raw[second].path}"


def _refuse_shared(shared: list[str], how: str) -> None:
    if not shared:
        return
    more = f" and {len(shared) - LISTED} more" if len(shared) > LISTED else ""
    raise LeakageError(
        f"{len(shared)} patients are in two of the tables, {how}: "
        f"{'; '.join(shared[:LISTED])}{more}. What a model has seen says nothing of how it does "
        "on others: keep each patient in one table"
    )


def _features(raw: dict[str, RawTable], columns: Columns) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of all columns with numbers, and what to say of the others."""
    table = raw["train"]
    apart = {columns.label, columns.identifier, *columns.drop}
    names, texts, empty = [], [], []
    for name in table.header:
        if name in apart:
            continue
        cells = [cell for cell in table.column(name) if cell.lower() not in MISSING]
        if not cells:
            empty.append(name)
        elif all(number_of(cell) is None for cell in cells):
            texts.append(name)
        else:
            names.append(name)
    for name in columns.scores:
        if name not in names:
            raise TableError(
                f"{table.path}: column {quoted(name)}, named by --scores, holds no numbers"
            )
    if not names:
        raise TableError(f"{table.path}: no column of numbers is left to learn from")
    for subset in SUBSETS[1:]:
        missing = [name for name in names if name not in raw[subset].header]
        if missing:
            raise TableError(
                f"{raw[subset].path}: lacks {len(missing)} columns of {table.path}: "
                f"{listed(missing)}; give both tables the same columns, or --drop them"
            )
    notes = []
    if texts:
        notes.append(f"Left out, since they hold text: {listed(texts)}")
    if empty:
        notes.append(f"Left out, since no training patient has a value: {listed(empty)}")
    return tuple(names), notes


def _extra_columns(raw: dict[str, RawTable], columns: Columns) -> list[str]:
    known = {*raw["train"].header, *columns.drop}
    notes = []
    for subset in SUBSETS[1:]:
        extra = [name for name in raw[subset].header if name not in known]
        if extra:
            notes.append(f"Not in the training table and left out of {subset}: {listed(extra)}")
    return notes


def _numbers(table: RawTable, names: Sequence[str]) -> NDArray[np.float64]:
    """Return the features of a table, [N, F], NaN where a cell is empty."""
    found = np.full((len(table.cells), len(names)), np.nan)
    for place, name in enumerate(names):
        for row, cell in enumerate(table.column(name)):
            if cell.lower() in MISSING:
                continue
            number = number_of(cell)
            if number is None:
                table.fail(
                    row,
                    name,
                    "is no number, as others of the column are",
                    "correct it, leave it empty, or --drop the column",
                )
            if not math.isfinite(number):
                table.fail(row, name, "is infinite", "correct it, or leave it empty")
            if abs(number) > LARGEST:
                table.fail(
                    row, name, f"is larger than {LARGEST:g}", "correct it, or --drop the column"
                )
            found[row, place] = number
    return found


def _varying(
    table: RawTable, values: NDArray[np.float64], names: Sequence[str], columns: Columns
) -> tuple[NDArray[np.bool_], list[str]]:
    """Return which features differ between training patients, and what to say of the others."""
    varies = np.nanmax(values, axis=0) > np.nanmin(values, axis=0)
    constant = [name for name, keep in zip(names, varies, strict=True) if not keep]
    if len(constant) == len(names):
        raise TableError(
            f"{table.path}: every feature is the same for all patients; nothing can be learned"
        )
    for name in constant:
        if name in columns.scores:
            raise TableError(
                f"{table.path}: column {quoted(name)}, named by --scores, is the same for all "
                "patients"
            )
    if not constant:
        return varies, []
    return varies, [f"Left out, since all training patients have the same: {listed(constant)}"]


def _looks_like_names(names: Sequence[str], values: NDArray[np.float64]) -> list[str]:
    """Warn of a feature that numbers the patients."""
    return [
        f"Column {quoted(name)} is used as a feature and has another whole number in every row; "
        "if it names patients, say --id"
        for name, own in zip(names, values.T, strict=True)
        if _NAME_OF_PERSON.search(name)
        and not np.isnan(own).any()
        and (own == np.round(own)).all()
        and len(np.unique(own)) == len(own)
    ]
