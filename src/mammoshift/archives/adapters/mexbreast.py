"""MEXBreast: digital mammograms as PNG with boxes around suspicious clusters of calcifications.

Nothing that could be read documents the names of folders, files and columns. The paper says: 620
PNG at 50, 70 and 100 um, and one data file with the corners X1, Y1, X2, Y2 of each cluster. What
is assumed is that each row of that file names an image and gives one box, in pixels from the top
left; the section `mexbreast` of the configuration says in which columns.

A cluster is suspicious (BI-RADS 4) and no biopsy was published, so images have no pathology
unless the configuration takes suspicious ones for malignant.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from pydantic import field_validator

from mammoshift.archives.archive import Archive, ImageRecord, InspectedFile, Region
from mammoshift.archives.listing import DICOM_SUFFIXES
from mammoshift.archives.registry import AdapterOptions
from mammoshift.archives.tables import TableRow, read_csv, read_sheet_with_header
from mammoshift.archives.vocabulary import finite_number, side_of, view_of
from mammoshift.configuration.model import Positive, Strict

SOURCE = (
    "MEXBreast is published with its paper (doi 10.1016/j.dib.2025.111587): put the images and "
    "the data file below the root, and say in the section `mexbreast` how its columns are called"
)

_SUFFIXES = DICOM_SUFFIXES | {".png", ".tif", ".tiff"}
_SAFE = re.compile(r"[A-Za-z0-9_.-]{1,180}", re.ASCII)


class Columns(Strict):
    """Which column of the data file holds what; without `patient` images are independent."""

    image: str = "Image"
    x1: str = "X1"
    y1: str = "Y1"
    x2: str = "X2"
    y2: str = "Y2"
    patient: str | None = None
    laterality: str | None = None
    view: str | None = None


class Options(AdapterOptions):
    """The data file, its columns, and what images count as.

    `pitch_of_folder` gives the pixel pitch in mm of the images below a folder of that name; when
    it is given, images in other folders are left out. `without_box` says whether an image that
    the data file does not name is left out or normal, `suspicious` whether one with a cluster is
    malignant or has no label.
    """

    table: str
    columns: Columns = Columns()
    pitch_of_folder: dict[str, Positive] | None = None
    without_box: Literal["exclude", "normal"] = "exclude"
    suspicious: Literal["no_label", "malignant"] = "no_label"

    @field_validator("table")
    @classmethod
    def _can_be_read(cls, table: str) -> str:
        if not table.lower().endswith((".csv", ".tsv", ".txt", ".xlsx")):
            raise ValueError(f"{table!r} must end in .csv, .tsv, .txt or .xlsx; rename the file")
        return table


@dataclass
class Entry:
    """What the rows of one image say together."""

    where: str
    patient: str | None
    laterality: str | None
    view: str | None
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)


def read_records(archive: Archive, options: Options) -> Iterator[ImageRecord]:
    """Yield one record for each image, once for each resolution that it is there in."""
    entries = _read_table(archive, options)
    pitches: dict[str, float | None] = {}
    names: dict[str, list[str]] = defaultdict(list)
    for path in archive.paths(_SUFFIXES):
        known, pitch = _pitch(path, options)
        name = PurePosixPath(path).stem
        if not known:
            archive.leave_out(
                path, "left_out_by_option", "the folder is none of mexbreast.pitch_of_folder"
            )
        elif name not in entries and options.without_box == "exclude":
            archive.leave_out(
                path, "no_row", "the data file does not name it (without_box: exclude)"
            )
        elif not _SAFE.fullmatch(name):
            archive.lose(path, "bad_name", "the name has characters other than A-Z a-z 0-9 _ . -")
        else:
            pitches[path] = pitch
            names[name].append(path)
    for name in sorted(entries.keys() - names.keys()):
        archive.lose(
            entries[name].where, "missing_file", "the image of a row is not in the archive"
        )
    for file in archive.inspect(list(pitches)):
        name = PurePosixPath(file.path).stem
        pitch = pitches[file.path]
        suffix = f"-{round(1000 * pitch)}um" if pitch and len(names[name]) > 1 else ""
        entry = entries.get(name)
        regions = _regions(archive, entry, file, options) if entry else ()
        yield _record(f"{name}{suffix}", file, entry, regions, pitch, options)


def _record(
    image: str,
    file: InspectedFile,
    entry: Entry | None,
    regions: tuple[Region, ...],
    pitch: float | None,
    options: Options,
) -> ImageRecord:
    pathology = "normal" if entry is None else None
    if entry is not None and options.suspicious == "malignant":
        pathology = "malignant"
    return ImageRecord(
        image_id=image,
        file=file,
        patient_id=entry.patient if entry else None,
        laterality=(entry.laterality if entry else None) or file.header.laterality,
        view=(entry.view if entry else None) or file.header.view,
        pathology=pathology,
        birads="4" if entry else None,
        lesion_types="calcification" if entry else None,
        pixel_spacing_mm=pitch,
        regions=regions,
    )


def _regions(
    archive: Archive, entry: Entry, file: InspectedFile, options: Options
) -> tuple[Region, ...]:
    """Return the boxes that lie in the image; the others are noted."""
    regions: list[Region] = []
    for box in entry.boxes:
        if box[2] > file.header.columns or box[3] > file.header.rows or min(box) < -0.5:
            archive.leave_out(entry.where, "bad_region", "a box does not lie in the image")
            continue
        regions.append(
            Region("box", box, lesion_type="calcification", birads="4", source=options.table)
        )
    return tuple(regions)


def _pitch(path: str, options: Options) -> tuple[bool, float | None]:
    """Tell whether a path is taken, and its pixel pitch where the configuration gives one."""
    if options.pitch_of_folder is None:
        return True, None
    for part in reversed(PurePosixPath(path).parts[:-1]):
        if part in options.pitch_of_folder:
            return True, options.pitch_of_folder[part]
    return False, None


def _read_table(archive: Archive, options: Options) -> dict[str, Entry]:
    """Return what the data file says of each image, by its name without folders and suffix."""
    columns = options.columns
    path = archive.root / options.table
    if not path.is_file():
        raise archive.error(f"there is no data file {options.table!r} below the root")
    wanted = list(columns.model_dump(exclude_none=True).values())
    rows: Iterable[TableRow] = (
        read_sheet_with_header(path, wanted)
        if options.table.lower().endswith(".xlsx")
        else read_csv(path, wanted)
    )
    entries: dict[str, Entry] = {}
    for row in rows:
        where = f"{options.table}: row {row.number}"
        cell = row.cells[columns.image].replace("\\", "/")
        name = PurePosixPath(cell).stem if "." in cell else PurePosixPath(cell).name
        if not name:
            archive.lose(where, "bad_row", "the row names no image")
            continue
        entry = entries.setdefault(
            name,
            Entry(
                where=where,
                patient=row.cells[columns.patient] or None if columns.patient else None,
                laterality=side_of(row.cells[columns.laterality]) if columns.laterality else None,
                view=view_of(row.cells[columns.view]) if columns.view else None,
            ),
        )
        corners = (columns.x1, columns.y1, columns.x2, columns.y2)
        x1, y1, x2, y2 = (finite_number(row.cells[corner]) for corner in corners)
        if x1 is None or y1 is None or x2 is None or y2 is None:
            archive.leave_out(where, "bad_region", "the corners of the box are not four numbers")
            continue
        entry.boxes.append((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)))
    return entries
