"""CMMD: full-field digital mammograms as DICOM, with a clinical workbook of breasts.

Side and view come from the DICOM tags alone: file order has exceptions, and ViewPosition is
not there. A label belongs to a breast, (ID1, LeftRight).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mammoshift.archives.archive import Archive, ImageRecord, InspectedFile
from mammoshift.archives.counts import Counts
from mammoshift.archives.listing import DICOM_SUFFIXES
from mammoshift.archives.registry import AdapterOptions
from mammoshift.archives.tables import read_sheet_with_header
from mammoshift.archives.vocabulary import (
    joined_lesion_types,
    side_of,
    whole_years,
    worst_pathology,
)

SOURCE = (
    "CMMD is at The Cancer Imaging Archive (doi 10.7937/tcia.eqde-4b16): put the downloaded "
    "folder and the clinical workbook CMMD_clinicaldata_revision.xlsx below the root"
)

_WORKBOOK = re.compile(r"CMMD[ _-]?clinical[ _-]?data.*\.xlsx", re.IGNORECASE)
_REVISED_WORKBOOK = re.compile(r"CMMD[ _-]?clinical[ _-]?data.*revision.*\.xlsx", re.IGNORECASE)
_WANTED = ("ID1", "LeftRight", "Age", "abnormality", "classification")
_PATHOLOGIES = {"benign": "benign", "malignant": "malignant"}
_LESION_TYPES = {
    "mass": ("mass",),
    "calcification": ("calcification",),
    "both": ("calcification", "mass"),
}
_PATIENT = re.compile(r"D[12]-\d{4,7}", re.ASCII)
_EXPECTED_VIEWS = ("CC", "MLO")

Breast = tuple[str, str]


class Options(AdapterOptions):
    """What the unlabelled contralateral breasts of CMMD's D2 part are taken for, and which part.

    With `first_part_alone` the part D2 is left out: 98 % of it is malignant, so that a classifier
    that tells the parts apart seems to tell cancer.
    """

    unlabelled: Literal["exclude", "normal"] = "exclude"
    first_part_alone: bool | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """What the clinical workbook says about one breast, and where."""

    pathology: str
    lesion_types: tuple[str, ...]
    age: int | None
    where: str


def published(options: Options) -> Counts:
    """Return the counts of the revised workbook, with or without the breasts that it leaves out."""
    labels = {"malignant": 2632, "benign": 1112}
    if options.first_part_alone:
        labels = {"malignant": 1126, "benign": 1088}
        views = {"CC": 1107, "MLO": 1107}
        return Counts(images=2214, patients=1026, by={"view": views, "pathology": labels})
    if options.unlabelled == "exclude":
        sides, views = {"left": 1976, "right": 1768}, {"CC": 1872, "MLO": 1872}
    else:
        labels["normal"] = 1458
        sides, views = {"left": 2682, "right": 2520}, {"CC": 2601, "MLO": 2601}
    return Counts(
        images=sum(labels.values()),
        patients=1775,
        by={"laterality": sides, "view": views, "pathology": labels},
    )


def read_records(archive: Archive, options: Options) -> Iterator[ImageRecord]:
    """Yield one record for each image whose breast has a label.

    The other breast of a D2 patient has none: the option `cmmd.unlabelled` leaves it out or
    takes it for normal.
    """
    labels, unclear = _read_labels(archive)
    patients = {patient for patient, _ in labels}
    views_seen: dict[Breast, set[str]] = defaultdict(set)
    keys_seen: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for file in archive.inspect(archive.paths(DICOM_SUFFIXES)):
        problem = _problem(file)
        if problem:
            archive.lose(file.path, "bad_header", problem)
            continue
        header = file.header
        patient, side, view = str(header.patient_id), str(header.laterality), str(header.view)
        if not unclear.isdisjoint({(patient, side), (patient, None)}):
            archive.lose(file.path, "bad_row", "the workbook's row of the breast cannot be used")
            continue
        label = labels.get((patient, side))
        if options.first_part_alone and patient.startswith("D2"):
            reason = "the patient is of the second part (cmmd.first_part_alone)"
            archive.leave_out(file.path, "left_out_by_option", reason)
            continue
        if patient not in patients:
            archive.lose(file.path, "no_row", "the patient is not in the clinical workbook")
            continue
        if label is None and options.unlabelled == "exclude":
            archive.leave_out(
                file.path, "no_label", "the breast has no label (cmmd.unlabelled: exclude)"
            )
            continue
        copies = keys_seen[patient, side, view]
        if file.content_key in copies:
            archive.leave_out(file.path, "duplicate", "a copy of another file of the same view")
            continue
        copies.add(file.content_key)
        views_seen[patient, side].add(view)
        repetition = f"_{len(copies)}" if len(copies) > 1 else ""
        yield ImageRecord(
            image_id=f"{patient}_{side.upper()}_{view}{repetition}",
            file=file,
            patient_id=patient,
            laterality=side,
            view=view,
            pathology=label.pathology if label else "normal",
            lesion_types=joined_lesion_types(label.lesion_types) if label else None,
            age=label.age if label else None,
        )
    if options.first_part_alone:
        labels = {place: label for place, label in labels.items() if place[0].startswith("D1")}
    _lose_missing_views(archive, labels, views_seen)


def _read_labels(archive: Archive) -> tuple[dict[Breast, Label], set[tuple[str, str | None]]]:
    """Return the labels of the breasts, and the breasts with a row that is not understood.

    Of two rows for one breast the worse counts. Where the side is not understood, None stands
    for both.
    """
    workbook = _workbook(archive)
    labels: dict[Breast, Label] = {}
    unclear: set[tuple[str, str | None]] = set()
    for row in read_sheet_with_header(archive.root / workbook, _WANTED):
        where = f"{workbook}: row {row.number}"
        patient, side = row.cells["ID1"], side_of(row.cells["LeftRight"])
        pathology = _PATHOLOGIES.get(row.cells["classification"].lower())
        if not _PATIENT.fullmatch(patient) or side is None or pathology is None:
            archive.lose(
                where, "bad_row", "ID1, LeftRight or classification is not one of the known values"
            )
            unclear.add((patient, side))
            continue
        lesion_types = _LESION_TYPES.get(row.cells["abnormality"].lower(), ("other",))
        age = whole_years(row.cells["Age"])
        earlier = labels.get((patient, side))
        if earlier is not None:
            pathology = str(worst_pathology((pathology, earlier.pathology)))
            lesion_types = (*lesion_types, *earlier.lesion_types)
        labels[patient, side] = Label(pathology, lesion_types, age, where)
    return labels, unclear


def _workbook(archive: Archive) -> str:
    """Return the clinical workbook; the revised one where the earlier one is there as well."""
    pattern = _REVISED_WORKBOOK if archive.named(_REVISED_WORKBOOK) else _WORKBOOK
    return archive.the_one(pattern, "the clinical workbook CMMD_clinicaldata_revision.xlsx")


def _problem(file: InspectedFile) -> str | None:
    header = file.header
    if header.patient_id is None or not _PATIENT.fullmatch(header.patient_id):
        return "the PatientID is not one of CMMD"
    if header.laterality is None:
        return "ImageLaterality is missing, so that no label can be found"
    if header.view is None:
        return "the view is missing or unknown"
    return None


def _lose_missing_views(
    archive: Archive, labels: dict[Breast, Label], views_seen: dict[Breast, set[str]]
) -> None:
    for breast, label in labels.items():
        for view in _EXPECTED_VIEWS:
            if view not in views_seen.get(breast, ()):
                archive.lose(
                    f"{label.where}, {view}",
                    "missing_file",
                    "the breast's image is not in the archive",
                )
