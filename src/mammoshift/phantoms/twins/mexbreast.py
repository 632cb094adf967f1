"""A twin of MEXBreast in the layout that its adapter assumes: PNG files and a table of boxes.

Every image holds a cluster of microcalcifications. Images lie in a folder `images`, and
`boxes.csv` has the columns Image, Patient, X1, Y1, X2, Y2, in pixels from the top left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.patient import CaseMix, View, draw_patient
from mammoshift.phantoms.scanner import ScannerModel, detector_position, quantise
from mammoshift.phantoms.scanners import changed_scanner
from mammoshift.phantoms.truth import keep_truth
from mammoshift.phantoms.twins.layout import Layout
from mammoshift.phantoms.twins.output import delimited_table

SCANNER = ScannerModel(
    name="full-field digital",
    pixel_pitch_mm=0.05,
    field_mm=(4800 * 0.05, 3600 * 0.05),
    mtf_frequency_per_mm=5.5,
    mtf_exponent=1.2,
    tone="sigmoid",
    bits=8,
    window=1.7,
    centre=0.12,
    thickness_equalisation=0.75,
    edge_enhancement=0.8,
)
"""Plausible values for a digital unit; none are published for this archive."""

TABLE = "boxes.csv"
COLUMNS = ("Image", "Patient", "X1", "Y1", "X2", "Y2")
_MIX = CaseMix(mass=0.0, calcification=1.0, both=0.0, normals=False)


@dataclass(frozen=True)
class MexbreastRows:
    """One patient's rows of `boxes.csv`."""

    rows: tuple[tuple[str, ...], ...]


def write_patient(twin: Twin, number: int, root: Path) -> MexbreastRows:
    """Write the two views of one breast and return the rows of their clusters."""
    patient = draw_patient(twin.seed, number, twin.population, _MIX)
    scanner = changed_scanner(SCANNER, twin.scanner, twin.magnification_of_pitch)
    side = patient.main_side
    rows: list[tuple[str, ...]] = []
    views: tuple[View, View] = ("CC", "MLO")
    for offset, view in enumerate(views):
        name = f"MEX{2 * number - 1 + offset:04d}.png"
        grey, sites = image_breast(patient, side, view, scanner, twin.population.lesion_contrast)
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), quantise(grey, 8))
        keep_truth(twin, root, path, (patient, side, view, scanner))
        for site in sites:
            row, column = detector_position(site.row_mm, site.column_mm, scanner)
            if side == "right":
                column = scanner.shape[1] - 1 - column
            radius = 1.2 * site.radius_mm / scanner.pitch_mm
            corners = (column - radius, row - radius, column + radius, row + radius)
            limits = (scanner.shape[1] - 1, scanner.shape[0] - 1) * 2
            inside = (
                str(min(max(round(value), 0), limit))
                for value, limit in zip(corners, limits, strict=True)
            )
            rows.append((name, f"P{number:03d}", *inside))
    return MexbreastRows(tuple(rows))


def write_tables(twin: Twin, patients: Iterator[MexbreastRows], root: Path) -> None:
    """Write `boxes.csv`."""
    del twin
    with delimited_table(root / TABLE, COLUMNS, "\n") as table:
        for patient in patients:
            table.writerows(patient.rows)


LAYOUT = Layout(write_patient, write_tables)
