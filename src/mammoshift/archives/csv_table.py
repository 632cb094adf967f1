"""A user's own images: a CSV table of file paths and labels.

The table is the user's statement about the data, so a value that cannot be understood is an
error that names its place; only a file that is missing or unreadable is a loss.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from mammoshift.archives.archive import Archive, ImageRecord, InspectedFile
from mammoshift.archives.tables import TableRow, read_csv
from mammoshift.archives.vocabulary import (
    BIRADS_IN_ORDER,
    birads_of,
    density_of,
    safe_identifier,
    side_of,
    view_of,
    whole_years,
)
from mammoshift.configuration.dataset import CsvOptions
from mammoshift.contracts.manifest import VIEWS
from mammoshift.errors import ArchiveError

SOURCE = (
    "The dataset is described by the section `csv` of its configuration: `table` is a CSV file "
    "below the root, with paths relative to the root"
)

Value = TypeVar("Value")

_SAFE = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_SPLITS = {"train": "train", "training": "train", "test": "test"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the user's table, checked."""

    number: int
    path: str
    image_id: str
    patient_id: str
    pathology: str
    exam_id: str | None
    laterality: str | None
    view: str | None
    density: str | None
    birads: str | None
    age: int | None
    official_split: str | None
    manufacturer: str | None
    pixel_spacing_mm: float | None


def read_records(archive: Archive) -> Iterator[ImageRecord]:
    """Yield one record for each row whose file is there and can be read.

    Side, view, age, manufacturer and pixel spacing come from the DICOM header where the table
    has no value for them.
    """
    options = archive.configuration.csv
    if options is None:
        raise archive.error("the section `csv` of the dataset's configuration is missing")
    entries = {entry.path: entry for entry in _read_entries(archive, options)}
    present: list[str] = []
    for path in entries:
        if _is_file(archive.root / path):
            present.append(path)
        else:
            archive.lose(path, "the file of a table's row is not there")
    for file in archive.inspect(present):
        yield _record(entries[file.path], file)


def _record(entry: Entry, file: InspectedFile) -> ImageRecord:
    return ImageRecord(
        image_id=entry.image_id,
        file=file,
        patient_id=entry.patient_id,
        exam_id=entry.exam_id,
        laterality=entry.laterality or file.header.laterality,
        view=entry.view or file.header.view,
        pathology=entry.pathology,
        density=entry.density,
        density_scale="birads" if entry.density else None,
        birads=entry.birads,
        age=entry.age,
        official_split=entry.official_split,
        manufacturer=entry.manufacturer,
        pixel_spacing_mm=entry.pixel_spacing_mm,
    )


def _read_entries(archive: Archive, options: CsvOptions) -> Iterator[Entry]:
    """Yield the rows of the table; the same path or image id in two rows is an error."""
    columns = options.columns.model_dump(exclude_none=True)
    table = archive.root / options.table
    if not table.is_file():
        raise archive.error(f"there is no table {options.table!r} below the root")
    seen: dict[tuple[str, str], int] = {}
    derived: set[str] = set()
    for row in read_csv(table, list(columns.values())):
        reader = _RowReader(table, row, columns)
        path = reader.path()
        image_id = reader.image_id(path, derived)
        for column, value in (("path", path), ("image_id", image_id)):
            earlier = seen.setdefault((column, value), row.number)
            if earlier != row.number:
                name = columns.get(column, "path")
                raise reader.error(name, value, f"a value that no other row has; row {earlier} has")
        yield Entry(
            number=row.number,
            path=path,
            image_id=image_id,
            patient_id=reader.required("patient_id"),
            pathology=reader.label(options),
            exam_id=reader.text("exam_id"),
            laterality=reader.parsed("laterality", side_of, "left, right, L, R or empty"),
            view=reader.parsed("view", view_of, f"{', '.join(VIEWS)} or empty"),
            density=reader.parsed("density", density_of, "A to D, 1 to 4 or empty"),
            birads=reader.parsed("birads", birads_of, f"{', '.join(BIRADS_IN_ORDER)} or empty"),
            age=reader.parsed("age", whole_years, "whole years from 0 to 120 or empty"),
            official_split=reader.parsed(
                "official_split", lambda text: _SPLITS.get(text.lower()), "train, test or empty"
            ),
            manufacturer=reader.text("manufacturer"),
            pixel_spacing_mm=reader.parsed(
                "pixel_spacing_mm", _spacing, "a number of mm above 0 and up to 10, or empty"
            ),
        )


@dataclass(frozen=True)
class _RowReader:
    """The cells of one row by their meaning, with errors that name the place."""

    table: Path
    row: TableRow
    columns: dict[str, str]

    def text(self, meaning: str) -> str | None:
        """Return a cell's text; None when it is empty or has no column."""
        return self.row.cells.get(self.columns.get(meaning, ""), "") or None

    def required(self, meaning: str) -> str:
        """Return the text of a cell that must not be empty."""
        text = self.text(meaning)
        if text is None:
            raise self.error(self.columns[meaning], "", "not to be empty")
        return text

    def parsed(
        self, meaning: str, parse: Callable[[str], Value | None], allowed: str
    ) -> Value | None:
        """Return a cell's parsed value; None when it is empty, an error when it is not known."""
        text = self.text(meaning)
        if text is None:
            return None
        value = parse(text)
        if value is None:
            raise self.error(self.columns[meaning], text, allowed)
        return value

    def label(self, options: CsvOptions) -> str:
        """Return the pathology that the configuration gives for the label's text."""
        text = self.text("label") or ""
        if text not in options.label_values:
            allowed = ", ".join(map(repr, options.label_values))
            raise self.error(self.columns["label"], text, f"one of label_values: {allowed}")
        return options.label_values[text]

    def path(self) -> str:
        """Return the path, relative to the root, with forward slashes."""
        text = self.required("path")
        path = PurePosixPath(text.replace("\\", "/"))
        outside = path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", text)
        if outside or not path.name or "\0" in text:
            raise self.error(self.columns["path"], text, "a path below the root, relative to it")
        return str(path)

    def image_id(self, path: str, derived: set[str]) -> str:
        """Return the row's own image id, or one that follows from the path."""
        given = self.text("image_id")
        if "image_id" not in self.columns:
            image_id = safe_identifier(str(PurePosixPath(path).with_suffix("")))
            if image_id in derived or not image_id or len(image_id) > 200:
                digest = hashlib.sha256(path.encode()).hexdigest()[:12]
                image_id = f"{image_id[:180]}-{digest}"
            derived.add(image_id)
            return image_id
        if given is None or not _SAFE.fullmatch(given):
            allowed = "1 to 200 of the characters A-Z a-z 0-9 _ . -"
            raise self.error(self.columns["image_id"], given or "", allowed)
        return given

    def error(self, column: str, value: str, allowed: str) -> ArchiveError:
        """Return an error that names file, row, column, value and what is allowed."""
        return ArchiveError(
            f"{self.table}: row {self.row.number}, column {column!r}: found {value[:80]!r}, "
            f"expected {allowed}"
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the file system
        return False


def _spacing(text: str) -> float | None:
    try:
        spacing = float(text)
    except ValueError:
        return None
    return spacing if 0.0 < spacing <= 10.0 else None
