"""CBIS-DDSM: digitised film as DICOM, with four tables of lesions.

Folders differ with the year and the way of the download, so files are found by the UIDs that
the tables give, and by folder names only where UIDs are cut short. What TCIA calls a patient is
a film; the patient is `P_nnnnn`, across the mass and the calcification tables.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from mammoshift.archives.archive import Archive, ImageRecord, InspectedFile
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
from mammoshift.errors import ArchiveError
from mammoshift.imaging.header import DICOM_SUFFIXES, ImageHeader

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
_SUFFIXES = DICOM_SUFFIXES | {".png", ".jpg", ".jpeg"}
_PATIENT = re.compile(r"P_\d{5,7}", re.ASCII)
_METADATA = re.compile(r"metadata\.csv", re.IGNORECASE)
_NO_FULL_IMAGE = re.compile(r"mask|crop", re.IGNORECASE)

Place = tuple[str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Film:
    """One full mammogram as the tables name it: the parts of its path and its place."""

    folder: str
    study_uid: str
    series_uid: str

    @property
    def path(self) -> str:
        """The path as far as the tables and the disk agree on it."""
        return f"{self.folder}/{self.study_uid}/{self.series_uid}"


@dataclass(frozen=True, slots=True)
class Lesion:
    """One row of a case table."""

    film: Film
    patient_id: str
    laterality: str
    view: str
    density: str | None
    lesion_type: str
    birads: str | None
    pathology: str
    split: str


def read_records(archive: Archive) -> Iterator[ImageRecord]:
    """Yield one record for each view of a breast, with the labels of all its lesions.

    The worst pathology and the highest assessment of the lesions hold for the image. A film
    that was published twice, with the masses and with the calcifications, becomes one image.
    A patient with films in both subsets is put in the test subset as a whole, so that no
    patient of the official test set is trained on; a patient whose rows disagree on density
    has none. A view with a row that is not understood is lost.
    """
    lesions, roi_series, unclear = _read_tables(archive)
    files = _usable_files(archive, {lesion.film for lesion in lesions}, roi_series)
    split = _patient_splits(lesions)
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
                archive.lose(file.path, "a row of the view cannot be used, so it has no sure label")
            continue
        for duplicate in film_files[1:]:
            archive.leave_out(duplicate.path, "duplicate film: the same view is there already")
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
            official_split=split[patient_id],
            detector="film",
        )


def _read_tables(archive: Archive) -> tuple[list[Lesion], set[str], set[Place]]:
    """Return the lesions of the tables, the series that hold masks or crops, and unclear views.

    A view is unclear when one of its rows is not understood: its label is then not certain.
    """
    lesions: list[Lesion] = []
    unclear: set[Place] = set()
    roi_series: set[str] = set()
    for kind in ("mass", "calc"):
        for split in ("train", "test"):
            name = f"{kind}_case_description_{split}_set.csv"
            table = archive.the_one(re.compile(re.escape(name), re.IGNORECASE), name)
            for row in read_csv(archive.root / table, _WANTED):
                lesion = _lesion(row.cells, kind, split)
                if isinstance(lesion, str):
                    archive.lose(f"{table}: row {row.number}", lesion)
                    unclear.add(_place(row.cells))
                    continue
                lesions.append(lesion)
                parts = (row.cells[column].split("/") for column in ROI_COLUMNS)
                roi_series.update(part[2] for part in parts if len(part) == 4)
    return lesions, roi_series, unclear


def _lesion(cells: dict[str, str], kind: str, split: str) -> Lesion | str:
    """Return the lesion of one row, or what is wrong with the row."""
    path = cells[IMAGE_COLUMN].split("/")
    laterality, view = side_of(cells["left or right breast"]), view_of(cells["image view"])
    pathology = _PATHOLOGIES.get(cells["pathology"].upper())
    if len(path) != 4 or not all(path):
        return "the image file path has not four parts"
    if not _PATIENT.fullmatch(cells["patient_id"]):
        return "the patient_id is not of the form P_nnnnn"
    if laterality is None or view is None:
        return "side or view is unknown"
    if pathology is None:
        return "the pathology is unknown"
    density = next((cells[name] for name in _DENSITY_COLUMNS if name in cells), "")
    return Lesion(
        film=Film(*path[:3]),
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


def _films(rows: Iterable[Lesion]) -> list[Film]:
    """Return the films of one view, each once, those of the mass tables first."""
    return list(dict.fromkeys(row.film for row in rows))


def _patient_splits(lesions: Iterable[Lesion]) -> dict[str, str]:
    splits: dict[str, str] = {}
    for lesion in lesions:
        if splits.get(lesion.patient_id) != "test":
            splits[lesion.patient_id] = lesion.split
    return splits


def _patient_densities(lesions: Iterable[Lesion]) -> dict[str, str | None]:
    found: dict[str, set[str]] = defaultdict(set)
    for lesion in lesions:
        found[lesion.patient_id].update({lesion.density} - {None})  # type: ignore[arg-type]
    return {patient: next(iter(d)) if len(d) == 1 else None for patient, d in found.items()}


def _usable_files(
    archive: Archive, films: set[Film], roi_series: set[str]
) -> dict[Film, InspectedFile]:
    """Return the readable full image of each film; films without one become losses."""
    candidates = _find_files(archive, films)
    chosen: dict[Film, InspectedFile] = {}
    problems: dict[Film, list[tuple[str, str]]] = defaultdict(list)
    owner = {path: film for film, paths in candidates.items() for path in paths}
    for path, outcome in archive.try_inspect(sorted(owner)):
        film = owner[path]
        if isinstance(outcome, str):
            problems[film].append((path, outcome))
        elif not _is_full_image(outcome.header):
            problems[film].append((path, "a mask or crop lies where the full image should be"))
        elif film in chosen:
            archive.leave_out(path, "duplicate film: a second file of the same series")
        else:
            chosen[film] = outcome
    missing = films - set(chosen)
    if missing:
        chosen |= _find_by_header(archive, missing, set(owner), roi_series)
    for film in sorted(films - set(chosen), key=lambda film: film.path):
        if film not in problems:
            archive.lose(film.path, "the image of a table's row is not in the archive")
        for path, reason in problems[film]:
            archive.lose(path, reason)
    for film in sorted(problems.keys() & chosen.keys(), key=lambda film: film.path):
        for path, reason in problems[film]:
            archive.leave_out(path, reason)
    return chosen


def _is_full_image(header: ImageHeader) -> bool:
    """Tell a full mammogram from a mask (8 bit) and from what names itself a mask or crop."""
    if not header.is_dicom:
        return True
    return header.bits_allocated > 8 and not _NO_FULL_IMAGE.search(header.series_description or "")


def _find_files(archive: Archive, films: set[Film]) -> dict[Film, list[str]]:
    """Return the files that may be each film's full image.

    In this order: a folder called like the series UID; the folder that the download's
    `metadata.csv` gives for the series; the film's folder with folders below it that end with
    the last five digits of study and series; the film's folder, when it holds one image.
    """
    paths = archive.paths(_SUFFIXES)
    by_part: dict[str, list[str]] = defaultdict(list)
    by_folder: dict[str, list[str]] = defaultdict(list)
    series, folders = {film.series_uid for film in films}, {film.folder.lower() for film in films}
    for path in paths:
        by_folder[path.rpartition("/")[0]].append(path)
        for part in path.split("/")[:-1]:
            if part in series or part.lower() in folders:
                by_part[part if part in series else part.lower()].append(path)
    locations = _series_locations(archive)
    found: dict[Film, list[str]] = {}
    for film in films:
        below = by_part.get(film.folder.lower(), [])
        found[film] = (
            by_part.get(film.series_uid)
            or by_folder.get(locations.get(film.series_uid, "\0"))
            or [path for path in below if _ends_like(path, film)]
            or (below if len(below) == 1 else [])
        )
    return found


def _ends_like(path: str, film: Film) -> bool:
    """Tell whether the folders of `path` end with the last digits of the film's two UIDs."""
    *_, study, series = ("", "", *path.split("/")[:-1])
    return study.endswith(f"-{film.study_uid[-5:]}") and series.endswith(f"-{film.series_uid[-5:]}")


def _series_locations(archive: Archive) -> dict[str, str]:
    """Return the folder of each series from the download's own tables, where there are any.

    Folders are relative to the table and are written with either kind of slash.
    """
    locations: dict[str, str] = {}
    for table in archive.named(_METADATA):
        base = PurePosixPath(table).parent
        try:
            rows = list(read_csv(archive.root / table, ("Series UID", "File Location")))
        except ArchiveError:
            archive.leave_out(table, "not a table of downloaded series; files are found without it")
            continue
        for row in rows:
            location = row.cells["File Location"].replace("\\", "/")
            locations[row.cells["Series UID"]] = str(base / location)
    return locations


def _find_by_header(
    archive: Archive, films: set[Film], known: set[str], roi_series: set[str]
) -> dict[Film, InspectedFile]:
    """Return full images found by the series UID inside the files that no path accounts for."""
    by_series = {film.series_uid: film for film in films}
    unknown = [
        path
        for path in archive.paths(DICOM_SUFFIXES)
        if path not in known and not roi_series.intersection(path.split("/"))
    ]
    found: dict[Film, InspectedFile] = {}
    for _, outcome in archive.try_inspect(unknown):
        if isinstance(outcome, InspectedFile) and _is_full_image(outcome.header):
            film = by_series.get(outcome.header.series_uid or "")
            if film is not None:
                found.setdefault(film, outcome)
    return found
