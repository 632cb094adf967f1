"""Mammograms of the twins with what was drawn: the truth that masks are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammoshift.configuration.dataset import Population, Scanner
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.patient import CaseMix, Patient, Side, View, draw_patient
from mammoshift.phantoms.scanner import ScannerModel, quantise
from mammoshift.phantoms.scanners import scanner_for
from mammoshift.phantoms.truth import AIR, MUSCLE, truth_of

Mask = NDArray[np.bool_]

KINDS = ("cbis_ddsm", "cbis_ddsm_transmission", "cmmd", "dmid", "mias")
_MAGNIFICATION = {"cbis_ddsm": 8.0, "cmmd": 4.0, "dmid": 8.0, "mias": 2.0}
_MIX = CaseMix(mass=0.5, calcification=0.4, both=0.1, normals=False)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A mammogram, and masks of its shape: what was drawn, what of it shows, and the muscle.

    A film is black long before the skin: what its digitiser reads as air there cannot be found
    by anybody. `shown` is the part of `breast` that differs from air without any noise.
    """

    image: DecodedImage
    side: Side
    view: View
    breast: Mask
    shown: Mask
    muscle: Mask


@cache
def drawn(kind: str, patients: int = 4, seed: int = 11) -> tuple[Drawn, ...]:
    """Return both breasts of some patients in both views, as one archive's scanner shows them."""
    return tuple(_images(kind, patients, seed))


def dice(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the Dice coefficient of two masks; two empty ones agree."""
    total = int((one > 0).sum() + (other > 0).sum())
    return 2.0 * int(((one > 0) & (other > 0)).sum()) / total if total else 1.0


def _images(kind: str, patients: int, seed: int) -> Iterator[Drawn]:
    layout: Any = kind.removesuffix("_transmission")
    scanner = scanner_for(layout, Scanner(), _MAGNIFICATION[layout])
    if layout == "cbis_ddsm":
        read = "transmission" if kind.endswith("_transmission") else "density"
        scanner = replace(scanner, digitiser=read)
    views: tuple[View, ...] = ("MLO",) if layout == "mias" else ("CC", "MLO")
    sides: tuple[Side, ...] = ("left", "right")
    for number in range(1, patients + 1):
        patient = draw_patient(seed, number, Population(), _MIX)
        for side in sides:
            for view in views:
                yield _drawn(patient, side, view, scanner)


def _drawn(patient: Patient, side: Side, view: View, scanner: ScannerModel) -> Drawn:
    grey, _ = image_breast(patient, side, view, scanner)
    truth = truth_of(patient, side, view, scanner)
    breast, muscle = truth > AIR, truth == MUSCLE
    silent = replace(
        scanner,
        grain=0.0,
        dust_per_cm2=0.0,
        label_share=0.0,
        border_share=0.0,
        dose=1e7,
        electronic_noise=0.0,
    )
    clear, _ = image_breast(patient, side, view, silent)
    shown = breast & (clear > float(np.median(clear[~breast])) + _least_contrast(scanner))
    image = DecodedImage(np.ascontiguousarray(quantise(grey, scanner.bits)), scanner.bits)
    return Drawn(image, side, view, breast, shown, muscle)


def _least_contrast(scanner: ScannerModel) -> float:
    """Return the contrast that the noise of a single pixel still lets through."""
    if scanner.tone != "film":
        return 0.004
    if scanner.digitiser == "transmission":
        return 8.0 / 65535.0
    # Less than a grey step and a half cannot be told from air either.
    return max(0.4 * scanner.grain, 1.5 / (2**scanner.bits - 1))
