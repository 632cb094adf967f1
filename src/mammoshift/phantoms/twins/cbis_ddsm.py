"""A twin of CBIS-DDSM: film as 16-bit secondary captures, four CSVs, and the ROI series.

Layout A of the NBIA Data Retriever. Included defects: `breast_density` in one header and
`breast density` in the other; line feeds inside quoted cells; `000000.dcm` in the tables where
the disk has `1-1.dcm`; patients in both the mass and the calcification tables whose film occurs
twice under different UIDs, some of them in the training set of one and the test set of the
other; a patient whose breasts are in different sets; density 0 and a patient with two densities;
crop and mask in either order, in one series or two; masks of another size than their image.

The ROI series (crop and mask) are written for every fourth patient only; the tables name them for
all, as after a partial download.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.outline import LesionSite
from mammoshift.phantoms.patient import (
    CaseMix,
    Lesion,
    LesionKind,
    Patient,
    Side,
    View,
    draw_patient,
)
from mammoshift.phantoms.scanner import ScannerModel, detector_position, quantise
from mammoshift.phantoms.scanners import changed_scanner
from mammoshift.phantoms.streams import stream, synthetic_uid
from mammoshift.phantoms.truth import keep_truth
from mammoshift.phantoms.twins.layout import Layout
from mammoshift.phantoms.twins.output import NBIA_COLUMNS, delimited_table, write_dicom

SCANNER = ScannerModel(
    name="screen-film, transmission digitiser",
    pixel_pitch_mm=0.05,
    field_mm=(236.0, 148.0),
    mtf_frequency_per_mm=4.0,
    mtf_exponent=1.2,
    tone="film",
    bits=16,
    electronic_noise=0.0,
    digitiser="transmission",
    grain=0.03,
    label_share=0.8,
    dust_per_cm2=0.015,
)
"""Plausible values for a screen and a transmission digitiser; none are published."""

Subset = Literal["Training", "Test"]
Table = tuple[LesionKind, Subset]

MANIFEST_FOLDER = "manifest-ZkhPvrLo5216730872708713142"
TEST_SHARE = 0.2
FULL, ROI, CROP = "full mammogram images", "ROI mask images", "cropped images"

_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.7"
_DATES = ("20160720", "20160807", "20161004", "20170829", "20170906")
_TRANSMISSION_SHARE = 0.08
_FILES: dict[Table, str] = {
    ("mass", "Training"): "mass_case_description_train_set.csv",
    ("mass", "Test"): "mass_case_description_test_set.csv",
    ("calcification", "Training"): "calc_case_description_train_set.csv",
    ("calcification", "Test"): "calc_case_description_test_set.csv",
}
_WORDS: dict[LesionKind, str] = {"mass": "Mass", "calcification": "Calc"}
_HEADERS: dict[LesionKind, str] = {
    "mass": (
        "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,"
        "mass shape,mass margins,assessment,pathology,subtlety,image file path,"
        "cropped image file path,ROI mask file path"
    ),
    "calcification": (
        "patient_id,breast density,left or right breast,image view,abnormality id,abnormality type,"
        "calc type,calc distribution,assessment,pathology,subtlety,image file path,"
        "cropped image file path,ROI mask file path"
    ),
}
_DESCRIPTORS: dict[tuple[str, str], tuple[tuple[str, ...], tuple[str, ...]]] = {
    ("mass", "malignant"): (
        ("IRREGULAR", "IRREGULAR-ARCHITECTURAL_DISTORTION", "LOBULATED"),
        ("SPICULATED", "ILL_DEFINED", "MICROLOBULATED-SPICULATED"),
    ),
    ("mass", "benign"): (("OVAL", "ROUND", "LOBULATED"), ("CIRCUMSCRIBED", "OBSCURED", "")),
    ("calcification", "malignant"): (
        ("PLEOMORPHIC", "FINE_LINEAR_BRANCHING", "AMORPHOUS"),
        ("CLUSTERED", "LINEAR", "SEGMENTAL"),
    ),
    ("calcification", "benign"): (
        ("PUNCTATE", "ROUND_AND_REGULAR", "PUNCTATE-AMORPHOUS"),
        ("CLUSTERED", "REGIONAL", ""),
    ),
}


@dataclass(frozen=True)
class CbisRows:
    """One patient's rows: of each case table, and of `metadata.csv`."""

    cases: tuple[tuple[Table, tuple[str, ...]], ...]
    metadata: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class _Series:
    """One DICOM series and where the tables and the disk put it."""

    patient_id: str
    study: str
    uid: str
    date: str
    description: str

    @property
    def folder(self) -> Path:
        shown = f"{self.date[4:6]}-{self.date[6:]}-{self.date[:4]}"
        return Path(
            "CBIS-DDSM",
            self.patient_id,
            f"{shown}-DDSM-NA-{self.study[-5:]}",
            f"1.000000-{self.description}-{self.uid[-5:]}",
        )

    def cell(self, count: int) -> str:
        """Return the path that the tables give for file `count` (from 0)."""
        return f"{self.patient_id}/{self.study}/{self.uid}/{count:06d}.dcm"

    def metadata(self, files: int, pixels: int) -> tuple[str, ...]:
        """Return this series' row of `metadata.csv`."""
        return (
            *(self.uid, "CBIS-DDSM", "NO", "", self.patient_id, self.study, "DDSM"),
            *(self.folder.parts[2][:10], self.description, "", "MG"),
            *("Secondary Capture Image Storage", _SOP_CLASS, str(files)),
            *(f"{pixels * 2 / 1e6:.2f} MB", f"./{self.folder.as_posix()}", ""),
        )


def write_patient(twin: Twin, number: int, root: Path) -> CbisRows:
    """Write one patient's films (and ROI series) and return the table rows."""
    patient = draw_patient(twin.seed, number, twin.population, _mix(number))
    scanner = _film_of(twin, number)
    cases: list[tuple[Table, tuple[str, ...]]] = []
    metadata: list[tuple[str, ...]] = []
    for side in ("left", "right"):
        kinds = sorted(patient.kinds_of(side), reverse=True)
        for view in _views(number) if kinds else ():
            grey, sites = image_breast(
                patient, side, view, scanner, twin.population.lesion_contrast
            )
            pixels = quantise(grey, 16)
            for kind in kinds:
                table = (kind, _subset(twin, number, kind, side))
                full = _series(twin, number, _long_id(table, number, side, view), FULL)
                path = _write(full, 1, pixels, side, view, root)
                keep_truth(twin, root, path, (patient, side, view, scanner))
                metadata.append(full.metadata(1, pixels.size))
                own = [site for site in sites if site.lesion.kind == kind]
                for count, site in enumerate(own, start=1):
                    row, series = _write_lesion(
                        twin, patient, table, count, site, full, pixels, scanner, view, root
                    )
                    cases.append((table, row))
                    metadata.extend(series)
    return CbisRows(tuple(cases), tuple(metadata))


def write_tables(twin: Twin, patients: Iterator[CbisRows], root: Path) -> None:
    """Write the four case tables and `metadata.csv`."""
    del twin
    with ExitStack() as stack:
        tables = {
            table: stack.enter_context(
                delimited_table(root / name, _HEADERS[table[0]].split(","), "\r\n")
            )
            for table, name in _FILES.items()
        }
        nbia = stack.enter_context(
            delimited_table(root / MANIFEST_FOLDER / "metadata.csv", NBIA_COLUMNS, "\n")
        )
        for rows in patients:
            for table, row in rows.cases:
                tables[table].writerow(row)
            nbia.writerows(rows.metadata)


LAYOUT = Layout(write_patient, write_tables)


def _mix(number: int) -> CaseMix:
    """Return the case mix of a place; the twentieth ones are in both tables."""
    if number % 20 == 4:
        return CaseMix(mass=0.0, calcification=0.0, both=1.0, normals=False)
    return CaseMix(
        mass=0.55,
        calcification=0.45,
        both=0.0,
        normals=False,
        bilateral=number % 16 == 9,
        second_lesion=number % 12 == 5,
    )


def _views(number: int) -> tuple[View, ...]:
    """Return the views of a patient; a few have one only."""
    return ("MLO",) if number % 16 == 3 else ("CC", "MLO")


def _subset(twin: Twin, number: int, kind: LesionKind, side: Side) -> Subset:
    """Return the official subset.

    Two places in sixty are in different ones as mass and as calc, and one in 240, which has
    lesions in both breasts, by the breast.
    """
    if number % 240 == 25:
        return "Test" if side == "right" else "Training"
    crossing: dict[int, LesionKind] = {4: "calcification", 24: "mass"}
    if number % 60 in crossing:
        return "Test" if crossing[number % 60] == kind else "Training"
    drawn = float(stream(twin.seed, "cbis_ddsm", "official split", number).random())
    return "Test" if drawn < TEST_SHARE else "Training"


def _film_of(twin: Twin, number: int) -> ScannerModel:
    """Return the scanner with this patient's film size and digitiser.

    The archive was digitised on several devices and never normalised: most read linearly in
    optical density, one in transmission.
    """
    rng = stream(twin.seed, "cbis_ddsm", "film", number)
    own = changed_scanner(SCANNER, twin.scanner, twin.magnification_of_pitch)
    height, width = rng.uniform(0.93, 1.0), rng.uniform(0.90, 1.10)
    linear = rng.random() >= _TRANSMISSION_SHARE
    return replace(
        own,
        field_mm=(own.field_mm[0] * float(height), own.field_mm[1] * float(width)),
        digitiser="density" if linear else own.digitiser,
    )


def _long_id(table: Table, number: int, side: Side, view: View) -> str:
    return f"{_WORDS[table[0]]}-{table[1]}_P_{number:05d}_{side.upper()}_{view}"


def _series(twin: Twin, number: int, patient_id: str, description: str, part: int = 0) -> _Series:
    key = ("cbis_ddsm", patient_id, part)
    date = _DATES[int(stream(twin.seed, "cbis_ddsm", "date", number).integers(0, len(_DATES)))]
    study = synthetic_uid(twin.seed, "study", *key)
    return _Series(patient_id, study, synthetic_uid(twin.seed, "series", *key), date, description)


def _write(
    series: _Series,
    count: int,
    pixels: npt.NDArray[np.unsignedinteger],
    side: Side,
    view: View,
    root: Path,
) -> Path:
    """Write file `count` (from 1) of a series and return its path."""
    dataset = Dataset()
    dataset.SOPClassUID = _SOP_CLASS
    dataset.SOPInstanceUID = synthetic_uid(0, "image", series.uid, count)
    dataset.StudyDate = dataset.ContentDate = series.date
    dataset.Modality = "MG"
    dataset.ConversionType = "WSD"
    dataset.StudyDescription = "DDSM"
    dataset.SeriesDescription = series.description
    dataset.PatientName = dataset.PatientID = series.patient_id
    dataset.BodyPartExamined = "BREAST"
    dataset.StudyInstanceUID = series.study
    dataset.SeriesInstanceUID = series.uid
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = count
    dataset.PatientOrientation = view
    dataset.Laterality = side[0].upper()
    path = root / MANIFEST_FOLDER / series.folder / f"1-{count}.dcm"
    write_dicom(dataset, pixels, path)
    return path


def _write_lesion(
    twin: Twin,
    patient: Patient,
    table: Table,
    count: int,
    site: LesionSite,
    full: _Series,
    pixels: npt.NDArray[np.unsignedinteger],
    scanner: ScannerModel,
    view: View,
    root: Path,
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Write the crop and the mask of one lesion; return its table row and its series' rows."""
    number, lesion = patient.number, site.lesion
    long_id = f"{full.patient_id}_{count}"
    apart = table[0] == "mass" and number % 30 == 8
    crop_series = _series(twin, number, long_id, CROP, 1)
    mask_series = (
        _series(twin, number, long_id, ROI, 2) if apart else replace(crop_series, description=ROI)
    )
    if not apart:
        crop_series = mask_series
    series: list[tuple[str, ...]] = []
    if number % 4 == 0:
        mask, crop = _mask_and_crop(site, pixels, scanner, lesion.side)
        if number % 28 == 12:
            shrunk = (round(mask.shape[1] * 0.93), round(mask.shape[0] * 0.97))
            mask = cv2.resize(mask, shrunk, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
        crop_first = bool(stream(twin.seed, "cbis_ddsm", "file order", long_id).random() < 0.5)
        crop_count, mask_count = (1, 1) if apart else (1, 2) if crop_first else (2, 1)
        _write(crop_series, crop_count, crop, lesion.side, view, root)
        _write(mask_series, mask_count, mask, lesion.side, view, root)
        written = [crop_series, mask_series] if apart else [mask_series]
        series = [one.metadata(2 // len(written), mask.size) for one in written]
    if apart:
        crop_cell, mask_cell = crop_series.cell(0), f"{mask_series.cell(0)}\n"
    elif table[0] == "mass":
        crop_cell, mask_cell = crop_series.cell(0), f"{mask_series.cell(1)}\n"
    else:
        crop_cell, mask_cell = f"{crop_series.cell(1)}\n", mask_series.cell(0)
    row = (
        f"P_{number:05d}",
        str(_density(patient, table[0], view)),
        lesion.side.upper(),
        view,
        str(count),
        table[0],
        *_findings(twin, number, lesion),
        full.cell(0),
        crop_cell,
        mask_cell,
    )
    return row, series


def _density(patient: Patient, kind: LesionKind, view: View) -> int:
    """Return density 1 to 4, or 0 where it is missing; a few patients have two."""
    if kind == "calcification" and patient.number % 120 == 4:
        return 0
    rank = "abcd".index(patient.density) + 1
    if patient.number % 40 == 15 and view == "MLO":
        return rank - 1 if rank > 1 else 2
    return rank


def _findings(twin: Twin, number: int, lesion: Lesion) -> tuple[str, ...]:
    """Return two descriptors, assessment, pathology and subtlety."""
    rng = stream(twin.seed, "cbis_ddsm", "findings", number, lesion.number)
    first, second = (
        words[int(rng.integers(0, len(words)))]
        for words in _DESCRIPTORS[lesion.kind, lesion.pathology]
    )
    assessment = "0" if rng.random() < 0.07 else lesion.birads[0]
    pathology = lesion.pathology.upper()
    if lesion.pathology == "benign" and lesion.birads == "2":
        pathology = "BENIGN_WITHOUT_CALLBACK"
    return first, second, assessment, pathology, str(int(rng.integers(1, 6)))


def _mask_and_crop(
    site: LesionSite,
    pixels: npt.NDArray[np.unsignedinteger],
    scanner: ScannerModel,
    side: Side,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16]]:
    """Return the disc around a lesion (0 or 255, full size), and the film inside its square."""
    row, column = detector_position(site.row_mm, site.column_mm, scanner)
    if side == "right":
        column = pixels.shape[1] - 1 - column
    radius = 1.2 * site.radius_mm / scanner.pitch_mm
    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    inside = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    mask = np.where(inside, 255, 0).astype(np.uint8)
    top, bottom = (int(np.clip(row + s * radius, 0, pixels.shape[0] - 1)) for s in (-1, 1))
    left, right = (int(np.clip(column + s * radius, 0, pixels.shape[1] - 1)) for s in (-1, 1))
    return mask, pixels[top : bottom + 1, left : right + 1].astype(np.uint16)
