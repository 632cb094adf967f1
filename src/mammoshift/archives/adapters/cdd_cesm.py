"""CDD-CESM: contrast-enhanced mammograms as JPEG, with a workbook of images.

Each view has a low-energy image (DM) and a subtracted one (CM, in the workbook CESM); labels
are given for each image, and density only for the low-energy ones.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from mammoshift.archives.archive import Archive, ImageRecord
from mammoshift.archives.counts import Counts
from mammoshift.archives.registry import AdapterOptions
from mammoshift.archives.tables import TableRow, read_sheet_with_header
from mammoshift.archives.vocabulary import (
    birads_of,
    density_of,
    highest_birads,
    joined_lesion_types,
    side_of,
    whole_years,
)

SOURCE = (
    "CDD-CESM is at The Cancer Imaging Archive (doi 10.7937/29kw-ae92): put the folders of the "
    "low-energy and the subtracted images and the workbook Radiology-manual-annotations.xlsx "
    "below the root"
)

_WORKBOOK = re.compile(r"radiology[ _-]manual[ _-]annotations\.xlsx", re.IGNORECASE)
_SHEET = "all"
_DENSITY = "Breast density (ACR)"
_PATHOLOGY = "Pathology Classification/ Follow up"
_WANTED = (
    "Image_name",
    "Patient_ID",
    "Side",
    "Type",
    "Age",
    _DENSITY,
    "BIRADS",
    "Findings",
    "View",
    "Machine",
    _PATHOLOGY,
)
_NAME = re.compile(r"P(?P<patient>\d+)_(?P<side>[LR])_(?P<kind>DM|CM)_(?P<view>CC|MLO)")
_FILE_NAME = re.compile(_NAME.pattern + r"(?:_?(?P<repetition>\d))?", re.IGNORECASE)
_KIND_OF_TYPE = {"DM": "DM", "CESM": "CM", "CM": "CM"}
_KINDS_OF_OPTION = {"low_energy": ("DM",), "subtracted": ("CM",), "both": ("DM", "CM")}
_WORDS_OF_KIND = {"DM": "low energy", "CM": "subtracted"}
_FOLDER_OF_KIND = {
    "DM": "Low energy images of CDD-CESM",
    "CM": "Subtracted images of CDD-CESM",
}
_PATHOLOGIES = {"normal": "normal", "benign": "benign", "malignant": "malignant"}
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})

_NEGATED = re.compile(r"no mass or non[- ]mass enhancement|(?:\bno|^non) enhancement")
_NON_MASS = re.compile(r"non[- ]mass")
_LESION_WORDS = (
    ("mass", re.compile(r"\bmass(?:es)?\b|\bnodules?\b")),
    ("calcification", re.compile(r"calcif")),
    ("distortion", re.compile(r"distort")),
    ("asymmetry", re.compile(r"as+ymm?et")),
    ("enhancement", re.compile(r"non[- ]mass|\bfoc(?:i|us)\b.*enha|enha\w*\s+foc|\benha\w*ment\b")),
)
_NORMAL_WORDS = frozenset({"", "normal"})


class Options(AdapterOptions):
    """Which images of CDD-CESM are used: low-energy (`DM`), subtracted (`CM`) or both.

    Both kinds of one view are of one patient; the column `detector` then names the kind.
    """

    images: Literal["low_energy", "subtracted", "both"] = "low_energy"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the workbook, checked; `repetition` counts rows with the same name."""

    row: TableRow
    patient: int
    side: str
    kind: str
    view: str
    repetition: int

    @property
    def image_id(self) -> str:
        """The image's name, with the number of the repetition from the second on."""
        suffix = f"_{self.repetition}" if self.repetition > 1 else ""
        return f"P{self.patient}_{self.side}_{self.kind}_{self.view}{suffix}"


def published(options: Options) -> Counts:
    """Return the counts of the workbook."""
    labels = {
        "low_energy": {"normal": 341, "benign": 331, "malignant": 331},
        "subtracted": {"normal": 416, "benign": 256, "malignant": 331},
        "both": {"normal": 757, "benign": 587, "malignant": 662},
    }[options.images]
    both = {"laterality": {"left": 1020, "right": 986}, "view": {"CC": 1000, "MLO": 1006}}
    return Counts(
        images=sum(labels.values()),
        patients=326,
        by={"pathology": labels, **(both if options.images == "both" else {})},
    )


def read_records(archive: Archive, options: Options) -> Iterator[ImageRecord]:
    """Yield one record for each image of the chosen kind that is there.

    Of several BI-RADS categories the highest counts. A subtracted image has the density of the
    low-energy image of the same view.
    """
    kinds = _KINDS_OF_OPTION[options.images]
    entries = list(_read_entries(archive))
    densities = _densities(entries)
    paths = _find_files(archive, kinds)
    wanted: dict[str, Entry] = {}
    for entry in entries:
        if entry.kind not in kinds:
            continue
        path = paths.pop(entry.image_id, None)
        if path is None:
            expected = f"{_FOLDER_OF_KIND[entry.kind]}/{entry.image_id}.jpg"
            archive.lose(
                expected, "missing_file", "the image of a workbook's row is not in the archive"
            )
        else:
            wanted[path] = entry
    for path in paths.values():
        archive.lose(path, "no_row", "the workbook has no usable row for the image")
    for file in archive.inspect(list(wanted)):
        entry = wanted[file.path]
        cells = entry.row.cells
        density = densities.get((entry.patient, entry.side, entry.view))
        machine = cells["Machine"]
        yield ImageRecord(
            image_id=entry.image_id,
            file=file,
            patient_id=f"P{entry.patient}",
            laterality=side_of(entry.side),
            view=entry.view,
            pathology=_PATHOLOGIES[cells[_PATHOLOGY].lower()],
            density=density,
            density_scale="birads" if density else None,
            birads=highest_birads(birads_of(part) for part in cells["BIRADS"].split("$")),
            lesion_types=lesion_types_of(cells["Findings"]),
            age=whole_years(cells["Age"]),
            detector=_detector(machine, entry.kind if len(kinds) > 1 else None),
            subtracted=entry.kind == "CM",
        )


def _detector(machine: str, kind: str | None) -> str | None:
    words = [f"machine {machine}"] if machine in {"1", "2"} else []
    return ", ".join([*words, *([_WORDS_OF_KIND[kind]] if kind else [])]) or None


def lesion_types_of(findings: str) -> str | None:
    """Return the lesion types that a cell of findings names, joined by `+`.

    Findings are separated by `$` and are free text with spelling mistakes. Findings that are no
    lesion of the manifest, such as oedema or a scar, are `other`; a normal breast, or one
    without enhancement, has none.
    """
    found: set[str] = set()
    for finding in findings.lower().split("$"):
        stated = _NEGATED.sub("", finding.strip()).strip()
        if stated in _NORMAL_WORDS:
            continue
        types = {
            name
            for name, words in _LESION_WORDS
            if words.search(_NON_MASS.sub("", stated) if name == "mass" else stated)
        }
        found |= types or {"other"}
    return joined_lesion_types(found)


def _read_entries(archive: Archive) -> Iterator[Entry]:
    workbook = archive.the_one(_WORKBOOK, "the workbook Radiology-manual-annotations.xlsx")
    names: Counter[str] = Counter()
    for row in read_sheet_with_header(archive.root / workbook, _WANTED, _SHEET):
        cells = row.cells
        name = _NAME.fullmatch(cells["Image_name"])
        problem = None
        if name is None:
            problem = "the image's name is not of the known form"
        elif cells[_PATHOLOGY].lower() not in _PATHOLOGIES:
            problem = "the pathology is not normal, benign or malignant"
        elif (name["patient"], name["side"], name["kind"], name["view"]) != (
            cells["Patient_ID"],
            cells["Side"],
            _KIND_OF_TYPE.get(cells["Type"]),
            cells["View"],
        ):
            problem = "name, patient, side, type and view of the row contradict each other"
        if name is not None:
            # A row that cannot be used still has its own file among those of the same name.
            names[name[0]] += 1
        if name is None or problem:
            archive.lose(f"{workbook}: row {row.number}", "bad_row", str(problem))
            continue
        yield Entry(
            row=row,
            patient=int(name["patient"]),
            side=name["side"],
            kind=name["kind"],
            view=name["view"],
            repetition=names[name[0]],
        )


def _densities(entries: Iterable[Entry]) -> dict[tuple[int, str, str], str]:
    """Return the density of each view, where its low-energy rows agree on one."""
    found: dict[tuple[int, str, str], set[str]] = defaultdict(set)
    for entry in entries:
        density = density_of(entry.row.cells[_DENSITY])
        if entry.kind == "DM" and density:
            found[entry.patient, entry.side, entry.view].add(density)
    return {place: densities.pop() for place, densities in found.items() if len(densities) == 1}


def _find_files(archive: Archive, kinds: Collection[str]) -> dict[str, str]:
    """Return the path of each image of some kinds by its id.

    Names may have blanks before the suffix; a second image of a view has `_2` or `2` at the end.
    """
    paths: dict[str, str] = {}
    for path in archive.paths(_SUFFIXES):
        match = _FILE_NAME.fullmatch(PurePosixPath(path).stem.strip())
        if match is None:
            archive.leave_out(path, "bad_name", "the name is not that of an image of CDD-CESM")
            continue
        if match["kind"].upper() not in kinds:
            continue
        place = f"P{int(match['patient'])}_{match['side']}_{match['kind']}_{match['view']}".upper()
        image_id = place + (f"_{match['repetition']}" if match["repetition"] else "")
        if image_id in paths:
            archive.leave_out(path, "duplicate", "a second file with the name of another image")
        else:
            paths[image_id] = path
    return paths
