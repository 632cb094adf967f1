"""A twin of the RSNA 2022 challenge: screening of two sites, DICOM files, and one table.

Included properties: labels belong to a breast; the second site gives no density; BI-RADS is empty
for many and 0, 1 or 2 else; some breasts have an implant; a few images are of other views; one
machine stores MONOCHROME1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.patient import CaseMix, Patient, Side, View, draw_patient
from mammoshift.phantoms.scanner import ScannerModel, quantise
from mammoshift.phantoms.scanners import changed_scanner
from mammoshift.phantoms.streams import stream, synthetic_uid
from mammoshift.phantoms.truth import keep_truth
from mammoshift.phantoms.twins.layout import Layout
from mammoshift.phantoms.twins.output import delimited_table, write_dicom

SCANNER = ScannerModel(
    name="amorphous selenium, screening",
    pixel_pitch_mm=0.07,
    field_mm=(4096 * 0.07, 3328 * 0.07),
    mtf_frequency_per_mm=5.8,
    mtf_exponent=1.2,
    tone="sigmoid",
    bits=12,
    window=1.8,
    centre=0.15,
    thickness_equalisation=0.8,
    edge_enhancement=0.6,
)
"""Plausible values for a screening unit; none are published for this archive."""

_MIX = CaseMix(mass=0.55, calcification=0.30, both=0.15, normals=True)
_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.1.2"
_HEADER = (
    *("site_id", "patient_id", "image_id", "laterality", "view", "age", "cancer", "biopsy"),
    *("invasive", "BIRADS", "implant", "density", "machine_id", "difficult_negative_case"),
)
_FIRST_PATIENT, _FIRST_IMAGE = 10_000, 400_000_000
_MACHINES = ("49", "29", "21", "48")

_IMAGES: tuple[tuple[Side, View], ...] = (
    ("left", "CC"),
    ("left", "MLO"),
    ("right", "CC"),
    ("right", "MLO"),
)


@dataclass(frozen=True)
class RsnaRows:
    """One patient's rows of `train.csv`."""

    rows: tuple[tuple[str, ...], ...]


def write_patient(twin: Twin, number: int, root: Path) -> RsnaRows:
    """Write the four images of one patient and return the rows of the table."""
    patient = draw_patient(twin.seed, number, twin.population, _MIX)
    scanner = changed_scanner(SCANNER, twin.scanner, twin.magnification_of_pitch)
    name = str(_FIRST_PATIENT + number)
    machine = number % len(_MACHINES)
    rows: list[tuple[str, ...]] = []
    for offset, (side, view) in enumerate(_IMAGES):
        image = str(_FIRST_IMAGE + 4 * number + offset)
        grey, _ = image_breast(patient, side, view, scanner, twin.population.lesion_contrast)
        dataset = _dataset(twin, number, name)
        dataset.SOPInstanceUID = synthetic_uid(twin.seed, "rsna_2022", "image", image)
        path = root / "train_images" / name / f"{image}.dcm"
        write_dicom(
            dataset,
            quantise(grey, 12).astype(np.uint16),
            path,
            bits_stored=12,
            bright_is_low=machine == 1,
        )
        keep_truth(twin, root, path, (patient, side, view, scanner))
        rows.append(_row(patient, side, view, name, image, _MACHINES[machine]))
    return RsnaRows(tuple(rows))


def write_tables(twin: Twin, patients: Iterator[RsnaRows], root: Path) -> None:
    """Write `train.csv`."""
    del twin
    with delimited_table(root / "train.csv", _HEADER, "\n") as table:
        for patient in patients:
            table.writerows(patient.rows)


LAYOUT = Layout(write_patient, write_tables)


def _row(
    patient: Patient, side: Side, view: View, name: str, image: str, machine: str
) -> tuple[str, ...]:
    rng = stream(patient.seed, "rsna_2022", "breast", patient.number, side)
    pathology = patient.pathology_of(side)
    cancer, benign = pathology == "malignant", pathology == "benign"
    biopsy = cancer or (benign and bool(rng.random() < 0.6))
    site = "1" if patient.number % 2 else "2"
    grade = "0" if cancer or benign else str(int(rng.integers(1, 3)))
    shown = "AT" if patient.number % 30 == 29 and view == "MLO" else view
    return (
        *(site, name, image, side[0].upper(), shown, f"{patient.age}.0"),
        *(str(int(cancer)), str(int(biopsy)), str(int(cancer and patient.number % 3 > 0))),
        grade if site == "1" else "",
        str(int(patient.number % 20 == 7)),
        patient.density.upper() if site == "1" else "",
        *(machine, str(benign and not biopsy)),
    )


def _dataset(twin: Twin, number: int, name: str) -> Dataset:
    """Return the attributes that the challenge left in its files."""
    dataset = Dataset()
    dataset.SOPClassUID = _SOP_CLASS
    dataset.StudyInstanceUID = synthetic_uid(twin.seed, "rsna_2022", "study", number)
    dataset.SeriesInstanceUID = synthetic_uid(twin.seed, "rsna_2022", "series", number)
    dataset.Modality = "MG"
    dataset.PatientID = name
    dataset.RescaleIntercept, dataset.RescaleSlope = 0, 1
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    return dataset
