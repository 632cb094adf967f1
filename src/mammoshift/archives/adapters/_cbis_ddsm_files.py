"""Where the files of CBIS-DDSM lie, in any of the layouts that downloads have had."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mammoshift.archives.archive import Archive, InspectedFile
from mammoshift.archives.listing import DICOM_SUFFIXES
from mammoshift.archives.tables import read_csv
from mammoshift.contracts.exclusion import ReasonCode
from mammoshift.errors import ArchiveError

if TYPE_CHECKING:
    from mammoshift.imaging.header import ImageHeader

_SUFFIXES = DICOM_SUFFIXES | {".png", ".jpg", ".jpeg"}
_METADATA = re.compile(r"metadata\.csv", re.IGNORECASE)
_NO_FULL_IMAGE = re.compile(r"mask|crop", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Series:
    """One DICOM series as the tables name it: the first three of the four parts of a path."""

    folder: str
    study_uid: str
    series_uid: str

    @classmethod
    def of_cell(cls, cell: str) -> Series | None:
        """Return the series of a table's cell; None where the path has not four parts."""
        parts = cell.split("/")
        return cls(*parts[:3]) if len(parts) == 4 and all(parts) else None

    @property
    def path(self) -> str:
        """The path as far as the tables and the disk agree on it."""
        return f"{self.folder}/{self.study_uid}/{self.series_uid}"


def find_films(
    archive: Archive, films: set[Series], roi_uids: set[str], locations: Mapping[str, str]
) -> dict[Series, InspectedFile]:
    """Return the readable full image of each film; films without one become losses.

    `roi_uids` are the series that hold masks and crops, `locations` the `series_locations`.
    """
    candidates = _find_files(archive, films, locations)
    chosen: dict[Series, InspectedFile] = {}
    problems: dict[Series, list[tuple[str, ReasonCode, str]]] = defaultdict(list)
    owner = {path: film for film, paths in candidates.items() for path in paths}
    for path, outcome in archive.try_inspect(sorted(owner)):
        film = owner[path]
        if isinstance(outcome, str):
            problems[film].append((path, "unreadable", outcome))
        elif not _is_full_image(outcome.header):
            reason = "a mask or crop lies where the full image should be"
            problems[film].append((path, "not_an_image", reason))
        elif film in chosen:
            archive.leave_out(path, "duplicate", "duplicate film: a second file of the same series")
        else:
            chosen[film] = outcome
    missing = films - set(chosen)
    if missing:
        chosen |= _find_by_header(archive, missing, set(owner), roi_uids)
    for film in sorted(films - set(chosen), key=lambda film: film.path):
        if film not in problems:
            archive.lose(
                film.path, "missing_file", "the image of a table's row is not in the archive"
            )
        for path, code, reason in problems[film]:
            archive.lose(path, code, reason)
    for film in sorted(problems.keys() & chosen.keys(), key=lambda film: film.path):
        for path, code, reason in problems[film]:
            archive.leave_out(path, code, reason)
    return chosen


def find_masks(
    archive: Archive,
    films: Mapping[tuple[Series, ...], InspectedFile],
    locations: Mapping[str, str],
) -> dict[tuple[Series, ...], str]:
    """Return the path of each lesion's mask.

    The tables mix up masks and crops, and the disk has them in another order or in two series:
    of the files of a lesion's series the mask is the one with 8 bits, or in copies that are not
    DICOM, where all have 8, the one as large as the film.

    Parameters
    ----------
    films
        For the series of each lesion's mask and crop, the film that it lies on.
    locations
        The `series_locations`.
    """
    found = _find_files(archive, {one for several in films for one in several}, locations, most=2)
    wanted = sorted({path for paths in found.values() for path in paths})
    headers: dict[str, ImageHeader] = {}
    for path, outcome in archive.try_headers(wanted):
        if isinstance(outcome, str):
            archive.leave_out(path, "bad_region", f"a mask or crop that cannot be read: {outcome}")
        else:
            headers[path] = outcome
    masks: dict[tuple[Series, ...], str] = {}
    for series, film in films.items():
        paths = sorted({path for one in series for path in found[one] if path in headers})
        likely = [path for path in paths if _looks_like_mask(headers[path], film.header)]
        if len(likely) == 1:
            masks[series] = likely[0]
    return masks


def _looks_like_mask(header: ImageHeader, film: ImageHeader) -> bool:
    if header.is_dicom:
        return header.bits_allocated == 8
    return (header.rows, header.columns) == (film.rows, film.columns)


def _is_full_image(header: ImageHeader) -> bool:
    """Tell a full mammogram from a mask (8 bit) and from what names itself a mask or crop."""
    if not header.is_dicom:
        return True
    return header.bits_allocated > 8 and not _NO_FULL_IMAGE.search(header.series_description or "")


def _find_files(
    archive: Archive, films: set[Series], locations: Mapping[str, str], most: int = 1
) -> dict[Series, list[str]]:
    """Return the files that may belong to each series.

    In this order: a folder called like the series UID; the folder that the download's
    `metadata.csv` gives for the series; the top folder with folders below it that end with
    the last five digits of study and series; the top folder, when it holds at most `most` images.
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
    found: dict[Series, list[str]] = {}
    for film in films:
        below = by_part.get(film.folder.lower(), [])
        found[film] = (
            by_part.get(film.series_uid)
            or by_folder.get(locations.get(film.series_uid, "\0"))
            or [path for path in below if _ends_like(path, film)]
            or (below if len(below) <= most else [])
        )
    return found


def _ends_like(path: str, film: Series) -> bool:
    """Tell whether the folders of `path` end with the last digits of the film's two UIDs."""
    *_, study, series = ("", "", *path.split("/")[:-1])
    return study.endswith(f"-{film.study_uid[-5:]}") and series.endswith(f"-{film.series_uid[-5:]}")


def series_locations(archive: Archive) -> dict[str, str]:
    """Return the folder of each series from the download's own tables, where there are any.

    Folders are relative to the table and are written with either kind of slash.
    """
    locations: dict[str, str] = {}
    for table in archive.named(_METADATA):
        base = PurePosixPath(table).parent
        try:
            rows = list(read_csv(archive.root / table, ("Series UID", "File Location")))
        except ArchiveError:
            archive.leave_out(
                table, "bad_table", "not a table of downloaded series; files are found without it"
            )
            continue
        for row in rows:
            location = row.cells["File Location"].replace("\\", "/")
            locations[row.cells["Series UID"]] = str(base / location)
    return locations


def _find_by_header(
    archive: Archive, films: set[Series], known: set[str], roi_uids: set[str]
) -> dict[Series, InspectedFile]:
    """Return full images found by the series UID inside the files that no path accounts for."""
    by_series = {film.series_uid: film for film in films}
    unknown = [
        path
        for path in archive.paths(DICOM_SUFFIXES)
        if path not in known and not roi_uids.intersection(path.split("/"))
    ]
    found: dict[Series, InspectedFile] = {}
    for _, outcome in archive.try_inspect(unknown):
        if isinstance(outcome, InspectedFile) and _is_full_image(outcome.header):
            film = by_series.get(outcome.header.series_uid or "")
            if film is not None:
                found.setdefault(film, outcome)
    return found
