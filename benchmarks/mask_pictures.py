"""Pictures of how masks, crops and sides are found on the cases that once went wrong.

Run `python benchmarks/mask_pictures.py FOLDER`: for a mirrored film, a film with tape and a film
that its digitiser clips, a PNG with the stored image as a naive threshold sees it, and as the
library does. All are films of twins; numbers for real films are in docs/datasets.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.configuration.dataset import Population, Scanner
from mammoshift.configuration.model import InputRecipe
from mammoshift.imaging.breast import Box, BreastRegion, locate_breast
from mammoshift.imaging.contact_sheet import Picture, Shown, draw_tile
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.preprocess import expected_wall, preprocess_image
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.patient import CaseMix, draw_patient
from mammoshift.phantoms.scanner import quantise
from mammoshift.phantoms.scanners import scanner_for

RECIPE = InputRecipe(size=(200, 130), mask="breast", tone="percentile")
_MIX = CaseMix(mass=0.6, calcification=0.2, both=0.2, normals=False)


def main(folder: Path) -> None:
    """Write one PNG for each case."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (image, laterality, mirrored) in CASES.items():
        made = image()
        before = _tile(made, _naive_region(made), None, False)
        wall = expected_wall(laterality, mirrored)
        after = _tile(made, locate_breast(made, wall), laterality, mirrored)
        cv2.imwrite(str(folder / f"{name}.png"), np.vstack([before, after]))


def film(kind: str, digitiser: str, patient: int, magnification: float) -> DecodedImage:
    """Return an MLO film of a left breast as one archive's scanner shows it."""
    scanner = scanner_for(kind, Scanner.model_validate({"digitiser": digitiser}), magnification)
    scanner = replace(scanner, label_share=1.0, border_share=0.0)
    woman = draw_patient(31, patient, Population(), _MIX)
    grey, _ = image_breast(woman, "left", "MLO", scanner)
    pixels = np.ascontiguousarray(quantise(grey, scanner.bits))
    return DecodedImage(pixels, scanner.bits)


def mirrored_film() -> DecodedImage:
    """Return a film as mini-MIAS stores it: the chest wall of a left breast at the right edge."""
    image = film("mias", "density", 3, 3.0)
    return replace(image, pixels=np.ascontiguousarray(image.pixels[:, ::-1]))


def taped_film() -> DecodedImage:
    """Return a film with a strip of tape along its upper edge."""
    image = film("mias", "density", 5, 3.0)
    pixels = image.pixels.copy()
    tape = np.random.default_rng(0).normal(150, 4, (pixels.shape[0] // 12, pixels.shape[1]))
    pixels[: tape.shape[0]] = np.clip(tape, 0, 255).astype(pixels.dtype)
    return replace(image, pixels=pixels)


def clipped_film() -> DecodedImage:
    """Return a film read in transmission: its air is black long before the skin."""
    return film("cbis_ddsm", "transmission", 4, 12.0)


CASES: dict[str, tuple[Callable[[], DecodedImage], str, bool]] = {
    "mirrored": (mirrored_film, "left", True),
    "taped": (taped_film, "left", False),
    "clipped": (clipped_film, "left", False),
}


def _naive_region(image: DecodedImage) -> BreastRegion:
    """Return what Otsu's threshold alone calls the breast, and the box around it."""
    grey = (image.pixels >> max(0, image.bits - 8)).astype(np.uint8)
    mask: NDArray[np.uint8] = np.asarray(
        cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1], np.uint8
    )
    left, top, width, height = cv2.boundingRect(mask)
    box = Box(top, left, top + height, left + width)
    return BreastRegion(mask, (mask.shape[0], mask.shape[1]), box, "left", True, 0.0)


def _tile(
    image: DecodedImage, region: BreastRegion, laterality: str | None, mirrored: bool
) -> Picture:
    done = preprocess_image(image, RECIPE, laterality=laterality, mirrored=mirrored)
    if laterality is None:
        part = region.box.of(image.pixels)
        small = cv2.resize(part, RECIPE.size[::-1], interpolation=cv2.INTER_AREA)
        array = (small.astype(np.float32) / (2**image.bits - 1) * 65535).astype(np.uint16)
        done = replace(done, array=array, crop=region.box)
    filled, certain = done.filled_share, region.certainty
    return draw_tile(Shown("twin", image, region, done.crop, done.array, (), filled, certain))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
