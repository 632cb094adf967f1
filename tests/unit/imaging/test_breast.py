from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammoshift.imaging.breast import (
    Box,
    chest_wall_side,
    full_mask,
    locate_breast,
    mask_in_box,
)
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.decoded import DecodedImage


def breast_image(
    rows: int = 1000, columns: int = 800, *, background: int = 150, scale: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Half an ellipse at the left edge, and its mask."""
    y, x = np.mgrid[0:rows, 0:columns]
    inside = (x / (0.6 * columns)) ** 2 + ((y - rows / 2) / (0.4 * rows)) ** 2 < 1.0
    tissue = 1200 + 600 * np.sin(x / 37.0) * np.cos(y / 23.0)
    noise = np.random.default_rng(0).normal(0.0, 15.0, (rows, columns))
    pixels = np.clip(np.where(inside, tissue, background) + noise, 0, 4095)
    return (scale * pixels).astype(np.uint16), inside


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


@pytest.mark.parametrize("background", [0, 150, 500])
@pytest.mark.parametrize("flip", [False, True])
def test_mask_box_and_side_of_a_plain_breast(background: int, flip: bool) -> None:
    pixels, inside = breast_image(background=background)
    if flip:
        pixels, inside = pixels[:, ::-1].copy(), inside[:, ::-1]
    region = locate_breast(DecodedImage(pixels, 12))
    assert region.found
    assert region.chest_wall == ("right" if flip else "left")
    assert overlap(full_mask(region) > 0, inside) > 0.95
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = region.box
    assert 0 <= rows[0] - box.top < 30
    assert 0 < box.bottom - rows[-1] < 30
    assert box.left <= columns[0]
    assert box.right > columns[-1]
    assert box.columns - len(columns) < 40


def test_labels_borders_and_strips_are_not_breast() -> None:
    pixels, inside = breast_image()
    pixels[60:160, 640:740] = 4000
    pixels[80:90, 660:720] = 100
    pixels[:, 770:] = 4095
    pixels[:12, :] = 4095
    pixels[-12:, :] = 4095
    region = locate_breast(DecodedImage(pixels, 12))
    assert region.chest_wall == "left"
    assert overlap(full_mask(region) > 0, inside) > 0.93
    assert region.box.right < 560


def test_a_saturated_implant_is_not_taken_for_the_breast() -> None:
    pixels, inside = breast_image()
    saturated = inside & (np.arange(800) > 250)
    pixels[inside & ~saturated] += 300
    pixels[saturated] = 4095
    region = locate_breast(DecodedImage(pixels, 12))
    assert region.chest_wall == "left"
    assert overlap(full_mask(region) > 0, inside) > 0.9


def test_dark_notch_at_the_chest_wall_belongs_to_the_breast() -> None:
    pixels, inside = breast_image()
    pixels[400:560, :60] = 150
    region = locate_breast(DecodedImage(pixels, 12))
    assert (full_mask(region) > 0)[420:540, :50].all()
    assert overlap(full_mask(region) > 0, inside) > 0.95


def test_centred_breast_with_black_margins() -> None:
    pixels, inside = breast_image()
    padded = np.pad(pixels[:, ::-1], ((0, 0), (300, 300)))
    region = locate_breast(DecodedImage(padded, 12))
    assert region.chest_wall == "right"
    assert abs(region.box.right - 1100) <= 20
    assert overlap(full_mask(region) > 0, np.pad(inside[:, ::-1], ((0, 0), (300, 300)))) > 0.93


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (16, 16), (700, 3)])
@pytest.mark.parametrize("value", [0, 77])
def test_image_without_a_breast_is_taken_whole(shape: tuple[int, int], value: int) -> None:
    region = locate_breast(DecodedImage(np.full(shape, value, np.uint8), 8))
    assert not region.found
    assert region.box == Box(0, 0, *shape)
    assert (full_mask(region) == 255).all()


def test_a_speck_is_no_breast() -> None:
    pixels = np.zeros((1000, 800), np.uint16)
    pixels[400:450, 300:360] = 3000
    region = locate_breast(DecodedImage(pixels, 12))
    assert not region.found


def test_mask_in_box_lies_on_the_resized_crop() -> None:
    pixels, inside = breast_image(1400, 1100)
    region = locate_breast(DecodedImage(pixels, 12))
    box = Box(200, 50, 1200, 900)
    mask = mask_in_box(region, box, 250, 170) > 0
    truth = cv2.resize(
        box.of(inside).astype(np.uint8) * 255, (170, 250), interpolation=cv2.INTER_AREA
    )
    assert overlap(mask, truth > 127) > 0.96


def test_side_of_an_empty_mask_is_left() -> None:
    assert chest_wall_side(np.zeros((5, 5), np.uint8)) == "left"


def test_chest_wall_of_films(shared_data: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_data / "mias" / "all-mias.tar.gz") as archive:
        names = [f"all-mias/mdb{number:03d}.pgm" for number in range(1, 323, 9)]
        archive.extractall(tmp_path, members=map(archive.getmember, names), filter="data")
    for name in names:
        region = locate_breast(decode_image(tmp_path / name))
        odd = int(name[-7:-4]) % 2 == 1
        assert region.found, name
        assert region.chest_wall == ("right" if odd else "left"), name
        assert 0.1 < (region.mask > 0).mean() < 0.75, name


def test_chest_wall_of_contrast_enhanced_images(shared_data: Path) -> None:
    folder = shared_data / "cdd-cesm" / "Subtracted images of CDD-CESM"
    paths = sorted(folder.glob("*.jpg"))[::30]
    assert len(paths) > 15
    regions = [locate_breast(decode_image(path)) for path in paths]
    assert all(region.found for region in regions)
    for path, region in zip(paths, regions, strict=True):
        assert region.chest_wall == ("left" if "_L_" in path.name else "right"), path.name
