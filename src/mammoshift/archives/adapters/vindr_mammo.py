"""VinDr-Mammo: full-field digital mammograms as DICOM, with tables of breasts and findings.

A study is a patient. No pathology was published, so the label follows from BI-RADS, which is
given for each breast and for each finding.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from mammoshift.archives.archive import Archive, ImageRecord, Region
from mammoshift.archives.counts import Counts
from mammoshift.archives.listing import DICOM_SUFFIXES
from mammoshift.archives.registry import AdapterOptions
from mammoshift.archives.tables import TableRow, read_csv
from mammoshift.archives.vocabulary import (
    birads_of,
    density_of,
    finite_number,
    joined_lesion_types,
    pathology_of_birads,
    side_of,
    view_of,
)
from mammoshift.contracts.vocabulary import LESION_TYPES

SOURCE = (
    "VinDr-Mammo is at PhysioNet (doi 10.13026/br2v-7517): put the folder images and the tables "
    "breast-level_annotations.csv and finding_annotations.csv below the root"
)

_BREASTS = re.compile(r"breast[-_]level[-_]annotations\.csv", re.IGNORECASE)
_FINDINGS = re.compile(r"finding[-_]annotations\.csv", re.IGNORECASE)
_IMAGE_COLUMNS = ("study_id", "image_id", "laterality", "view_position")
_BREAST_COLUMNS = (*_IMAGE_COLUMNS, "breast_birads", "breast_density", "split")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_FINDING_COLUMNS = ("image_id", "finding_categories", "finding_birads", *_CORNERS)
_IDENTIFIER = re.compile(r"[0-9a-zA-Z_.-]{1,100}", re.ASCII)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_SPLITS = {"training": "train", "test": "test"}
_SUFFIXES = DICOM_SUFFIXES | {".png"}
_NO_FINDING = "no finding"
_WORDS = (
    ("mass", re.compile(r"mass")),
    ("calcification", re.compile(r"calcif")),
    ("distortion", re.compile(r"distort")),
    ("asymmetry", re.compile(r"asymmetry")),
)


class Options(AdapterOptions):
    """From which BI-RADS category a breast counts as malignant; 1 is normal, the rest benign."""

    malignant_from: Literal["4", "5"] = "4"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table of breasts, checked."""

    where: str
    study: str
    laterality: str
    view: str
    birads: str | None
    density: str | None
    split: str | None


def published(options: Options) -> Counts:
    """Return the counts of the tables."""
    grades = {"1": 13406, "2": 4676, "3": 930, "4": 762, "5": 226}
    labels = Counter[str]()
    for grade, images in grades.items():
        labels[str(pathology_of_birads(grade, options.malignant_from))] += images
    return Counts(
        images=20000,
        patients=5000,
        annotations=2254,
        by={
            "view": {"CC": 10001, "MLO": 9999},
            "density": {"a": 100, "b": 1908, "c": 15292, "d": 2700},
            "birads": grades,
            "official_split": {"train": 16000, "test": 4000},
            "pathology": dict(labels),
        },
    )


def read_records(archive: Archive, options: Options) -> Iterator[ImageRecord]:
    """Yield one record for each image of the table of breasts that is there."""
    entries = _read_breasts(archive)
    findings = _read_findings(archive, options)
    paths: dict[str, str] = {}
    for path in archive.paths(_SUFFIXES):
        image = PurePosixPath(path).stem
        if image not in entries:
            archive.lose(path, "no_row", "the table of breasts has no usable row for the image")
        elif image in paths:
            archive.leave_out(path, "duplicate", "a second file with the name of another image")
        else:
            paths[image] = path
    for image in sorted(entries.keys() - paths.keys()):
        archive.lose(
            entries[image].where, "missing_file", "the image of a row is not in the archive"
        )
    images = {path: image for image, path in paths.items()}
    for file in archive.inspect(list(images)):
        image = images[file.path]
        entry, found = entries[image], findings.get(image, [])
        yield ImageRecord(
            image_id=image,
            file=file,
            patient_id=entry.study,
            exam_id=entry.study,
            laterality=entry.laterality,
            view=entry.view,
            pathology=pathology_of_birads(entry.birads, options.malignant_from),
            density=entry.density,
            density_scale="birads" if entry.density else None,
            birads=entry.birads,
            lesion_types=joined_lesion_types(kind for kinds, _ in found for kind in kinds),
            official_split=entry.split,
            regions=tuple(region for _, region in found if region is not None),
        )


def _read_breasts(archive: Archive) -> dict[str, Entry]:
    table = archive.the_one(_BREASTS, "the table breast-level_annotations.csv")
    entries: dict[str, Entry] = {}
    for row in read_csv(archive.root / table, _BREAST_COLUMNS):
        cells, where = row.cells, f"{table}: row {row.number}"
        laterality, view = side_of(cells["laterality"]), view_of(cells["view_position"])
        safe = all(_IDENTIFIER.fullmatch(cells[name]) for name in ("image_id", "study_id"))
        if not safe or laterality is None or view is None:
            archive.lose(where, "bad_row", "an id, side or view is not one of the known form")
        elif cells["image_id"] in entries:
            archive.lose(where, "repeated_row", "another row has the same image_id")
        else:
            entries[cells["image_id"]] = Entry(
                where=where,
                study=cells["study_id"],
                laterality=laterality,
                view=view,
                birads=birads_of(cells["breast_birads"]),
                density=density_of(cells["breast_density"]),
                split=_SPLITS.get(cells["split"].lower()),
            )
    return entries


def _read_findings(
    archive: Archive, options: Options
) -> dict[str, list[tuple[frozenset[str], Region | None]]]:
    """Return the lesion types and the box of each finding of each image.

    Without the table of findings there are none; a finding may have no box.
    """
    if not archive.named(_FINDINGS):
        return {}
    table = archive.the_one(_FINDINGS, "the table finding_annotations.csv")
    findings: dict[str, list[tuple[frozenset[str], Region | None]]] = defaultdict(list)
    for row in read_csv(archive.root / table, _FINDING_COLUMNS):
        kinds = _lesion_types(row.cells["finding_categories"])
        if kinds:
            region = _region(row, kinds, table, options)
            if region is None and any(row.cells[corner] for corner in _CORNERS):
                archive.leave_out(
                    f"{table}: row {row.number}", "bad_region", "the box of the finding is not one"
                )
            findings[row.cells["image_id"]].append((kinds, region))
    return findings


def _region(row: TableRow, kinds: frozenset[str], table: str, options: Options) -> Region | None:
    corners = [finite_number(row.cells[corner]) for corner in _CORNERS]
    x0, y0, x1, y1 = corners
    if x0 is None or y0 is None or x1 is None or y1 is None or x1 < x0 or y1 < y0:
        return None
    birads = birads_of(row.cells["finding_birads"])
    return Region(
        shape="box",
        points=(x0, y0, x1, y1),
        lesion_type=min(kinds, key=LESION_TYPES.index),
        pathology=pathology_of_birads(birads, options.malignant_from),
        birads=birads,
        source=table,
    )


def _lesion_types(text: str) -> frozenset[str]:
    """Return the lesion types of a cell such as `['Mass', 'Skin Thickening']`."""
    names = [(one or other).lower() for one, other in _QUOTED.findall(text)]
    named = [name for name in names if name and name != _NO_FINDING]
    return frozenset(
        next((kind for kind, words in _WORDS if words.search(name)), "other") for name in named
    )
