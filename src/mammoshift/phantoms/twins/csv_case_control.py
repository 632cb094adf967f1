"""A case-control set for the adapter `csv`: matched pairs of one age, four views of each patient.

Two patients with consecutive numbers are a pair: a woman with cancer in one breast and a control
of her age, at most a year apart. `population.benign` is the share of the controls that have a
benign lesion; there are as many cases as controls whatever the population says. The table
`views.csv` has the columns file, patient, pair, group (case or control), side, view, lesion_side
(empty for controls), age and pixel_mm; the label is the patient's. An odd number of patients
leaves a case without a control, and without a pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.patient import CaseMix, Patient, Side, View, draw_patient
from mammoshift.phantoms.streams import stream
from mammoshift.phantoms.twins._images_and_table import SCANNER, scanner_of, write_view
from mammoshift.phantoms.twins.layout import Layout
from mammoshift.phantoms.twins.output import delimited_table

TABLE = "views.csv"
HEADER = (*("file", "patient", "pair", "group", "side", "view", "lesion_side", "age", "pixel_mm"),)
_MIX = CaseMix(mass=0.6, calcification=0.2, both=0.2, normals=True)


@dataclass(frozen=True)
class PatientRows:
    """One patient's rows of the table."""

    rows: tuple[tuple[str, ...], ...]


def write_patient(twin: Twin, number: int, root: Path) -> PatientRows:
    """Write the four views of one patient and return the table's rows."""
    patient = draw_member(twin, number)
    is_case = number % 2 == 1
    pair = f"pair{(number + 1) // 2:04d}" if number + is_case <= twin.patients else ""
    lesion_side = patient.main_side[0].upper() if is_case else ""
    pitch = f"{scanner_of(twin).pitch_mm:.6f}"
    sides: tuple[Side, Side] = ("left", "right")
    views: tuple[View, View] = ("CC", "MLO")
    rows: list[tuple[str, ...]] = []
    for side in sides:
        for view in views:
            letter = side[0].upper()
            path = write_view(patient, side, view, twin, root, f"w{number:05d}_{letter}_{view}")
            group = "case" if is_case else "control"
            known = (f"w{number:05d}", pair, group, letter, view, lesion_side)
            rows.append((path, *known, str(patient.age), pitch))
    return PatientRows(tuple(rows))


def write_tables(twin: Twin, patients: Iterator[PatientRows], root: Path) -> None:
    """Write the table."""
    del twin
    with delimited_table(root / TABLE, HEADER, "\n") as table:
        for patient in patients:
            table.writerows(patient.rows)


LAYOUT = Layout(write_patient, write_tables)

__all__ = ["LAYOUT", "SCANNER"]


def draw_member(twin: Twin, number: int) -> Patient:
    """Return a case for an odd number, and a control of the case's age for an even one."""
    benign = twin.population.benign
    if number % 2 == 1:
        only = twin.population.model_copy(update={"malignant": 1.0, "benign": 0.0})
        return draw_patient(twin.seed, number, only, _MIX)
    controls = twin.population.model_copy(update={"malignant": 0.0, "benign": benign})
    control = draw_patient(twin.seed, number, controls, _MIX)
    off = int(stream(twin.seed, "case_control", "age", number).integers(-1, 2))
    return replace(control, age=draw_member(twin, number - 1).age + off)
