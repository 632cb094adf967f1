"""CBIS-DDSM: digitised film as DICOM, with four tables of lesions.

Folders differ with the year and the way of the download, so files are found by the UIDs that
the tables give, and by folder names only where UIDs are cut short. What TCIA calls a patient is
a film; the patient is `P_nnnnn`, across the mass and the calcification tables.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from mammoshift.archives.adapters._cbis_ddsm_files import (
    Series,
    find_films,
    find_masks,
    series_locations,
)
from mammoshift.archives.archive import Archive, ImageRecord, InspectedFile, Region
from mammoshift.archives.counts import Counts
from mammoshift.archives.registry import AdapterOptions
from mammoshift.archives.tables import read_csv
from mammoshift.archives.vocabulary import (
    birads_of,
    density_of,
    highest_birads,
    joined_lesion_types,
    side_of,
    view_of,
    worst_pathology,
)

SOURCE = (
    "CBIS-DDSM is at The Cancer Imaging Archive (doi 10.7937/K9/TCIA.2016.7O02S9CY): put the "
    "downloaded image folders and the four files {mass,calc}_case_description_{train,test}_set.csv "
    "below the root"
)

IMAGE_COLUMN = "image file path"
ROI_COLUMNS = ("cropped image file path", "ROI mask file path")
_DENSITY_COLUMNS = ("breast_density", "breast density")
_WANTED = (
    "patient_id",
    "left or right breast",
    "image view",
    "abnormality type",
    "assessment",
    "pathology",
    IMAGE_COLUMN,
    *ROI_COLUMNS,
)
_PATHOLOGIES = {
    "MALIGNANT": "malignant",
    "BENIGN": "benign",
    "BENIGN_WITHOUT_CALLBACK": "benign",
}
_PATIENT = re.compile(r"P_\d{5,7}", re.ASCII)

Place = tuple[str, str | None, str | None]


class Options(AdapterOptions):
    """What is done with cases that papers treat in different ways.

    `without_callback`: views of which every lesion is BENIGN_WITHOUT_CALLBACK, never recalled or
    biopsied, count as benign or are left out. `duplicate_films`: of a film that was published with
    the masses and with the calcifications one is taken, or both.
    """

    without_callback: Literal["benign", "exclude"] = "benign"
    duplicate_films: Literal["one", "both"] = "one"


@dataclass(frozen=True, slots=True)
class Lesion:
    """One row of a case table."""

    film: Series
    roi: tuple[Series, ...]
    table: str
    patient_id: str
    laterality: str
    view: str
    density: str | None
    lesion_type: str
    birads: str | None
    pathology: str
    recalled: bool
    split: str


def published(options: Options) -> Counts | None:
    """Return the counts of the four tables: views of a breast, each once, and their lesions."""
    if options.without_callback == "exclude":
        return None
    if options.duplicate_films == "both":
        return Counts(images=3103, patients=1566, annotations=3568)
    return Counts(
        images=3032,
        patients=1566,
        annotations=3568,
        by={"pathology": {"malignant": 1347, "benign": 1685}},
    )


def read_records(archive: Archive, options: Options) -> Iterator[ImageRecord]:
    """Yield one record for each view of a breast, with the labels of all its lesions.

    The worst pathology and the highest assessment of the lesions hold for the image; a patient
    whose rows disagree on density has none. An image's official part is that of its tables, `both`
    for a film that is in both parts: where its patient goes is the choice of the split `official`
    (`crossing`). A view with a row that is not understood is lost.
    Each lesion whose mask is there becomes a region. What else may be done with a film is said
    by the options.
    """
    lesions, unclear = _read_tables(archive)
    roi_uids = {series.series_uid for lesion in lesions for series in lesion.roi}
    folders = series_locations(archive)
    files = find_films(archive, {lesion.film for lesion in lesions}, roi_uids, folders)
    films = {row.roi: files[row.film] for row in lesions if row.film in files}
    masks = find_masks(archive, films, folders)
    densities = _patient_densities(lesions)
    images: dict[tuple[str, str, str], list[Lesion]] = defaultdict(list)
    for lesion in lesions:
        images[lesion.patient_id, lesion.laterality, lesion.view].append(lesion)
    for place, rows in images.items():
        found = {film: files[film] for film in _films(rows) if film in files}
        density = densities[rows[0].patient_id]
        if place in unclear:
            for file in found.values():
                archive.lose(file.path, "bad_row", "a row of the view cannot be used")
            continue
        why = _why_left_out(rows, options)
        for number, (film, file) in enumerate(found.items(), start=1):
            if why:
                archive.leave_out(file.path, "left_out_by_option", why)
            elif number > 1 and options.duplicate_films == "one":
                reason = "duplicate film: the same view is there already"
                archive.leave_out(file.path, "duplicate", reason)
            else:
                apart = options.duplicate_films == "both" and len(found) > 1
                own = [row for row in rows if row.film == film] if apart else rows
                yield _record(number, file, rows, density, _regions(own, masks))


def _why_left_out(rows: Iterable[Lesion], options: Options) -> str | None:
    """Return why the options leave a view out; None where they do not."""
    if options.without_callback == "exclude" and not any(row.recalled for row in rows):
        return "no lesion was recalled (without_callback: exclude)"
    return None


def _record(
    number: int,
    file: InspectedFile,
    rows: list[Lesion],
    density: str | None,
    regions: tuple[Region, ...],
) -> ImageRecord:
    """Return the record of one film of a view; `number` counts the films of that view."""
    first = rows[0]
    repetition = f"_{number}" if number > 1 else ""
    return ImageRecord(
        image_id=f"{first.patient_id}_{first.laterality.upper()}_{first.view}{repetition}",
        file=file,
        patient_id=first.patient_id,
        laterality=first.laterality,
        view=first.view,
        pathology=worst_pathology(row.pathology for row in rows),
        density=density,
        density_scale="birads" if density else None,
        birads=highest_birads(row.birads for row in rows),
        lesion_types=joined_lesion_types(row.lesion_type for row in rows),
        official_split=_official_split(rows),
        detector="film",
        regions=regions,
    )


def _regions(rows: Iterable[Lesion], masks: Mapping[tuple[Series, ...], str]) -> tuple[Region, ...]:
    """Return the mask of each lesion of one view, where it is there."""
    return tuple(
        Region(
            shape="mask",
            lesion_type=row.lesion_type,
            pathology=row.pathology,
            birads=row.birads,
            mask_path=masks[row.roi],
            source=row.table,
        )
        for row in rows
        if row.roi in masks
    )


def _read_tables(archive: Archive) -> tuple[list[Lesion], set[Place]]:
    """Return the lesions of the tables, and unclear views.

    A view is unclear when one of its rows is not understood: its label is then not certain.
    """
    lesions: list[Lesion] = []
    unclear: set[Place] = set()
    for kind in ("mass", "calc"):
        for split in ("train", "test"):
            name = f"{kind}_case_description_{split}_set.csv"
            table = archive.the_one(re.compile(re.escape(name), re.IGNORECASE), name)
            for row in read_csv(archive.root / table, _WANTED):
                lesion = _lesion(row.cells, kind, split, table)
                if isinstance(lesion, str):
                    archive.lose(f"{table}: row {row.number}", "bad_row", lesion)
                    unclear.add(_place(row.cells))
                    continue
                lesions.append(lesion)
    return lesions, unclear


def _lesion(cells: dict[str, str], kind: str, split: str, table: str) -> Lesion | str:
    """Return the lesion of one row, or what is wrong with the row."""
    film = Series.of_cell(cells[IMAGE_COLUMN])
    laterality, view = side_of(cells["left or right breast"]), view_of(cells["image view"])
    pathology = _PATHOLOGIES.get(cells["pathology"].upper())
    if film is None:
        return "the image file path has not four parts"
    if not _PATIENT.fullmatch(cells["patient_id"]):
        return "the patient_id is not of the form P_nnnnn"
    if laterality is None or view is None:
        return "side or view is unknown"
    if pathology is None:
        return "the pathology is unknown"
    roi = (Series.of_cell(cells[column]) for column in ROI_COLUMNS)
    density = next((cells[name] for name in _DENSITY_COLUMNS if name in cells), "")
    return Lesion(
        film=film,
        roi=tuple(dict.fromkeys(series for series in roi if series)),
        table=table,
        patient_id=cells["patient_id"],
        laterality=laterality,
        view=view,
        density=density_of(density),
        lesion_type="mass" if kind == "mass" else "calcification",
        birads=birads_of(cells["assessment"]),
        pathology=pathology,
        recalled=cells["pathology"].upper() != "BENIGN_WITHOUT_CALLBACK",
        split=split,
    )


def _place(cells: dict[str, str]) -> Place:
    """Return patient, side and view of one row."""
    return cells["patient_id"], side_of(cells["left or right breast"]), view_of(cells["image view"])


def _films(rows: Iterable[Lesion]) -> list[Series]:
    """Return the films of one view, each once, those of the mass tables first."""
    return list(dict.fromkeys(row.film for row in rows))


def _official_split(rows: Iterable[Lesion]) -> str:
    """Return the official part of one view, `both` where tables of both have it."""
    first, *others = sorted({row.split for row in rows})
    return "both" if others else first


def _patient_densities(lesions: Iterable[Lesion]) -> dict[str, str | None]:
    found: dict[str, set[str]] = defaultdict(set)
    for lesion in lesions:
        found[lesion.patient_id].update({lesion.density} - {None})  # type: ignore[arg-type]
    return {patient: next(iter(d)) if len(d) == 1 else None for patient, d in found.items()}
