"""A twin of INbreast: digital mammograms as tagless DICOM, a table, and ROIs as plists.

Included defects: `ML` for MLO in the names of files; blanks instead of a density; no view, side,
spacing or maker in the DICOM files; 12 significant bits in 16; single calcifications as regions
of one point; patients with one breast.
"""

from __future__ import annotations

import hashlib
import plistlib
from collections.abc import Iterator
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
from mammoshift.phantoms.twins.output import write_dicom

SCANNER = ScannerModel(
    name="amorphous selenium",
    pixel_pitch_mm=0.07,
    field_mm=(4084 * 0.07, 3328 * 0.07),
    mtf_frequency_per_mm=6.0,
    mtf_exponent=1.2,
    tone="sigmoid",
    bits=12,
    window=2.2,
    centre=0.1,
    thickness_equalisation=0.8,
    edge_enhancement=0.5,
)
"""Plausible values for a selenium detector; none are published for this archive."""

RELEASE = "INbreast Release 1.0"
_MIX = CaseMix(mass=0.45, calcification=0.35, both=0.20, normals=True)
_HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.7"
_FIRST_NUMBER = 20_586_900
_CORNERS = 24


@dataclass(frozen=True)
class InbreastRows:
    """One patient's lines of `INbreast.csv`."""

    lines: tuple[str, ...]


def write_patient(twin: Twin, number: int, root: Path) -> InbreastRows:
    """Write the two or four images of one patient with their regions; return the lines."""
    patient = draw_patient(twin.seed, number, twin.population, _MIX)
    scanner = changed_scanner(SCANNER, twin.scanner, twin.magnification_of_pitch)
    pseudonym = hashlib.sha256(f"{twin.seed}/{number}".encode()).hexdigest()[:16]
    sides: tuple[Side, ...] = ("left", "right")
    if number % 5 == 2:
        sides = (patient.main_side,)
    views: tuple[View, View] = ("CC", "MLO")
    lines: list[str] = []
    images: list[tuple[Side, View]] = [(side, view) for side in sides for view in views]
    for offset, (side, view) in enumerate(images):
        image = _FIRST_NUMBER + 4 * number + offset
        grey, sites = image_breast(patient, side, view, scanner, twin.population.lesion_contrast)
        letter, code = side[0].upper(), "ML" if view == "MLO" else view
        name = f"{image}_{pseudonym}_MG_{letter}_{code}_ANON.dcm"
        pixels = quantise(grey, 12).astype(np.uint16)
        file = root / RELEASE / "AllDICOMs" / name
        write_dicom(_dataset(twin, image), pixels, file)
        keep_truth(twin, root, file, (patient, side, view, scanner))
        if sites:
            path = root / RELEASE / "AllXML" / f"{image}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_regions(sites, scanner, side == "right", image))
        acr = str("abcd".index(patient.density) + 1) if image % 97 else " " * 193
        grade = _grade(patient, side)
        lines.append(f"removed;removed;{letter};{view};201001;{image};{acr};{grade}")
    return InbreastRows(tuple(lines))


def write_tables(twin: Twin, patients: Iterator[InbreastRows], root: Path) -> None:
    """Write `INbreast.csv`."""
    del twin
    table = root / RELEASE / "INbreast.csv"
    table.parent.mkdir(exist_ok=True)
    with table.open("w", encoding="ascii", newline="") as out:
        out.write(f"{_HEADER}\r\n")
        for rows in patients:
            out.writelines(f"{line}\r\n" for line in rows.lines)


LAYOUT = Layout(write_patient, write_tables)


def _grade(patient: Patient, side: Side) -> str:
    """Return the highest assessment of one breast; a benign one is never above 3 here.

    The archive has no pathology: its label is the assessment itself.
    """
    lesions = patient.lesions_of(side)
    if not lesions:
        return "1" if patient.number % 3 else "2"
    if patient.pathology_of(side) == "malignant":
        grades = ("4a", "4b", "4c", "5", "6")
    else:
        grades = ("2", "2", "3")
    rng = stream(patient.seed, "inbreast", "grade", patient.number, side)
    return grades[int(rng.integers(0, len(grades)))]


def _dataset(twin: Twin, image: int) -> Dataset:
    """Return the few attributes that the archive's files have."""
    dataset = Dataset()
    dataset.SOPClassUID = _SOP_CLASS
    dataset.SOPInstanceUID = synthetic_uid(twin.seed, "inbreast", "image", image)
    dataset.StudyInstanceUID = synthetic_uid(twin.seed, "inbreast", "study", image)
    dataset.SeriesInstanceUID = synthetic_uid(twin.seed, "inbreast", "series", image)
    dataset.Modality = "OT"
    dataset.ConversionType = "WSD"
    dataset.SecondaryCaptureDeviceManufacturer = "MathWorks"
    dataset.PatientID = dataset.PatientName = ""
    return dataset


def _regions(
    sites: tuple[LesionSite, ...], scanner: ScannerModel, mirrored: bool, image: int
) -> bytes:
    """Return the outlines around the lesions; every seventh cluster is a single point."""
    rois = []
    for index, site in enumerate(sites):
        row, column = detector_position(site.row_mm, site.column_mm, scanner)
        if mirrored:
            column = scanner.shape[1] - 1 - column
        radius = 1.2 * site.radius_mm / scanner.pitch_mm
        turns = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
        points = [(column + radius * np.cos(t), row + radius * np.sin(t)) for t in turns]
        if site.lesion.kind == "calcification" and image % 7 == 0:
            points = [(column, row)]
        rois.append(
            {
                "IndexInImage": index,
                "Name": "Mass" if site.lesion.kind == "mass" else "Calcification",
                "NumberOfPoints": len(points),
                "Point_px": [f"({x:.6f}, {y:.6f})" for x, y in points],
            }
        )
    content = {"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois}]}
    return plistlib.dumps(content, fmt=plistlib.FMT_XML)
