"""A user's own images: a table of file paths and labels, CSV or a workbook's first sheet.

The table is the user's statement about the data, so a value that cannot be understood is an
error that names its place, but not the value: only labels are quoted. A file that is missing or
unreadable is a loss.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import field_validator, model_validator

from mammoshift.archives.adapters._csv_cells import MEANINGS
from mammoshift.archives.archive import Archive, ImageRecord, InspectedFile, Region
from mammoshift.archives.listing import lies_below
from mammoshift.archives.registry import AdapterOptions
from mammoshift.archives.tables import TableRow, read_rows
from mammoshift.archives.vocabulary import finite_number
from mammoshift.configuration.model import Strict
from mammoshift.errors import ArchiveError

SOURCE = (
    "The dataset is described by the section `csv` of its configuration: `table` is a CSV file or "
    "an .xlsx workbook below the root, with paths relative to the root"
)

_SAFE = re.compile(r"[A-Za-z0-9_.-]{1,200}")

SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx")
"""What the name of a table may end in; an .xlsx workbook is read for its first sheet."""

_BOX = ("box_x0", "box_y0", "box_x1", "box_y1")


class CsvColumns(Strict):
    """Which column of a user's table holds what; `path` and `label` are required.

    Without `patient_id`, or where its cell is empty, images are taken for independent. With
    `lesion_side` (left, right, both) the label is the patient's: an image of the other side is
    normal. The four `box` columns give a lesion in pixels of the stored image, corners included.
    """

    path: str
    label: str
    patient_id: str | None = None
    image_id: str | None = None
    exam_id: str | None = None
    pair_id: str | None = None
    site: str | None = None
    laterality: str | None = None
    view: str | None = None
    lesion_side: str | None = None
    density: str | None = None
    birads: str | None = None
    age: str | None = None
    official_split: str | None = None
    manufacturer: str | None = None
    pixel_spacing_mm: str | None = None
    box_x0: str | None = None
    box_y0: str | None = None
    box_x1: str | None = None
    box_y1: str | None = None

    @model_validator(mode="after")
    def _box_is_whole(self) -> CsvColumns:
        given = [name for name in _BOX if getattr(self, name) is not None]
        if given and len(given) < len(_BOX):
            raise ValueError(f"a box needs all of {', '.join(_BOX)}; given: {', '.join(given)}")
        return self


class Options(AdapterOptions):
    """A user's own hospital: a table of file paths and labels.

    The table's suffix tells it from images, which are read by the ingest job alone. With
    `allow_links` files may be symbolic links that lead out of the root.
    """

    table: str
    columns: CsvColumns
    label_values: dict[str, Literal["normal", "benign", "malignant"]]
    allow_links: bool | None = None

    @property
    def links_may_leave(self) -> bool:
        """Whether symbolic links may lead out of the archive's folder: when the record says so."""
        return bool(self.allow_links)

    @field_validator("table")
    @classmethod
    def _has_suffix_of_a_table(cls, table: str) -> str:
        if not table.lower().endswith(SUFFIXES):
            raise ValueError(
                f"{table!r} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; export the "
                "table as CSV"
            )
        return table


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the user's table, checked."""

    number: int
    path: str
    image_id: str
    patient_id: str | None
    label: str
    exam_id: str | None
    pair_id: str | None
    site: str | None
    lesion_side: str | None
    laterality: str | None
    view: str | None
    density: str | None
    birads: str | None
    age: int | None
    official_split: str | None
    manufacturer: str | None
    pixel_spacing_mm: float | None
    box: tuple[float, float, float, float] | None


def read_records(archive: Archive, options: Options) -> Iterator[ImageRecord]:
    """Yield one record for each row whose file is there and can be read.

    Side, view, age, manufacturer and pixel spacing come from the DICOM header where the table
    has no value for them.
    """
    entries = {entry.path: entry for entry in read_entries(archive, options)}
    present: list[str] = []
    for path, entry in entries.items():
        if not is_there(archive.root / path):
            archive.lose(
                _where(options, entry), "missing_file", "the file of a table's row is not there"
            )
            continue
        if not options.links_may_leave and not lies_below(archive.root / path, archive.root):
            raise archive.error(
                f"{_where(options, entry)}, column {options.columns.path!r}: the file is a link "
                "that leads out of the root; put the file there, or set csv.allow_links: true for "
                "this dataset"
            )
        present.append(path)
    for path, outcome in archive.try_inspect(present):
        entry = entries[path]
        if isinstance(outcome, str):
            archive.lose(_where(options, entry), "unreadable", outcome)
            continue
        if entry.box and not _fits(entry.box, outcome):
            raise archive.error(
                f"{_where(options, entry)}, columns of the box: it does not lie in the image of "
                f"{outcome.header.rows} x {outcome.header.columns} pixels"
            )
        yield _record(entry, outcome, options.table)


def _where(options: Options, entry: Entry) -> str:
    """Return the place of a row; a file's name may name a person and is not written."""
    return f"{options.table}: row {entry.number}"


def _fits(box: tuple[float, float, float, float], file: InspectedFile) -> bool:
    across, down = file.header.columns - 0.5, file.header.rows - 0.5
    return min(box) >= -0.5 and box[2] <= across and box[3] <= down


def _record(entry: Entry, file: InspectedFile, table: str) -> ImageRecord:
    laterality = entry.laterality or file.header.laterality
    pathology = pathology_of_image(entry, laterality)
    box = Region(
        shape="box",
        points=entry.box or (),
        pathology=pathology if pathology != "normal" else None,
        source=table,
    )
    return ImageRecord(
        image_id=entry.image_id,
        file=file,
        patient_id=entry.patient_id,
        exam_id=entry.exam_id,
        pair_id=entry.pair_id,
        site=entry.site,
        laterality=laterality,
        view=entry.view or file.header.view,
        pathology=pathology,
        patient_pathology=entry.label if entry.lesion_side else None,
        density=entry.density,
        density_scale="birads" if entry.density else None,
        birads=entry.birads,
        age=entry.age,
        official_split=entry.official_split,
        manufacturer=entry.manufacturer,
        pixel_spacing_mm=entry.pixel_spacing_mm,
        regions=(box,) if entry.box else (),
    )


def pathology_of_image(entry: Entry, laterality: str | None) -> str | None:
    """Return the label of the image; None where the patient's is known and the side is not."""
    if entry.lesion_side in {None, "both"} or entry.label == "normal":
        return entry.label
    if laterality is None:
        return None
    return entry.label if laterality == entry.lesion_side else "normal"


def read_entries(archive: Archive, options: Options) -> Iterator[Entry]:
    """Yield the rows of the table, checked; no image is looked at.

    Raises
    ------
    ArchiveError
        If the table is missing or lacks a column, a cell is not what it should be, or two rows
        have the same path or image id.
    """
    columns = options.columns.model_dump(exclude_none=True)
    table = archive.root / options.table
    if not table.is_file():
        raise archive.error(f"there is no table {options.table!r} below the root")
    if not options.links_may_leave and not lies_below(table, archive.root):
        raise archive.error(
            f"the table {options.table!r} leads out of the root; put it there, or set "
            "csv.allow_links: true for this dataset"
        )
    seen: dict[tuple[str, str], int] = {}
    for row in read_rows(table, list(columns.values())):
        reader = _RowReader(table, row, columns)
        path = reader.path()
        image_id = reader.image_id(path)
        for column, value in (("path", path), ("image_id", image_id)):
            earlier = seen.setdefault((column, value), row.number)
            if earlier != row.number:
                name = columns.get(column, "path")
                raise reader.error(name, f"a value of its own; row {earlier} has the same")
        yield Entry(
            number=row.number,
            path=path,
            image_id=image_id,
            patient_id=reader.text("patient_id"),
            label=reader.label(options),
            exam_id=reader.text("exam_id"),
            pair_id=reader.text("pair_id"),
            site=reader.text("site"),
            lesion_side=reader.parsed("lesion_side"),
            laterality=reader.parsed("laterality"),
            view=reader.parsed("view"),
            density=reader.parsed("density"),
            birads=reader.parsed("birads"),
            age=reader.parsed("age"),
            official_split=reader.parsed("official_split"),
            manufacturer=reader.text("manufacturer"),
            pixel_spacing_mm=reader.parsed("pixel_spacing_mm"),
            box=reader.box(),
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
            raise self.error(self.columns[meaning], "a cell that is not empty")
        return text

    def parsed(self, meaning: str) -> Any:
        """Return a cell's parsed value; None when it is empty, an error when it is not known."""
        text = self.text(meaning)
        if text is None:
            return None
        value = MEANINGS[meaning].parse(text)
        if value is None:
            raise self.error(self.columns[meaning], MEANINGS[meaning].allowed)
        return value

    def label(self, options: Options) -> str:
        """Return the pathology that the configuration gives for the label's text."""
        text = self.text("label") or ""
        if text not in options.label_values:
            allowed = ", ".join(map(repr, options.label_values))
            # A label is a word of the configuration, so that it may be shown.
            raise self.error(
                self.columns["label"], f"one of label_values: {allowed}; found {text[:80]!r}"
            )
        return options.label_values[text]

    def path(self) -> str:
        """Return the path, relative to the root, with forward slashes."""
        text = self.required("path")
        path = PurePosixPath(text.replace("\\", "/"))
        outside = path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", text)
        if outside or not path.name or "\0" in text:
            raise self.error(self.columns["path"], "a path below the root, relative to it")
        return str(path)

    def image_id(self, path: str) -> str:
        """Return the row's own image id, or an opaque one that follows from the path.

        A file's name may name a person, so it is not used itself.
        """
        if "image_id" not in self.columns:
            return f"image-{hashlib.blake2b(path.encode(), digest_size=8).hexdigest()}"
        given = self.text("image_id")
        if given is None or not _SAFE.fullmatch(given):
            allowed = "1 to 200 of the characters A-Z a-z 0-9 _ . -"
            raise self.error(self.columns["image_id"], allowed)
        return given

    def box(self) -> tuple[float, float, float, float] | None:
        """Return the corners of a lesion; None without columns, or where all cells are empty."""
        if _BOX[0] not in self.columns or not any(self.text(name) for name in _BOX):
            return None
        wanted = "a number of pixels; all four cells of a box, or none, are filled"
        x0, y0, x1, y1 = (self._corner(name, wanted) for name in _BOX)
        if x1 < x0 or y1 < y0:
            name = "box_x1" if x1 < x0 else "box_y1"
            raise self.error(self.columns[name], "a number that is not below the first corner's")
        return x0, y0, x1, y1

    def _corner(self, name: str, wanted: str) -> float:
        value = finite_number(self.text(name) or "")
        if value is None:
            raise self.error(self.columns[name], wanted)
        return value

    def error(self, column: str, allowed: str) -> ArchiveError:
        """Return an error that names file, row, column and what is allowed.

        The cell is not quoted: it may hold what identifies a person.
        """
        return ArchiveError(
            f"{self.table}: row {self.row.number}, column {column!r}: expected {allowed}"
        )


def is_there(path: Path) -> bool:
    """Tell whether a row's file is there."""
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the file system
        return False
