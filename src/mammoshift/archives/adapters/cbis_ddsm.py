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

from mammoshift.archives.adapters._cbis_ddsm_files import (
    Series,
    find_films,
    find_masks,
    series_locations,
)
from mammoshift.archives.archive import Archive, ImageRecord, Region
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
    """Nothing is left to choose."""


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
    split: str


def published(_options: Options) -> Counts:
    """Return the counts of the four tables: views of a breast, each once, and their lesions."""
    return Counts(
        images=3032,
        patients=1566,
        annotations=3568,
        by={"pathology": {"malignant": 1347, "benign": 1685}},
    )


def read_records(archive: Archive, _options: Options) -> Iterator[ImageRecord]:
    """Yield one record for each view of a breast, with the labels of all its lesions.

    The worst pathology and the highest assessment of the lesions hold for the image. A film
    that was published twice, with the masses and with the calcifications, becomes one image.
    An image's official part is that of its tables, `both` for a film that is in both parts:
    where its patient goes is the split's choice (`crossing` of the split `official`). A patient
    whose rows disagree on density has none. A view with a row that is not understood is lost.
    Each lesion whose mask is there becomes a region.
    """
    lesions, unclear = _read_tables(archive)
    roi_uids = {series.series_uid for lesion in lesions for series in lesion.roi}
    folders = series_locations(archive)
    files = find_films(archive, {lesion.film for lesion in lesions}, roi_uids, folders)
    films = {row.roi: files[row.film] for row in lesions if row.film in files}
    masks = find_masks(archive, films, folders)
    density = _patient_densities(lesions)
    images: dict[tuple[str, str, str], list[Lesion]] = defaultdict(list)
    for lesion in lesions:
        images[lesion.patient_id, lesion.laterality, lesion.view].append(lesion)
    for (patient_id, laterality, view), rows in images.items():
        film_files = [files[film] for film in _films(rows) if film in files]
        if not film_files:
            continue
        if (patient_id, laterality, view) in unclear:
            for file in film_files:
                archive.lose(
                    file.path,
                    "bad_row",
                    "a row of the view cannot be used, so it has no sure label",
                )
            continue
        for duplicate in film_files[1:]:
            archive.leave_out(
                duplicate.path, "duplicate", "duplicate film: the same view is there already"
            )
        yield ImageRecord(
            image_id=f"{patient_id}_{laterality.upper()}_{view}",
            file=film_files[0],
            patient_id=patient_id,
            laterality=laterality,
            view=view,
            pathology=worst_pathology(row.pathology for row in rows),
            density=density[patient_id],
            density_scale="birads" if density[patient_id] else None,
            birads=highest_birads(row.birads for row in rows),
            lesion_types=joined_lesion_types(row.lesion_type for row in rows),
            official_split=_official_split(rows),
            detector="film",
            regions=_regions(rows, masks),
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
