"""INbreast: full-field digital mammograms as DICOM without tags, a table, and ROIs as plists.

The DICOM files were written anew and say nothing: side, view and patient stand in their names
(`ML` there is the MLO view), the pixel spacing in the paper. No pathology was published, so the
label follows from BI-RADS.
"""

from __future__ import annotations

import plistlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from mammoshift.archives.archive import Archive, ImageRecord, InspectedFile, Region
from mammoshift.archives.counts import Counts
from mammoshift.archives.listing import DICOM_SUFFIXES
from mammoshift.archives.registry import AdapterOptions
from mammoshift.archives.tables import TableRow, read_csv, read_sheet_with_header
from mammoshift.archives.vocabulary import (
    birads_of,
    density_of,
    joined_lesion_types,
    pathology_of_birads,
    side_of,
    view_of,
    whole_years,
)

SOURCE = (
    "INbreast is given out by its authors on request (Moreira et al. 2012): put the folders "
    "AllDICOMs and AllXML and the table INbreast.csv below the root"
)

PIXEL_SPACING_MM = 0.07
"""Of the detector, from the paper; the files have none."""

_TABLE = re.compile(r"inbreast\.(?:csv|xlsx)", re.IGNORECASE)
_WANTED = ("Laterality", "View", "File Name", "ACR", "Bi-Rads")
_SHEET = "Sheet1"
_IMAGE = re.compile(
    r"(?P<id>\d{4,12})_(?P<patient>[0-9a-f]{8,32})_MG_(?P<side>[LR])_(?P<view>[A-Z]{2,4})_ANON",
    re.IGNORECASE,
)
_ROIS = re.compile(r"(\d{4,12})\.xml", re.IGNORECASE)
_POINT = re.compile(r"\(\s*([-+0-9.eE]+)\s*,\s*([-+0-9.eE]+)\s*\)")
_LARGEST_ROI_BYTES = 32 * 1024**2
_HALF_A_PIXEL = 0.5

_WORDS = (
    (re.compile(r"pectoral|muscle"), None),
    (re.compile(r"mass|spicul"), "mass"),
    (re.compile(r"calcif|cluster|micro|point"), "calcification"),
    (re.compile(r"distort"), "distortion"),
    (re.compile(r"as+[yi]m+et"), "asymmetry"),
)


class Options(AdapterOptions):
    """From which BI-RADS category an image counts as malignant; 1 is normal, the rest benign."""

    malignant_from: Literal["4", "4b", "4c", "5"] = "4"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table, checked."""

    where: str
    laterality: str
    view: str
    density: str | None
    birads: str | None
    age: int | None
    date: str | None


def published(options: Options) -> Counts:
    """Return the counts of the table."""
    grades = {"1": 67, "2": 220, "3": 23, "4a": 13, "4b": 8, "4c": 22, "5": 49, "6": 8}
    labels = Counter[str]()
    for grade, images in grades.items():
        labels[str(pathology_of_birads(grade, options.malignant_from))] += images
    return Counts(
        images=410,
        patients=108,
        by={
            "laterality": {"left": 209, "right": 201},
            "view": {"CC": 203, "MLO": 206, "other": 1},
            "density": {"a": 136, "b": 146, "c": 99, "d": 28, "unknown": 1},
            "birads": grades,
            "pathology": dict(labels),
        },
    )


def read_records(archive: Archive, options: Options) -> Iterator[ImageRecord]:
    """Yield one record for each image of the table that is there."""
    entries = _read_table(archive)
    paths = _find_images(archive, entries)
    for image in sorted(entries.keys() - paths.keys()):
        archive.lose(
            entries[image].where, "missing_file", "the image of a row is not in the archive"
        )
    rois = {
        match[1]: path
        for path in archive.named(_ROIS)
        if (match := _ROIS.fullmatch(PurePosixPath(path).name))
    }
    images = {path: image for image, path in paths.items()}
    for file in archive.inspect(list(images)):
        image = images[file.path]
        regions = _read_rois(archive, rois[image]) if image in rois else ()
        yield _record(image, entries[image], file, regions, options)


def _record(
    image: str, entry: Entry, file: InspectedFile, regions: tuple[Region, ...], options: Options
) -> ImageRecord:
    name = _IMAGE.fullmatch(PurePosixPath(file.path).stem)
    patient = name["patient"].lower() if name else None
    return ImageRecord(
        image_id=image,
        file=file,
        patient_id=patient,
        exam_id=f"{patient}-{entry.date}" if patient and entry.date else None,
        laterality=entry.laterality,
        view=entry.view,
        pathology=pathology_of_birads(entry.birads, options.malignant_from),
        density=entry.density,
        density_scale="birads" if entry.density else None,
        birads=entry.birads,
        lesion_types=joined_lesion_types(r.lesion_type for r in regions if r.lesion_type),
        age=entry.age,
        manufacturer="Siemens",
        detector="MammoNovation",
        pixel_spacing_mm=PIXEL_SPACING_MM,
        regions=regions,
    )


def _read_table(archive: Archive) -> dict[str, Entry]:
    """Return the rows of the table by the number of the image.

    The workbook of the release has a second sheet with what must not be read, so the sheet is
    taken by its name.
    """
    table = archive.the_one(_TABLE, "the table INbreast.csv (or INbreast.xls saved as .xlsx)")
    path = archive.root / table
    rows: Iterable[TableRow] = (
        read_csv(path, _WANTED)
        if table.lower().endswith(".csv")
        else read_sheet_with_header(path, _WANTED, _SHEET)
    )
    entries: dict[str, Entry] = {}
    for row in rows:
        number = re.fullmatch(r"(\d{4,12})(?:\.0+)?", row.cells["File Name"])
        if number is None and not row.cells["File Name"]:
            continue
        where = f"{table}: row {row.number}"
        laterality, view = side_of(row.cells["Laterality"]), _view(row.cells["View"])
        if number is None or laterality is None or view is None:
            archive.lose(where, "bad_row", "file name, side or view is not one of the known values")
        elif number[1] in entries:
            archive.lose(where, "repeated_row", "another row has the same file name")
        else:
            date = row.cells.get("Acquisition date", "")
            entries[number[1]] = Entry(
                where=where,
                laterality=laterality,
                view=view,
                density=density_of(row.cells["ACR"]),
                birads=birads_of(row.cells["Bi-Rads"]),
                age=whole_years(row.cells.get("Patient age", "")),
                date=date if date.isdigit() else None,
            )
    return entries


def _view(text: str) -> str | None:
    return "MLO" if text.strip().upper() == "ML" else view_of(text)


def _find_images(archive: Archive, entries: dict[str, Entry]) -> dict[str, str]:
    """Return the path of each image of the table."""
    paths: dict[str, str] = {}
    for path in archive.paths(DICOM_SUFFIXES):
        match = _IMAGE.fullmatch(PurePosixPath(path).stem)
        if match is None:
            archive.lose(path, "bad_name", "the name is not that of an image of INbreast")
        elif match["id"] not in entries:
            archive.lose(path, "no_row", "the table has no usable row for the image")
        elif match["id"] in paths:
            archive.leave_out(path, "duplicate", "a second file with the number of another image")
        elif (side_of(match["side"]), _view(match["view"])) != _place(entries[match["id"]]):
            archive.lose(path, "contradiction", "name and table give another side or view")
        else:
            paths[match["id"]] = path
    return paths


def _place(entry: Entry) -> tuple[str, str]:
    return entry.laterality, entry.view


def _read_rois(archive: Archive, path: str) -> tuple[Region, ...]:
    """Return the regions of one plist; one that cannot be read is noted and has none."""
    file = archive.root / path
    try:
        if file.stat().st_size > _LARGEST_ROI_BYTES:
            raise ValueError
        content: Any = plistlib.loads(file.read_bytes(), fmt=plistlib.FMT_XML)
        found = [roi for image in content["Images"] for roi in image["ROIs"]]
        regions = [_region(roi, path) for roi in found]
    except Exception:  # noqa: BLE001 - a parser fed with hostile bytes may raise anything
        archive.leave_out(path, "bad_region", "the regions cannot be read")
        return ()
    return tuple(region for region in regions if region is not None)


def _region(roi: dict[str, Any], source: str) -> Region | None:
    """Return one region; None for the muscle and for one without points.

    One point, a single calcification, is a circle of half a pixel; two are a box.
    """
    name = str(roi.get("Name", "")).lower()
    lesion_type = next((word for pattern, word in _WORDS if pattern.search(name)), "other")
    matches = [_POINT.fullmatch(str(point).strip()) for point in roi.get("Point_px", ())]
    points = [(float(match[1]), float(match[2])) for match in matches if match]
    if lesion_type is None or not points or len(points) != len(matches):
        return None
    if len(points) == 1:
        return Region("circle", points[0], _HALF_A_PIXEL, lesion_type, source=source)
    if len(points) == 2:
        (x0, y0), (x1, y1) = points
        corners = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        return Region("box", corners, lesion_type=lesion_type, source=source)
    flat = tuple(value for point in points for value in point)
    return Region("polygon", flat, lesion_type=lesion_type, source=source)
