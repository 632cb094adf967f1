"""A twin of CMMD: DICOM as the NBIA Data Retriever lays it out, and the clinical workbook.

Included defects: one patient with two 16-bit files; one whose first file is the MLO; part D2
imaged on both sides with only the lesion's side in the workbook; backslashes in `metadata.csv`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydicom.dataset import Dataset

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.patient import CaseMix, Patient, Side, View, draw_patient, other_side
from mammoshift.phantoms.scanner import ScannerModel, quantise
from mammoshift.phantoms.scanners import changed_scanner
from mammoshift.phantoms.streams import stream, synthetic_uid
from mammoshift.phantoms.truth import keep_truth
from mammoshift.phantoms.twins.layout import Layout
from mammoshift.phantoms.twins.output import (
    NBIA_COLUMNS,
    delimited_table,
    write_dicom,
    write_workbook,
)

SCANNER = ScannerModel(
    name="caesium iodide on amorphous silicon",
    pixel_pitch_mm=0.094090909,
    field_mm=(2294 * 0.094090909, 1914 * 0.094090909),
    mtf_frequency_per_mm=4.8,
    mtf_exponent=1.45,
    tone="sigmoid",
    bits=8,
    window=1.7,
    centre=0.12,
    thickness_equalisation=0.75,
    edge_enhancement=0.7,
)
"""A fit to the measured MTF of a GE Senographe DS; the other values are plausible."""

Part = Literal["D1", "D2"]

MANIFEST_FOLDER = "manifest-1616439774456"
WORKBOOK = "CMMD_clinicaldata_revision.xlsx"
_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.1.2"
_SOP_CLASS_NAME = "Digital Mammography X-Ray Image Storage - For Presentation"
_STUDY_DATES = ("20100718", "20110718", "20120717", "20090718", "20080717")
_VIEW_CODES: dict[View, tuple[str, str]] = {
    "CC": ("399162004", "cranio-caudal"),
    "MLO": ("399368009", "medio-lateral oblique"),
}
_SUBTYPES = ("Luminal B", "Luminal A", "HER2-enriched", "triple negative", None)
_SUBTYPE_SHARES = (0.49, 0.20, 0.18, 0.11, 0.02)
_MIX = CaseMix(mass=0.61, calcification=0.14, both=0.25, normals=False)

_SIXTEEN_BIT_PATIENT = 1
_REVERSED_PATIENT = 2


@dataclass(frozen=True)
class CmmdRows:
    """One patient's rows: of `metadata.csv`, and of the workbook (one for each labelled breast)."""

    metadata: tuple[str, ...]
    clinical: tuple[tuple[str | int | None, ...], ...]


def write_patient(twin: Twin, number: int, root: Path) -> CmmdRows:
    """Write the two or four images of one patient and return the table rows."""
    part = _part(twin, number)
    patient = draw_patient(twin.seed, number, twin.population, _mix(number, part))
    scanner = changed_scanner(SCANNER, twin.scanner, twin.magnification_of_pitch)
    if number == _SIXTEEN_BIT_PATIENT:
        scanner = replace(scanner, bits=16)
    patient_id = f"{part}-{number:04d}"
    study = synthetic_uid(twin.seed, "cmmd", "study", number)
    series = synthetic_uid(twin.seed, "cmmd", "series", number)
    date = _STUDY_DATES[int(stream(twin.seed, "cmmd", "date", number).integers(0, 5))]
    shown = f"{date[4:6]}-{date[6:]}-{date[:4]}"
    folder = Path("CMMD", patient_id, f"{shown}-NA-NA-{study[-5:]}", f"1.000000-NA-{series[-5:]}")

    images = _images(patient, part, number)
    for count, (side, view) in enumerate(images, start=1):
        grey, _ = image_breast(patient, side, view, scanner, twin.population.lesion_contrast)
        dataset = _dataset(patient, side, view, scanner)
        dataset.PatientID = patient_id
        dataset.PatientName = patient_id
        dataset.StudyDate = date
        dataset.StudyInstanceUID = study
        dataset.SeriesInstanceUID = series
        dataset.SOPInstanceUID = synthetic_uid(twin.seed, "cmmd", "image", number, count)
        dataset.InstanceNumber = count
        path = root / MANIFEST_FOLDER / folder / f"1-{count}.dcm"
        write_dicom(dataset, quantise(grey, scanner.bits), path)
        keep_truth(twin, root, path, (patient, side, view, scanner))

    location = ".\\" + "\\".join(folder.parts)
    megabytes = len(images) * scanner.shape[0] * scanner.shape[1] * scanner.bits / 8 / 1e6
    metadata = (
        *(series, "CMMD", "NO", "", patient_id, study, "NA", shown, "NA", "NA", "MG"),
        *(_SOP_CLASS_NAME, _SOP_CLASS, str(len(images)), f"{megabytes:.2f} MB", location, ""),
    )
    return CmmdRows(metadata, _clinical_rows(patient, patient_id, part))


def write_tables(twin: Twin, patients: Iterator[CmmdRows], root: Path) -> None:
    """Write `metadata.csv` and the clinical workbook."""
    del twin
    metadata = root / MANIFEST_FOLDER / "metadata.csv"
    with delimited_table(metadata, NBIA_COLUMNS, "\n") as nbia:

        def clinical_rows() -> Iterator[tuple[str | int | None, ...]]:
            yield ("ID1", "LeftRight", "Age", "number", "abnormality", "classification", "subtype")
            for rows in patients:
                nbia.writerow(rows.metadata)
                yield from rows.clinical

        write_workbook(root / WORKBOOK, "Sheet1", clinical_rows())


LAYOUT = Layout(write_patient, write_tables)


def _part(twin: Twin, number: int) -> Part:
    """Return D1 or D2; nearly all of D2 is malignant."""
    if number in {_SIXTEEN_BIT_PATIENT, _REVERSED_PATIENT}:
        return "D1"
    drawn = float(stream(twin.seed, "cmmd", "part", number).random())
    pathology = draw_patient(twin.seed, number, twin.population, _MIX).pathology
    return "D2" if drawn < (0.55 if pathology == "malignant" else 0.02) else "D1"


def _mix(number: int, part: Part) -> CaseMix:
    """Return the case mix; every eighteenth place of D1 has a lesion in both breasts."""
    return replace(_MIX, bilateral=part == "D1" and number % 18 == 9)


def _images(patient: Patient, part: Part, number: int) -> list[tuple[Side, View]]:
    """Return the images of a patient in file order: left before right, CC before MLO."""
    sides: tuple[Side, ...] = ("left", "right")
    if part == "D1" and not patient.lesions_of(other_side(patient.main_side)):
        sides = (patient.main_side,)
    views: tuple[View, View] = ("MLO", "CC") if number == _REVERSED_PATIENT else ("CC", "MLO")
    return [(side, view) for side in sides for view in views]


def _clinical_rows(
    patient: Patient, patient_id: str, part: Part
) -> tuple[tuple[str | int | None, ...], ...]:
    rng = stream(patient.seed, "cmmd", "subtype", patient.number)
    subtype = _SUBTYPES[int(rng.choice(5, p=_SUBTYPE_SHARES))] if part == "D2" else None
    rows: list[tuple[str | int | None, ...]] = []
    for side in ("left", "right"):
        kinds = patient.kinds_of(side)
        if kinds:
            abnormality = "both" if len(kinds) == 2 else next(iter(kinds))
            label = patient.pathology_of(side).capitalize()
            letter = side[0].upper()
            rows.append((patient_id, letter, patient.age, 2, abnormality, label, subtype))
    return tuple(rows)


def _dataset(patient: Patient, side: Side, view: View, scanner: ScannerModel) -> Dataset:
    """Return the attributes that do not name the patient or the instance."""
    dataset = Dataset()
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.SOPClassUID = _SOP_CLASS
    dataset.Modality = "MG"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.Manufacturer = ""
    dataset.PatientSex = "F"
    dataset.PatientAge = f"{patient.age:03d}Y"
    dataset.BodyPartExamined = "BREAST"
    dataset.ImagerPixelSpacing = [f"{scanner.pitch_mm:.9f}"] * 2
    dataset.SeriesNumber = 1
    chest_wall = {"left": "A", "right": "P"}[side]
    across = {"left": "R", "right": "L"}[side]
    dataset.PatientOrientation = [chest_wall, across if view == "CC" else f"F{across}"]
    dataset.ImageLaterality = side[0].upper()
    dataset.BurnedInAnnotation = "NO"
    middle = 2 ** (scanner.bits - 1)
    dataset.WindowCenter, dataset.WindowWidth = middle, 2 * middle
    dataset.VOILUTFunction = "SIGMOID"
    dataset.RescaleIntercept, dataset.RescaleSlope = 0, 1
    dataset.RescaleType = "US"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.LossyImageCompression = "00"
    code, meaning = _VIEW_CODES[view]
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", meaning
    dataset.ViewCodeSequence = [item]
    return dataset
