"""A twin of CDD-CESM: low-energy and subtracted images as JPEG, and the workbook of images.

Both images of a view are of one patient under one compression. Included defects: `CM` in names
and `CESM` in the workbook; names with a trailing blank; a name that occurs twice, whose second
files are `_2` or `2`; compound assessments; density on the rows of low-energy images alone; a
benign breast whose subtracted images are labelled normal; patients with one breast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.contrast_enhanced import is_enhancing, subtract_image
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.patient import CaseMix, Patient, Side, View, draw_patient
from mammoshift.phantoms.scanner import ScannerModel, quantise
from mammoshift.phantoms.scanners import changed_scanner
from mammoshift.phantoms.streams import stream
from mammoshift.phantoms.truth import keep_truth
from mammoshift.phantoms.twins.layout import Layout
from mammoshift.phantoms.twins.output import write_workbook

SCANNER = ScannerModel(
    name="caesium iodide on amorphous silicon",
    pixel_pitch_mm=0.1,
    field_mm=(235.5, 131.5),
    mtf_frequency_per_mm=3.2,
    mtf_exponent=1.57,
    tone="sigmoid",
    bits=8,
    window=1.7,
    centre=0.1,
    thickness_equalisation=0.75,
    edge_enhancement=0.6,
)
"""A fit to the measured MTF of a GE Senographe Essential; the other values are plausible."""

WORKBOOK = "Radiology-manual-annotations.xlsx"
FOLDERS = {"DM": "Low energy images of CDD-CESM", "CM": "Subtracted images of CDD-CESM"}
_HEADER = (
    *("Image_name", "Patient_ID", "Side", "Type", "Age", "Breast density (ACR)", "BIRADS"),
    *("Findings", "View", "Tags", "Machine", "Pathology Classification/ Follow up"),
)
_MIX = CaseMix(mass=0.6, calcification=0.15, both=0.25, normals=True)
_QUALITY = 95

Row = tuple[str | int, ...]


@dataclass(frozen=True)
class CesmRows:
    """One patient's rows of the sheet `all`."""

    rows: tuple[Row, ...]


def write_patient(twin: Twin, number: int, root: Path) -> CesmRows:
    """Write the images of both kinds of one patient and return the workbook's rows."""
    patient = draw_patient(twin.seed, number, twin.population, _MIX)
    scanner = changed_scanner(SCANNER, twin.scanner, twin.magnification_of_pitch)
    sides: tuple[Side, ...] = ("left", "right")
    if number % 4 == 3:
        sides = (patient.main_side,)
    views: tuple[View, View] = ("CC", "MLO")
    contrast = twin.population.lesion_contrast
    rows: list[Row] = []
    for side in sides:
        for view in views:
            low, _ = image_breast(patient, side, view, scanner, contrast)
            subtracted, _ = subtract_image(patient, side, view, scanner, contrast)
            for kind, grey in (("DM", low), ("CM", subtracted)):
                name = f"P{number}_{side[0].upper()}_{kind}_{view}"
                path = root / FOLDERS[kind] / f"{name}.jpg"
                _write_jpeg(quantise(grey, 8), path)
                keep_truth(twin, root, path, (patient, side, view, scanner))
                row = _row(patient, side, view, kind, name)
                rows.append(row)
                if (number % 40, side, view) == (6, sides[0], "MLO"):
                    suffix = "_2" if number % 80 == 6 else "2"
                    again = np.ascontiguousarray(quantise(grey, 8)[::-1])
                    path = root / FOLDERS[kind] / f"{name}{suffix}.jpg"
                    _write_jpeg(again, path)
                    keep_truth(twin, root, path, (patient, side, view, scanner), np.flipud)
                    rows.append(row)
    return CesmRows(tuple(rows))


def write_tables(twin: Twin, patients: Iterator[CesmRows], root: Path) -> None:
    """Write the workbook."""
    del twin

    def all_rows() -> Iterator[Row]:
        yield _HEADER
        for patient in patients:
            yield from patient.rows

    write_workbook(root / WORKBOOK, "all", all_rows())


LAYOUT = Layout(write_patient, write_tables)


def _row(patient: Patient, side: Side, view: View, kind: str, name: str) -> Row:
    lesions = patient.lesions_of(side)
    pathology = patient.pathology_of(side)
    enhancing = any(is_enhancing(patient, lesion) for lesion in lesions)
    if kind == "CM" and pathology == "benign" and not enhancing:
        pathology = "normal"
    blank = " " if patient.number % 10 == 3 and view == "CC" else ""
    letter = patient.density.upper()
    return (
        f"{name}{blank}",
        patient.number,
        side[0].upper(),
        "DM" if kind == "DM" else "CESM",
        patient.age,
        letter if kind == "DM" else "_",
        _assessment(patient, side, pathology),
        _findings(patient, side, kind, pathology),
        view,
        "suspicious" if pathology == "malignant" else "",
        2 if patient.number % 16 == 5 else 1,
        pathology.capitalize(),
    )


def _assessment(patient: Patient, side: Side, pathology: str) -> str | int:
    """Return BI-RADS as the workbook has it: a number, or several joined by `$`."""
    rng = stream(patient.seed, "cdd_cesm", "birads", patient.number, side)
    grades = {"normal": (1, 1), "benign": (2, 3), "malignant": (4, 5)}[pathology]
    grade = grades[int(rng.integers(0, 2))]
    return f"{grade}$2" if grade > 2 and rng.random() < 0.1 else grade


def _findings(patient: Patient, side: Side, kind: str, pathology: str) -> str:
    if pathology == "normal":
        return "Normal"
    words = {"mass": "Mass", "calcification": "Calcifications"}
    if kind == "CM":
        words = {"mass": "Mass enhancement", "calcification": "Non mass enhancement"}
    return "$".join(words[found] for found in sorted(patient.kinds_of(side)))


def _write_jpeg(pixels: npt.NDArray[np.uint8 | np.uint16], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
