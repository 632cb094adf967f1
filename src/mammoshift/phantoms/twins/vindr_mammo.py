"""A twin of VinDr-Mammo: screening with four views, DICOM files, and two tables.

Included properties: most patients are normal with no row of findings but `No Finding`; findings
below BI-RADS 3 have no box; categories are a Python list as text; 12 significant bits in 16; one
maker stores MONOCHROME1; the ids are hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.outline import LesionSite
from mammoshift.phantoms.patient import CaseMix, Patient, Side, View, draw_patient
from mammoshift.phantoms.scanner import ScannerModel, detector_position, quantise
from mammoshift.phantoms.scanners import changed_scanner
from mammoshift.phantoms.streams import stream, synthetic_uid
from mammoshift.phantoms.truth import keep_truth
from mammoshift.phantoms.twins.layout import Layout
from mammoshift.phantoms.twins.output import delimited_table, write_dicom

SCANNER = ScannerModel(
    name="amorphous selenium, screening",
    pixel_pitch_mm=0.085,
    field_mm=(3518 * 0.085, 2800 * 0.085),
    mtf_frequency_per_mm=5.5,
    mtf_exponent=1.25,
    tone="sigmoid",
    bits=12,
    window=1.6,
    centre=0.15,
    thickness_equalisation=0.8,
    edge_enhancement=0.8,
)
"""Plausible values for a screening unit; none are published for this archive."""

_MIX = CaseMix(mass=0.5, calcification=0.35, both=0.15, normals=True)
_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.1.2"
_BREASTS = (
    *("study_id", "series_id", "image_id", "laterality", "view_position", "height", "width"),
    *("breast_birads", "breast_density", "split"),
)
_FINDINGS = (
    *_BREASTS[:-1],
    *("finding_categories", "finding_birads", "xmin", "ymin", "xmax", "ymax", "split"),
)
_TEST_SHARE = 0.2

_IMAGES: tuple[tuple[Side, View], ...] = (
    ("left", "CC"),
    ("left", "MLO"),
    ("right", "CC"),
    ("right", "MLO"),
)


@dataclass(frozen=True)
class VindrRows:
    """One patient's rows of both tables."""

    breasts: tuple[tuple[str, ...], ...]
    findings: tuple[tuple[str, ...], ...]


def write_patient(twin: Twin, number: int, root: Path) -> VindrRows:
    """Write the four images of one patient and return the rows of both tables."""
    patient = draw_patient(twin.seed, number, twin.population, _MIX)
    scanner = changed_scanner(SCANNER, twin.scanner, twin.magnification_of_pitch)
    study, series = _hash(twin, "study", number), _hash(twin, "series", number)
    test = float(stream(twin.seed, "vindr_mammo", "split", number).random()) < _TEST_SHARE
    split = "test" if test else "training"
    breasts: list[tuple[str, ...]] = []
    findings: list[tuple[str, ...]] = []
    for side, view in _IMAGES:
        image = _hash(twin, "image", number, side, view)
        grey, sites = image_breast(patient, side, view, scanner, twin.population.lesion_contrast)
        pixels = quantise(grey, 12).astype(np.uint16)
        dataset = _dataset(twin, patient, side, view, scanner)
        dataset.SOPInstanceUID = synthetic_uid(twin.seed, "vindr_mammo", "image", image)
        path = root / "images" / study / f"{image}.dicom"
        write_dicom(dataset, pixels, path, bits_stored=12, bright_is_low=number % 4 == 0)
        keep_truth(twin, root, path, (patient, side, view, scanner))
        shared = (
            *(study, series, image, side[0].upper(), view),
            *(str(scanner.shape[0]), str(scanner.shape[1])),
            *(f"BI-RADS {_grade(patient, side)}", f"DENSITY {patient.density.upper()}"),
        )
        breasts.append((*shared, split))
        rows = [_finding(patient, site, scanner, side == "right") for site in sites]
        findings.extend(
            (*shared, *row, split) for row in rows or [("['No Finding']", "", "", "", "", "")]
        )
    return VindrRows(tuple(breasts), tuple(findings))


def write_tables(twin: Twin, patients: Iterator[VindrRows], root: Path) -> None:
    """Write the table of breasts and that of findings."""
    del twin
    with ExitStack() as stack:
        breasts, findings = (
            stack.enter_context(delimited_table(root / name, header, "\n"))
            for name, header in (
                ("breast-level_annotations.csv", _BREASTS),
                ("finding_annotations.csv", _FINDINGS),
            )
        )
        for rows in patients:
            breasts.writerows(rows.breasts)
            findings.writerows(rows.findings)


LAYOUT = Layout(write_patient, write_tables)


def _hash(twin: Twin, *key: str | int) -> str:
    return hashlib.md5(repr((twin.seed, *key)).encode(), usedforsecurity=False).hexdigest()


def _grade(patient: Patient, side: Side) -> str:
    """Return the assessment of one breast, from 1 to 5; the archive's label is nothing else."""
    pathology = patient.pathology_of(side)
    if pathology == "normal":
        return "1" if patient.number % 4 else "2"
    rng = stream(patient.seed, "vindr_mammo", "grade", patient.number, side)
    grades = ("4", "4", "5") if pathology == "malignant" else ("2", "3", "3")
    return grades[int(rng.integers(0, 3))]


def _finding(
    patient: Patient, site: LesionSite, scanner: ScannerModel, mirrored: bool
) -> tuple[str, ...]:
    """Return categories, BI-RADS and box of one finding; without a box below BI-RADS 3."""
    kind = "Mass" if site.lesion.kind == "mass" else "Suspicious Calcification"
    more = ", 'Skin Thickening'" if patient.number % 9 == 4 else ""
    grade = _grade(patient, site.lesion.side)
    if grade == "2":
        return "['No Finding']", "", "", "", "", ""
    row, column = detector_position(site.row_mm, site.column_mm, scanner)
    if mirrored:
        column = scanner.shape[1] - 1 - column
    radius = 1.2 * site.radius_mm / scanner.pitch_mm
    corners = (column - radius, row - radius, column + radius, row + radius)
    return f"['{kind}'{more}]", f"BI-RADS {grade}", *(f"{value:.6f}" for value in corners)


def _dataset(
    twin: Twin, patient: Patient, side: Side, view: View, scanner: ScannerModel
) -> Dataset:
    """Return the attributes that do not name the instance."""
    dataset = Dataset()
    dataset.SOPClassUID = _SOP_CLASS
    dataset.StudyInstanceUID = synthetic_uid(twin.seed, "vindr_mammo", "study", patient.number)
    dataset.SeriesInstanceUID = synthetic_uid(twin.seed, "vindr_mammo", "series", patient.number)
    dataset.Modality = "MG"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.Manufacturer = "SIEMENS"
    dataset.PatientAge = f"{patient.age:03d}Y"
    dataset.ImageLaterality = side[0].upper()
    dataset.ViewPosition = view
    dataset.ImagerPixelSpacing = [f"{scanner.pitch_mm:.6f}"] * 2
    dataset.RescaleIntercept, dataset.RescaleSlope = 0, 1
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    return dataset
