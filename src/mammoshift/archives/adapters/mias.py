"""MIAS: digitised film as PGM, with one text file of lesions; the mini edition and the full one.

The left breast has the odd and the right breast the even number, as the names of the
full-resolution edition (v1.21: `mdb001lm.pgm`, left, medium size) and the chest wall in the
images show; the note in the text file of the mini edition says the opposite and is wrong. The
mini edition stores its films the other way round: the chest wall of a left breast is at the right.

The full edition has its rows in a PDF, which must be copied into a text file by hand. Its places
are not made annotations: compared with the mini edition, the first number runs along the film
and the second across, and from which corner they count follows from how the films are stored,
which nothing that could be read says.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from mammoshift.archives.archive import Archive, ImageRecord, InspectedFile, Region
from mammoshift.archives.counts import Counts
from mammoshift.archives.registry import AdapterOptions
from mammoshift.archives.tables import read_text
from mammoshift.archives.vocabulary import joined_lesion_types, worst_pathology

SOURCE = (
    "Mini-MIAS is distributed by PEIPA as all-mias.tar.gz: unpack it, images mdb001.pgm to "
    "mdb322.pgm and Info.txt, below the root. The full edition v1.21 (doi 10.17863/CAM.105113) "
    "needs the rows of 00README.pdf in a text file Info.txt"
)

FRAME_MM = 204.8
"""Width of the square that every film was centred in: 1024 pixels of 0.2 mm."""

FULL_PITCH_MM = 0.05
"""Of the full edition's pixels."""

_INFO = re.compile(r"info.*\.txt|(?:\d\d)?readme(?:\.txt|\.md)?", re.IGNORECASE)
_FILM = r"mdb(?P<number>\d{3,7})(?P<full>(?P<side>[lr])[smlx])?"
_IMAGE = re.compile(rf"{_FILM}\.pgm", re.IGNORECASE)
_ROW = re.compile(
    _FILM + r"(?:\s+(?P<tissue>[FGD]))?\s+(?P<finding>[A-Z]{4})(?:\s+(?P<severity>[BM]))?"
    r"(?:\s+(?P<x>\d+)\s+(?P<y>\d+)\s+(?P<radius>\d+)|[\s*]+(?:see\s+)?(?i:NOTE)\s*\d\*?)?"
)
_ROW_START = re.compile(rf"{_FILM}\s")
_SEVERITIES = {"B": "benign", "M": "malignant"}
_FINDINGS = {
    "CALC": "calcification",
    "CIRC": "mass",
    "SPIC": "mass",
    "MISC": "mass",
    "ARCH": "distortion",
    "ASYM": "asymmetry",
    "NORM": None,
}


class Options(AdapterOptions):
    """Nothing is left to choose."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the text file: tissue `f`, `g` or `d`, what was found, and where.

    `circle` is x, y and radius in pixels as the mini edition gives them: y counts from the bottom.
    """

    tissue: str | None
    pathology: str | None
    lesion_type: str | None
    circle: tuple[int, int, int] | None


def published(_options: Options) -> Counts:
    """Return the counts of either edition, one for each film; regions are of the mini edition."""
    return Counts(
        images=322,
        patients=161,
        by={
            "laterality": {"left": 161, "right": 161},
            "view": {"MLO": 322},
            "pathology": {"normal": 207, "benign": 63, "malignant": 52},
            "density": {"f": 106, "g": 104, "d": 112},
        },
    )


def read_records(archive: Archive, _options: Options) -> Iterator[ImageRecord]:
    """Yield one record for each film; two films with consecutive numbers are one patient."""
    info, findings = _read_info(archive)
    paths: dict[int, str] = {}
    for path in archive.paths(frozenset({".pgm"})):
        match = _IMAGE.fullmatch(PurePosixPath(path).name)
        if match is None:
            archive.lose(path, "bad_name", "the name is not mdb followed by a number")
        elif match["side"] and _side(int(match["number"]))[0] != match["side"].lower():
            archive.lose(path, "contradiction", "the name gives another side than the number")
        elif int(match["number"]) not in findings:
            archive.lose(path, "no_row", "the text file has no usable row for the image")
        elif int(match["number"]) in paths:
            archive.leave_out(path, "duplicate", "a second file with the number of another image")
        else:
            paths[int(match["number"])] = path
    for number in sorted(set(findings) - set(paths)):
        archive.lose(
            f"{info}: mdb{number:03d}", "missing_file", "the image of a row is not in the archive"
        )
    numbers = {path: number for number, path in paths.items()}
    for file in archive.inspect(list(numbers)):
        number = numbers[file.path]
        yield _record(number, file, findings[number], info)


def _record(number: int, file: InspectedFile, findings: list[Finding], info: str) -> ImageRecord:
    tissues = {finding.tissue for finding in findings if finding.tissue}
    name = _IMAGE.fullmatch(PurePosixPath(file.path).name)
    is_full = name is not None and name["full"] is not None
    frame_pitch = FRAME_MM / max(file.header.rows, file.header.columns)
    density = tissues.pop() if len(tissues) == 1 else None
    return ImageRecord(
        image_id=f"mdb{number:03d}",
        file=file,
        patient_id=f"pair{(number + 1) // 2:03d}",
        laterality=_side(number),
        view="MLO",
        mirrored=not is_full,
        pathology=worst_pathology(finding.pathology for finding in findings),
        density=density,
        density_scale="mias" if density else None,
        lesion_types=joined_lesion_types(f.lesion_type for f in findings if f.lesion_type),
        detector="film",
        pixel_spacing_mm=FULL_PITCH_MM if is_full else frame_pitch,
        regions=tuple(
            _circle_from_below(finding.circle, file.header.rows, finding, info)
            for finding in findings
            if finding.circle and finding.circle[2] > 0 and not is_full
        ),
    )


def _side(number: int) -> str:
    return "left" if number % 2 else "right"


def _circle_from_below(
    circle: tuple[int, int, int], rows: int, finding: Finding, source: str
) -> Region:
    """Return a circle of an image with so many `rows`, whose y counts from the bottom."""
    x, y, radius = circle
    return Region(
        shape="circle",
        points=(float(x), float(rows - y)),
        radius=float(radius),
        lesion_type=finding.lesion_type,
        pathology=finding.pathology,
        source=source,
    )


def _read_info(archive: Archive) -> tuple[str, dict[int, list[Finding]]]:
    """Return the name of the text file with rows, and the findings of each image.

    The rows stand between prose in the original file, and below a header in another edition,
    whose prose is in a file of its own.
    """
    for path in archive.named(_INFO):
        text = read_text(archive.root / path)
        lines = [line.strip() for line in text.splitlines()]
        rows = [(n, line) for n, line in enumerate(lines, start=1) if _ROW_START.match(line)]
        if rows:
            return path, _findings(archive, path, rows)
    raise archive.error("no Info.txt with rows such as `mdb001 G CIRC B 535 425 197` was found")


def _findings(archive: Archive, path: str, rows: list[tuple[int, str]]) -> dict[int, list[Finding]]:
    """Return the findings of each image; one with a row that is not understood has no label."""
    findings: dict[int, list[Finding]] = defaultdict(list)
    unclear: set[int] = set()
    for line_number, line in rows:
        match = _ROW.fullmatch(line)
        if match is None or match["finding"] not in _FINDINGS:
            archive.lose(
                f"{path}: line {line_number}", "bad_row", "the row is not of the known form"
            )
            unclear.update(int(start["number"]) for start in [_ROW_START.match(line)] if start)
            continue
        normal, circle = match["finding"] == "NORM", None
        if match["x"] is not None:
            circle = (int(match["x"]), int(match["y"]), int(match["radius"]))
        findings[int(match["number"])].append(
            Finding(
                tissue=match["tissue"].lower() if match["tissue"] else None,
                pathology="normal" if normal else _SEVERITIES.get(match["severity"] or ""),
                lesion_type=_FINDINGS[match["finding"]],
                circle=circle,
            )
        )
    return {number: rows for number, rows in findings.items() if number not in unclear}
