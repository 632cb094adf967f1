"""RSNA 2022 (breast cancer detection at Kaggle): digital mammograms as DICOM, and one table.

Labels are those of a breast: `cancer` says whether the breast had one. Kinds of lesion and
places are not given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from mammoshift.archives.archive import Archive, ImageRecord
from mammoshift.archives.counts import Counts
from mammoshift.archives.listing import DICOM_SUFFIXES
from mammoshift.archives.registry import AdapterOptions
from mammoshift.archives.tables import read_csv
from mammoshift.archives.vocabulary import birads_of, density_of, side_of, view_of, whole_years

SOURCE = (
    "The data of the RSNA Screening Mammography Breast Cancer Detection challenge (2022) are at "
    "Kaggle: put the folder train_images and train.csv below the root"
)

_TABLE = re.compile(r"train\.csv", re.IGNORECASE)
_WANTED = (
    "site_id",
    "patient_id",
    "image_id",
    "laterality",
    "view",
    "age",
    "cancer",
    "biopsy",
    "BIRADS",
    "implant",
    "density",
    "machine_id",
)
_NUMBER = re.compile(r"\d{1,20}", re.ASCII)
_SUFFIXES = DICOM_SUFFIXES | {".png", ".jpg", ".jpeg"}


class Options(AdapterOptions):
    """What a breast without cancer counts as, and whether breasts with an implant are taken.

    Without cancer, `biopsied_is_benign` takes a breast that was biopsied for benign and others
    for normal; `normal` takes all for normal.
    """

    without_cancer: Literal["biopsied_is_benign", "normal"] = "biopsied_is_benign"
    implants: Literal["include", "exclude"] = "include"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table, checked."""

    where: str
    patient: str
    image: str
    laterality: str
    view: str
    cancer: bool
    biopsy: bool
    implant: bool
    age: int | None
    density: str | None
    birads: str | None
    site: str | None
    machine: str | None


def published(options: Options) -> Counts | None:
    """Return the counts of the table; without the breasts with implants they are not known."""
    if options.implants == "exclude":
        return None
    views = {"CC": 26765, "MLO": 27903, "AT": 19, "LM": 10, "ML": 8, "other": 1}
    return Counts(
        images=54706, patients=11913, by={"view": views, "pathology": {"malignant": 1158}}
    )


def read_records(archive: Archive, options: Options) -> Iterator[ImageRecord]:
    """Yield one record for each image of the table that is there."""
    entries = _read_table(archive)
    paths: dict[tuple[str, str], str] = {}
    for path in archive.paths(_SUFFIXES):
        place = _place(path)
        if place not in entries:
            archive.lose(path, "no_row", "the table has no usable row for the image")
        elif place in paths:
            archive.leave_out(path, "duplicate", "a second file with the name of another image")
        elif entries[place].implant and options.implants == "exclude":
            paths[place] = path
            archive.leave_out(
                path,
                "left_out_by_option",
                "the breast has an implant (rsna_2022.implants: exclude)",
            )
        else:
            paths[place] = path
    for place in sorted(entries.keys() - paths.keys()):
        archive.lose(
            entries[place].where, "missing_file", "the image of a row is not in the archive"
        )
    taken = {
        path: entries[place]
        for place, path in paths.items()
        if not (entries[place].implant and options.implants == "exclude")
    }
    for file in archive.inspect(list(taken)):
        entry = taken[file.path]
        yield ImageRecord(
            image_id=f"{entry.patient}_{entry.image}",
            file=file,
            patient_id=entry.patient,
            site=entry.site,
            laterality=entry.laterality,
            view=entry.view,
            pathology=_pathology(entry, options),
            density=entry.density,
            density_scale="birads" if entry.density else None,
            birads=entry.birads,
            age=entry.age,
            detector=entry.machine,
        )


def _pathology(entry: Entry, options: Options) -> str:
    if entry.cancer:
        return "malignant"
    biopsied = entry.biopsy and options.without_cancer == "biopsied_is_benign"
    return "benign" if biopsied else "normal"


def _place(path: str) -> tuple[str, str]:
    """Return patient and image of a path: `10006/462822612.dcm`, or in copies `10006_462822612`."""
    parts = PurePosixPath(path)
    patient, joined, image = parts.stem.partition("_")
    return (patient, image) if joined else (parts.parent.name, parts.stem)


def _read_table(archive: Archive) -> dict[tuple[str, str], Entry]:
    table = archive.the_one(_TABLE, "the table train.csv")
    entries: dict[tuple[str, str], Entry] = {}
    for row in read_csv(archive.root / table, _WANTED):
        cells, where = row.cells, f"{table}: row {row.number}"
        place = cells["patient_id"], cells["image_id"]
        laterality, view = side_of(cells["laterality"]), view_of(cells["view"])
        flags = [_flag(cells[name]) for name in ("cancer", "biopsy", "implant")]
        cancer, biopsy, implant = flags
        if not all(map(_NUMBER.fullmatch, place)) or laterality is None or view is None:
            archive.lose(where, "bad_row", "patient, image, side or view is not of the known form")
        elif cancer is None or biopsy is None or implant is None:
            archive.lose(where, "bad_row", "cancer, biopsy or implant is neither 0 nor 1")
        elif place in entries:
            archive.lose(where, "repeated_row", "another row has the same patient and image")
        else:
            entries[place] = Entry(
                where=where,
                patient=place[0],
                image=place[1],
                laterality=laterality,
                view=view,
                cancer=cancer,
                biopsy=biopsy,
                implant=implant,
                age=whole_years(cells["age"]),
                density=density_of(cells["density"]),
                birads=birads_of(cells["BIRADS"].removesuffix(".0")),
                site=_numbered("site", cells["site_id"]),
                machine=_numbered("machine", cells["machine_id"]),
            )
    return entries


def _flag(text: str) -> bool | None:
    return {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}.get(
        text.lower()
    )


def _numbered(what: str, text: str) -> str | None:
    return f"{what} {text}" if _NUMBER.fullmatch(text) else None
