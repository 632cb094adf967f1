"""A neutral archive for the adapter `csv`: 16-bit PNG files and a table.

Who is imaged depends on seed and population alone: all four views of every patient, normal,
benign or malignant as the population says. The table `images.csv` has the columns file, patient,
side, view, label (of this breast), density, age and pixel_mm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.patient import CaseMix, Side, View, draw_patient
from mammoshift.phantoms.twins._images_and_table import SCANNER, scanner_of, write_view
from mammoshift.phantoms.twins.layout import Layout
from mammoshift.phantoms.twins.output import delimited_table

TABLE = "images.csv"
HEADER = ("file", "patient", "side", "view", "label", "density", "age", "pixel_mm")
_MIX = CaseMix(mass=0.5, calcification=0.3, both=0.2, normals=True)


@dataclass(frozen=True)
class PatientRows:
    """One patient's rows of the table."""

    rows: tuple[tuple[str, ...], ...]


def write_patient(twin: Twin, number: int, root: Path) -> PatientRows:
    """Write the four views of one patient and return the table's rows."""
    patient = draw_patient(twin.seed, number, twin.population, _MIX)
    pitch = f"{scanner_of(twin).pitch_mm:.6f}"
    sides: tuple[Side, Side] = ("left", "right")
    views: tuple[View, View] = ("CC", "MLO")
    rows: list[tuple[str, ...]] = []
    for side in sides:
        for view in views:
            name = f"{number:05d}_{side[0].upper()}_{view}"
            path = write_view(patient, side, view, twin, root, name)
            label = patient.pathology_of(side)
            known = (f"{number:05d}", side[0].upper(), view, label)
            rows.append((path, *known, patient.density.upper(), str(patient.age), pitch))
    return PatientRows(tuple(rows))


def write_tables(twin: Twin, patients: Iterator[PatientRows], root: Path) -> None:
    """Write the table."""
    del twin
    with delimited_table(root / TABLE, HEADER, "\n") as table:
        for patient in patients:
            table.writerows(patient.rows)


LAYOUT = Layout(write_patient, write_tables)

__all__ = ["LAYOUT", "SCANNER"]
