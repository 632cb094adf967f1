"""DMID: digital mammograms as TIFF and DICOM, with a workbook of lesions and reports as text.

The workbook starts with prose and has no header, so its rows are known by their form. Ids of
images and reports differ in case. Nothing says which images belong to one patient, unless the
DICOM files do.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from mammoshift.archives.archive import Archive, ImageRecord, InspectedFile, Region
from mammoshift.archives.counts import Counts
from mammoshift.archives.listing import DICOM_SUFFIXES
from mammoshift.archives.registry import AdapterOptions
from mammoshift.archives.tables import read_sheet, read_text
from mammoshift.archives.vocabulary import (
    density_of,
    highest_birads,
    joined_lesion_types,
    side_of,
    worst_pathology,
)
from mammoshift.errors import ArchiveError

SOURCE = (
    "DMID is at figshare (doi 10.6084/m9.figshare.24522883): unpack the TIFF or the DICOM images "
    "and the reports, and put Metadata.xlsx below the root"
)

_WORKBOOK = re.compile(r"metadata.*\.xlsx", re.IGNORECASE)
_IDENTIFIER = re.compile(r"IMG\s*(\d{1,7})", re.IGNORECASE)
_REPORT = re.compile(r"img\s*(\d{1,7})\.txt", re.IGNORECASE)
_VIEW = re.compile(r"(CC|MLO)\s*(LT|RT)", re.IGNORECASE)
_MASK_FOLDER = re.compile(r"mask|roi", re.IGNORECASE)
_SUFFIXES = DICOM_SUFFIXES | {".tif", ".tiff"}

_PATHOLOGIES = {"B": "benign", "M": "malignant", "N": "normal"}
_FINDINGS = {
    "CALC": "calcification",
    "CLAC": "calcification",
    "CIRC": "mass",
    "SPIC": "mass",
    "MISC": "mass",
    "ARCH": "distortion",
    "ASYM": "asymmetry",
    "NORM": None,
}

_ACR = re.compile(r"\bACR[\s-]*([A-D])\b", re.IGNORECASE)
_BIRADS_LINE = re.compile(r"^[ \t]*BI-?(?:RADS|ARDS)[ \t]*:(.*)$", re.IGNORECASE | re.MULTILINE)
_BIRADS = re.compile(r"\b[0-6][abc]?\b", re.IGNORECASE)

_LARGEST_EXAM = 8
"""Images that one patient may plausibly have here; a PatientID shared by more is a filler."""


_LARGEST_REPORT_BYTES = 1024**2


class Options(AdapterOptions):
    """Nothing is left to choose."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the workbook; lesions of one image have a row each.

    `circle` is x, y and radius in pixels as the workbook gives them: y counts from the bottom.
    """

    view: str
    laterality: str
    tissue: str | None
    pathology: str | None
    lesion_types: tuple[str, ...]
    circle: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a radiology report says: BI-RADS density `a` to `d`, highest BI-RADS category."""

    density: str | None
    birads: str | None


def published(_options: Options) -> Counts:
    """Return the counts of the reports; those of the workbook were never published exactly."""
    return Counts(
        images=510,
        by={
            "view": {"CC": 249, "MLO": 261},
            "density": {"a": 79, "b": 203, "c": 186, "d": 40},
        },
    )


def read_records(archive: Archive, _options: Options) -> Iterator[ImageRecord]:
    """Yield one record for each image that the workbook describes.

    Pathology is the workbook's; density and BI-RADS are the report's. Without any report, the
    workbook's background tissue is the density, on the scale of MIAS. Of an image that is there
    as DICOM and as TIFF the DICOM file is used, or the other when it cannot be read.
    """
    workbook, findings = _read_workbook(archive)
    reports = _read_reports(archive)
    chosen = _choose_files(archive, workbook, findings)
    patients = _patients(list(chosen.values()))
    masks = _find_masks(archive)
    for number, file in chosen.items():
        rows = findings[number]
        report = reports.get(number, Report(None, None))
        tissues = {row.tissue for row in rows if row.tissue}
        tissue = tissues.pop() if len(tissues) == 1 and not reports else None
        density = report.density or tissue
        scale = "birads" if report.density else "mias"
        yield ImageRecord(
            image_id=f"IMG{number:03d}",
            file=file,
            patient_id=patients.get(file.path),
            laterality=rows[0].laterality,
            view=rows[0].view,
            pathology=worst_pathology(row.pathology for row in rows),
            density=density,
            density_scale=scale if density else None,
            birads=report.birads,
            lesion_types=joined_lesion_types(kind for row in rows for kind in row.lesion_types),
            regions=_regions(rows, file.header.rows, masks.get(number), workbook),
        )


def _regions(
    rows: list[Finding], height: int, mask: str | None, workbook: str
) -> tuple[Region, ...]:
    """Return the circles of the workbook, or the whole mask where it gives no circle.

    The mask of an image covers all its lesions, so it belongs to a region where that is the only
    one.
    """
    lesions = [row for row in rows if row.pathology != "normal"]
    alone = mask if len(lesions) <= 1 else None
    circles = [(row, row.circle) for row in rows if row.circle is not None]
    if not circles and mask is not None:
        label = lesions[0].pathology if len(lesions) == 1 else None
        return (Region(shape="mask", pathology=label, mask_path=mask, source=mask),)
    return tuple(
        Region(
            shape="circle",
            points=(circle[0], height - circle[1]),
            radius=circle[2],
            lesion_type=row.lesion_types[0] if len(row.lesion_types) == 1 else None,
            pathology=row.pathology,
            mask_path=alone,
            source=workbook,
        )
        for row, circle in circles
    )


def parse_report(text: str) -> Report:
    """Return density and the highest BI-RADS category that a report states.

    The category is the one on the line that starts with `BIRADS:`, also where that is misspelt;
    categories inside the findings belong to single lesions.
    """
    text = "\n".join(text.splitlines())
    density = _ACR.search(text)
    line = _BIRADS_LINE.search(text)
    categories = _BIRADS.findall(line[1]) if line else []
    return Report(
        density=density_of(density[1]) if density else None,
        birads=highest_birads(category.lower() for category in categories),
    )


def _read_workbook(archive: Archive) -> tuple[str, dict[int, list[Finding]]]:
    """Return the workbook's name and the rows of each image.

    Data begins at the first row that holds an image id followed by a view; all before is prose.
    An image with a row that is not understood has no certain label and is left off.
    """
    workbook = archive.the_one(_WORKBOOK, "the workbook Metadata.xlsx")
    findings: dict[int, list[Finding]] = defaultdict(list)
    unclear: set[int] = set()
    first: int | None = None
    for row_number, cells in read_sheet(archive.root / workbook):
        if first is None:
            first = _first_column(cells)
            if first is None:
                continue
        where = f"{workbook}: row {row_number}"
        columns = (*cells[first:], *[""] * 8)[:8]
        identifier, view, tissue, abnormality, label = columns[:5]
        match = _IDENTIFIER.fullmatch(identifier)
        finding = _finding(view, tissue, abnormality, label, _circle(columns[5:]))
        if match is None or finding is None:
            archive.lose(where, "bad_row", "the row has no known image id, view or class")
            unclear.update(int(known[1]) for known in [match] if known)
            continue
        number = int(match[1])
        if findings[number] and _place(findings[number][0]) != _place(finding):
            archive.lose(
                where,
                "contradiction",
                "the row gives another side or view than the image's first row",
            )
            continue
        findings[number].append(finding)
    if not findings:
        raise archive.error(f"{workbook} has no row that starts with an image id and a view")
    return workbook, {image: rows for image, rows in findings.items() if image not in unclear}


def _first_column(cells: tuple[str, ...]) -> int | None:
    """Return where an image id is followed by a view; None in a row of prose."""
    for column, (cell, following) in enumerate(pairwise(cells)):
        if _IDENTIFIER.fullmatch(cell) and _VIEW.fullmatch(following):
            return column
    return None


def _circle(cells: tuple[str, ...]) -> tuple[float, float, float] | None:
    """Return x, y and radius of one row; None where they are not all numbers, as in NORM rows."""
    try:
        x, y, radius = (float(cell) for cell in cells)
    except ValueError:
        return None
    return (x, y, radius) if all(map(math.isfinite, (x, y, radius))) and radius > 0 else None


def _finding(
    view: str,
    tissue: str,
    abnormality: str,
    label: str,
    circle: tuple[float, float, float] | None,
) -> Finding | None:
    place = _VIEW.fullmatch(view)
    codes = [code.strip().upper() for code in abnormality.split("+") if code.strip()]
    if place is None or label.upper() not in {*_PATHOLOGIES, ""}:
        return None
    laterality = side_of(place[2])
    lesion_types = [_FINDINGS.get(code, "other") for code in codes]
    pathology = _PATHOLOGIES.get(label.upper())
    if pathology is None and codes == ["NORM"]:
        pathology = "normal"
    return Finding(
        view=place[1].upper(),
        laterality=str(laterality),
        tissue=tissue.lower() if tissue.upper() in {"F", "G", "D"} else None,
        pathology=pathology,
        lesion_types=tuple(kind for kind in lesion_types if kind),
        circle=circle,
    )


def _place(finding: Finding) -> tuple[str, str]:
    return finding.view, finding.laterality


def _read_reports(archive: Archive) -> dict[int, Report]:
    reports: dict[int, Report] = {}
    for path in archive.named(_REPORT):
        match = _REPORT.fullmatch(PurePosixPath(path).name)
        if match is None:
            continue
        try:
            text = read_text(archive.root / path, _LARGEST_REPORT_BYTES)
        except ArchiveError:
            archive.leave_out(path, "bad_table", "the report cannot be read or is too large")
            continue
        reports[int(match[1])] = parse_report(text)
    return reports


def _choose_files(
    archive: Archive, workbook: str, findings: dict[int, list[Finding]]
) -> dict[int, InspectedFile]:
    """Return one readable file for each image that the workbook describes."""
    numbers: dict[str, int] = {}
    for path in archive.paths(_SUFFIXES):
        folder, _, name = path.rpartition("/")
        match = _IDENTIFIER.fullmatch(PurePosixPath(name).stem.strip())
        if _MASK_FOLDER.search(folder):
            continue
        if match is None:
            archive.lose(path, "bad_name", "the name is not IMG followed by a number")
        elif int(match[1]) not in findings:
            archive.lose(path, "no_row", "the workbook has no usable row for the image")
        else:
            numbers[path] = int(match[1])
    chosen: dict[int, InspectedFile] = {}
    problems: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for path, outcome in archive.try_inspect(sorted(numbers, key=_dicom_first)):
        number = numbers[path]
        if isinstance(outcome, str):
            problems[number].append((path, outcome))
        elif number in chosen:
            archive.leave_out(path, "duplicate", "the same image is there in another file")
        else:
            chosen[number] = outcome
    for number in sorted(set(findings) - set(chosen)):
        if number not in problems:
            archive.lose(
                f"{workbook}: IMG{number:03d}",
                "missing_file",
                "the image of a row is not in the archive",
            )
    for number, found in problems.items():
        note = archive.leave_out if number in chosen else archive.lose
        for path, reason in found[:1] if number not in chosen else found:
            note(path, "unreadable", reason)
    return dict(sorted(chosen.items()))


def _find_masks(archive: Archive) -> dict[int, str]:
    """Return the path of the mask of each image that has one."""
    masks: dict[int, str] = {}
    for path in archive.paths(_SUFFIXES):
        folder, _, name = path.rpartition("/")
        match = _IDENTIFIER.fullmatch(PurePosixPath(name).stem.strip())
        if match and _MASK_FOLDER.search(folder):
            masks.setdefault(int(match[1]), path)
    return masks


def _dicom_first(path: str) -> tuple[bool, str]:
    return PurePosixPath(path).suffix.lower() not in DICOM_SUFFIXES, path


def _patients(files: list[InspectedFile]) -> dict[str, str]:
    """Return a pseudonym for each file whose PatientID looks like a patient's.

    An id that more images share than a patient has is a filler. The id itself may be a
    hospital's and is never written: a digest of it groups as well.
    """
    identifiers = {file.path: file.header.patient_id for file in files if file.header.patient_id}
    shared = Counter(identifiers.values())
    return {
        path: "dicom-" + hashlib.sha256(identifier.encode()).hexdigest()[:16]
        for path, identifier in identifiers.items()
        if shared[identifier] <= _LARGEST_EXAM
    }
