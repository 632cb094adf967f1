"""What twins of a user's own archive share: 16-bit PNG files, and one row of a table for each."""

from __future__ import annotations

from pathlib import Path

import cv2

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.patient import Patient, Side, View
from mammoshift.phantoms.scanner import ScannerModel, quantise
from mammoshift.phantoms.scanners import changed_scanner
from mammoshift.phantoms.truth import keep_truth

FOLDER = "images"
BITS = 16

SCANNER = ScannerModel(
    name="amorphous selenium",
    pixel_pitch_mm=0.07,
    field_mm=(4096 * 0.07, 3328 * 0.07),
    mtf_frequency_per_mm=6.0,
    mtf_exponent=1.2,
    tone="sigmoid",
    bits=BITS,
    window=1.8,
    centre=0.15,
    thickness_equalisation=0.75,
    edge_enhancement=0.7,
)
"""Plausible values for a selenium detector."""


def scanner_of(twin: Twin) -> ScannerModel:
    """Return the scanner that the twin's images are made by."""
    return changed_scanner(SCANNER, twin.scanner, twin.magnification_of_pitch)


def write_view(patient: Patient, side: Side, view: View, twin: Twin, root: Path, name: str) -> str:
    """Write one view below `root` and return its path as the table has it."""
    scanner = scanner_of(twin)
    grey, _ = image_breast(patient, side, view, scanner, twin.population.lesion_contrast)
    path = root / FOLDER / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), quantise(grey, BITS))
    keep_truth(twin, root, path, (patient, side, view, scanner))
    return path.relative_to(root).as_posix()
