"""A twin of DMID: RGBA TIFF, ROI masks, radiology reports and a workbook that opens with prose.

Images are named `IMG###`, reports `Img###`. Included defects: 31 lines of text before the
workbook's data and no header; trailing blanks in ids and classes; `CLAC` for `CALC`; several
rows for one image; misspelt report keys, several BI-RADS values in one report, reports without
density; benign images whose report says BI-RADS 1; no patient id anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.outline import LesionSite
from mammoshift.phantoms.patient import CaseMix, Density, Patient, View, draw_patient
from mammoshift.phantoms.scanner import ScannerModel, detector_position, quantise
from mammoshift.phantoms.scanners import changed_scanner
from mammoshift.phantoms.streams import stream
from mammoshift.phantoms.truth import keep_truth
from mammoshift.phantoms.twins.layout import Layout
from mammoshift.phantoms.twins.output import write_workbook

SCANNER = ScannerModel(
    name="computed radiography",
    pixel_pitch_mm=0.05,
    field_mm=(6000 * 0.05, 4743 * 0.05),
    mtf_frequency_per_mm=2.8,
    mtf_exponent=1.3,
    tone="sigmoid",
    bits=8,
    dose=0.6,
    electronic_noise=8.0,
    window=2.2,
    centre=0.2,
    thickness_equalisation=0.6,
    edge_enhancement=0.4,
    label_share=1.0,
)
"""Plausible values for a plate of computed radiography; none are published."""

LINES_OF_PROSE = 31

_MIX = CaseMix(mass=0.55, calcification=0.25, both=0.20, normals=True)
_TISSUE: dict[Density, str] = {"a": "F", "b": "G", "c": "D", "d": "D"}
_COMPOSITION: dict[Density, str] = {
    "a": "almost entirely fatty breast",
    "b": "scattered fibroglandular tissue",
    "c": "heterogeneously dense fibroglandular tissue",
    "d": "extremely dense fibroglandular tissue",
}
_PROSE = (
    "Synthetic mammograms in the layout of DMID",
    "",
    "The columns are, in this order:",
    "1 image reference number",
    "2 view: CCLT, CCRT, MLOLT or MLORT",
    "3 background tissue",
    "  F fatty",
    "  G fatty-glandular",
    "  D dense-glandular",
    "4 abnormality",
    "  CALC calcification",
    "  CIRC circumscribed mass",
    "  SPIC spiculated mass",
    "  MISC other, ill-defined mass",
    "  ARCH architectural distortion",
    "  ASYM asymmetry",
    "  NORM normal",
    "5 class of abnormality",
    "  B benign",
    "  M malignant",
    "  N normal",
    "6 x of the centre of the abnormality",
    "7 y of the centre of the abnormality",
    "8 radius in pixels",
    "",
    "Coordinates count from the bottom-left corner.",
    "An image with several abnormalities has several rows.",
)

Row = tuple[str | int | None, ...]


@dataclass(frozen=True)
class DmidRows:
    """One patient's rows of `Metadata.xlsx`."""

    rows: tuple[Row, ...]


def write_patient(twin: Twin, number: int, root: Path) -> DmidRows:
    """Write the CC and the MLO of one patient with reports and masks; return the rows."""
    mix = replace(_MIX, second_lesion=number % 9 == 3)
    patient = draw_patient(twin.seed, number, twin.population, mix)
    scanner = changed_scanner(SCANNER, twin.scanner, twin.magnification_of_pitch)
    side = patient.main_side
    rows: list[Row] = []
    views: tuple[View, View] = ("CC", "MLO")
    for offset, view in enumerate(views):
        image = 2 * number - 1 + offset
        grey, sites = image_breast(patient, side, view, scanner, twin.population.lesion_contrast)
        pixels = quantise(grey, 8)
        opaque = np.full_like(pixels, 255)
        rgba = np.stack([pixels, pixels, pixels, opaque], axis=-1)
        file = root / "TIFF Images" / "TIFF Images" / f"IMG{image:03d}.tif"
        _write_tiff(rgba, file)
        keep_truth(twin, root, file, (patient, side, view, scanner))
        if sites:
            mask = _mask(sites, scanner, side == "right")
            path = root / "ROI Masks" / "ROI Masks" / f"IMG{image:03d}.tif"
            _write_tiff(np.repeat(mask[..., None], 3, axis=-1), path)
        report = root / "Reports" / "Reports" / f"Img{image:03d}.txt"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_bytes(_report(patient, image).encode("ascii"))
        code = f"{view}{'LT' if side == 'left' else 'RT'}"
        rows.extend(_rows(patient, image, code, sites, scanner, side == "right"))
    return DmidRows(tuple(rows))


def write_tables(twin: Twin, patients: Iterator[DmidRows], root: Path) -> None:
    """Write `Metadata.xlsx`."""
    del twin

    def lines() -> Iterator[Row]:
        for line in range(LINES_OF_PROSE):
            yield (_PROSE[line] if line < len(_PROSE) else "",)
        for patient in patients:
            yield from patient.rows

    write_workbook(root / "Metadata.xlsx", "Sheet1", lines())


LAYOUT = Layout(write_patient, write_tables)


def _write_tiff(pixels: np.ndarray, path: Path) -> None:
    """Write rows x columns x samples of uint8, LZW-compressed; a fourth sample is alpha."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(
        path,
        pixels,
        photometric="rgb",
        extrasamples=("unassalpha",) if pixels.shape[-1] == 4 else None,
        compression="lzw",
        software=False,
        metadata=None,
    )


def _place(site: LesionSite, scanner: ScannerModel, mirrored: bool) -> tuple[float, float]:
    """Return row and column of a lesion in the stored image."""
    row, column = detector_position(site.row_mm, site.column_mm, scanner)
    return row, scanner.shape[1] - 1 - column if mirrored else column


def _mask(sites: tuple[LesionSite, ...], scanner: ScannerModel, mirrored: bool) -> np.ndarray:
    """Return 255 inside the circles around the lesions and 0 outside."""
    rows, columns = np.ogrid[: scanner.shape[0], : scanner.shape[1]]
    inside = np.zeros(scanner.shape, bool)
    for site in sites:
        row, column = _place(site, scanner, mirrored)
        radius = 1.2 * site.radius_mm / scanner.pitch_mm
        inside |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return np.where(inside, 255, 0).astype(np.uint8)


def _rows(
    patient: Patient,
    image: int,
    view_code: str,
    sites: tuple[LesionSite, ...],
    scanner: ScannerModel,
    mirrored: bool,
) -> list[Row]:
    """Return one row for each place with a lesion, or one row for a normal image."""
    name = f"IMG{image:03d}" + (" " if image % 11 == 3 else "")
    blank = " " if image % 5 == 1 else ""
    tissue = _TISSUE[patient.density]
    if not sites:
        return [(name, view_code, tissue, "NORM", f"N{blank}", None, None, None)]
    rows: list[Row] = []
    places: dict[tuple[float, float], list[LesionSite]] = {}
    for site in sites:
        places.setdefault((site.row_mm, site.column_mm), []).append(site)
    for together in places.values():
        row, column = _place(together[0], scanner, mirrored)
        radius = max(site.radius_mm for site in together) * 1.2 / scanner.pitch_mm
        words = "+".join(_abnormality(patient, image, site) for site in together)
        label = together[0].lesion.pathology[0].upper() + blank
        x, y = round(column), round(scanner.shape[0] - row)
        rows.append((name, view_code, tissue, words, label, x, y, max(1, round(radius))))
    return rows


def _abnormality(patient: Patient, image: int, site: LesionSite) -> str:
    if site.lesion.kind == "calcification":
        return "CLAC" if image % 16 == 7 else "CALC"
    drawn = float(
        stream(patient.seed, "dmid", "class", patient.number, site.lesion.number).random()
    )
    if site.lesion.pathology == "malignant":
        classes, shares = ("SPIC", "MISC", "ARCH", "CIRC"), (0.55, 0.80, 0.92)
    else:
        classes, shares = ("CIRC", "MISC", "ASYM"), (0.70, 0.90)
    return classes[int(np.searchsorted(shares, drawn, "right"))]


def _report(patient: Patient, image: int) -> str:
    """Return the report of one image in one of the archive's two forms, misspellings included."""
    lesions = patient.lesions_of(patient.main_side)
    grades = sorted({lesion.birads for lesion in lesions}) or ["1"]
    if image % 28 == 13 and patient.pathology == "benign":
        grades = ["1"]
    joined = (" and " if image % 2 else ", ").join(grades)
    composition = f"{_COMPOSITION[patient.density]} (ACR {patient.density.upper()})"
    if image % 60 == 41:
        composition = "could not be judged"
    findings = [
        f"a {lesion.kind} of {2 * lesion.radius_mm:.0f} mm (BIRADS-{lesion.birads})"
        for lesion in lesions
    ] or ["no abnormal opacity", "no suspicious calcification"]
    if image % 7 == 0:
        lines = [
            f"BREAST COMPOSITION: {composition}",
            "",
            f"FINDINGS: {'; '.join(findings)}.",
            "",
            f"BIRADS: {joined}",
        ]
    else:
        heading = {3: "Brest Composition", 19: "mBreast Composition", 27: "Breast Compositions"}
        title = {9: "Finidngs", 25: "Fundings"}
        key = "BIARDS" if image % 32 == 5 else "BIRADS"
        lines = [
            f"{heading.get(image % 32, 'Breast Composition')}: ",
            f"{composition} ",
            "",
            f"{key}: {joined}",
            "",
            f"{title.get(image % 32, 'Findings')}: ",
            *findings,
        ]
    return "\r\n".join(lines)
