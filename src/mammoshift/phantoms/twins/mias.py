"""A twin of mini-MIAS: square PGM films in pairs, and `Info.txt` in its original form.

A patient is a pair: odd numbers are left, even ones right, and every film is stored mirrored, as
in the real archive. Included defects: prose around the rows, several rows for one film, rows
without coordinates, clusters with `*NOTE 3*`, film narrower than the matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.patient import CaseMix, Density, Patient, Side, draw_patient
from mammoshift.phantoms.scanner import ScannerModel, detector_position, quantise
from mammoshift.phantoms.scanners import changed_scanner
from mammoshift.phantoms.streams import stream
from mammoshift.phantoms.truth import keep_truth
from mammoshift.phantoms.twins.layout import Layout

SCANNER = ScannerModel(
    name="screen-film, density digitiser",
    pixel_pitch_mm=0.2,
    field_mm=(204.8, 204.8),
    mtf_frequency_per_mm=2.5,
    mtf_exponent=1.3,
    tone="film",
    bits=8,
    electronic_noise=0.0,
    digitiser="density",
    grain=0.015,
    label_share=0.9,
    border_share=0.3,
    dust_per_cm2=0.01,
)
"""Plausible values for a screen and a density digitiser; none are published."""

_TISSUE: dict[Density, str] = {"a": "F", "b": "G", "c": "D", "d": "D"}
_MIX = CaseMix(mass=0.76, calcification=0.24, both=0.0, normals=True)
_RULE = "=" * 65
_PROSE = f"""
Synthetic films in the layout of the mini-MIAS database of mammograms
{_RULE}

Each row below describes one abnormality, or a film without any:

1st column: reference number of the film

2nd column: background tissue
\tF  fatty
\tG  fatty-glandular
\tD  dense-glandular

3rd column: class of abnormality
\tCALC  calcification
\tCIRC  well-defined or circumscribed mass
\tSPIC  spiculated mass
\tMISC  other, ill-defined mass
\tARCH  architectural distortion
\tASYM  asymmetry
\tNORM  normal

4th column: severity
\tB  benign
\tM  malignant

5th and 6th columns: x and y of the centre of the abnormality

7th column: radius in pixels of a circle around the abnormality

Notes
=====
1) Films come in pairs, left (even numbers) and right (odd numbers)
   of one patient.

2) All images have the same number of rows and columns; films are
   centred in the matrix.

3) Where calcifications are spread too widely for a circle, centre
   and radius are left out. The origin is the bottom-left corner.

{_RULE}

"""
_LICENCE = "These images are synthetic. They may be used for any purpose.\n"


@dataclass(frozen=True)
class MiasRows:
    """One pair's lines of `Info.txt`."""

    lines: tuple[str, ...]


def write_patient(twin: Twin, number: int, root: Path) -> MiasRows:
    """Write one pair of films and return its lines of `Info.txt`."""
    mix = replace(_MIX, bilateral=number % 23 == 11, second_lesion=number % 18 == 2)
    patient = draw_patient(twin.seed, number, twin.population, mix)
    own = changed_scanner(SCANNER, twin.scanner, twin.magnification_of_pitch)
    strip = float(stream(twin.seed, "mias", "film width", number).uniform(22, 45))
    film = replace(own, field_mm=(own.field_mm[0], min(own.field_mm[1], patient.depth_mm + strip)))
    lines: list[str] = []
    sides: tuple[Side, Side] = ("left", "right")
    for offset, side in enumerate(sides):
        name = f"mdb{2 * number - 1 + offset:03d}"
        grey, sites = image_breast(patient, side, "MLO", film, twin.population.lesion_contrast)
        margin = (own.shape[1] - film.shape[1]) // 2
        path = root / f"{name}.pgm"
        matrix = _in_the_matrix(quantise(grey, 8).astype(np.uint8), own.shape)
        write_pgm(matrix, path)
        drawn = (patient, side, "MLO", film)
        keep_truth(twin, root, path, drawn, lambda truth: _in_the_matrix(truth, own.shape))
        prefix = f"{name} {_TISSUE[patient.density]}"
        if not sites:
            lines.append(f"{prefix} NORM ")
        for site in sites:
            row, column = detector_position(site.row_mm, site.column_mm, film)
            # Mirrored storage puts the chest wall of a left breast at the right edge.
            across = film.shape[1] - 1 - column if side == "left" else column
            place = (round(margin + across), round(matrix.shape[0] - row))
            radius = max(1, round(1.3 * site.radius_mm / film.pitch_mm))
            severity = site.lesion.pathology[0].upper()
            finding = f"{prefix} {_class_of(patient, site.lesion.number)} {severity}"
            lines.append(f"{finding}{_circle(number, site.lesion.kind, place, radius)}")
    return MiasRows(tuple(lines))


def write_tables(twin: Twin, patients: Iterator[MiasRows], root: Path) -> None:
    """Write `Info.txt` and `Licence.txt`."""
    del twin
    (root / "Licence.txt").write_text(_LICENCE, encoding="ascii")
    with (root / "Info.txt").open("w", encoding="ascii", newline="\n") as stream_out:
        stream_out.write(_PROSE)
        for rows in patients:
            stream_out.writelines(f"{line}\n" for line in rows.lines)
        stream_out.write(f"\n{_RULE}\n")


LAYOUT = Layout(write_patient, write_tables)


def _in_the_matrix(film: npt.NDArray[np.uint8], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return a film as it is stored: mirrored, in the middle of a matrix of `shape`."""
    matrix = np.zeros(shape, np.uint8)
    margin = (shape[1] - film.shape[1]) // 2
    matrix[:, margin : margin + film.shape[1]] = film[:, ::-1]
    return matrix


def write_pgm(pixels: npt.NDArray[np.uint8], path: Path) -> None:
    """Write rows x columns of uint8 as binary PGM (P5)."""
    header = f"P5\n{pixels.shape[1]} {pixels.shape[0]}\n255\n"
    path.write_bytes(header.encode("ascii") + np.ascontiguousarray(pixels).tobytes())


def _class_of(patient: Patient, lesion_number: int) -> str:
    """Return the archive's class of a lesion."""
    lesion = patient.lesions[lesion_number - 1]
    if lesion.kind == "calcification":
        return "CALC"
    drawn = float(stream(patient.seed, "mias", "class", patient.number, lesion_number).random())
    classes, shares = (
        (("SPIC", "MISC", "CIRC", "ARCH", "ASYM"), (0.55, 0.70, 0.78, 0.92))
        if lesion.pathology == "malignant"
        else (("CIRC", "MISC", "SPIC", "ASYM", "ARCH"), (0.60, 0.75, 0.85, 0.93))
    )
    return classes[int(np.searchsorted(shares, drawn, "right"))]


def _circle(number: int, kind: str, place: tuple[int, int], radius: int) -> str:
    """Return the end of a row: centre and radius, a note, or nothing."""
    if kind == "calcification" and number % 4 == 1:
        return " *NOTE 3*"
    if kind == "mass" and number % 20 == 7:
        return ""
    return f" {place[0]} {place[1]} {radius}"
