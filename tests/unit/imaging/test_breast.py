from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from twins import KINDS, dice, drawn

from mammoshift.imaging.breast import (
    Box,
    BreastRegion,
    chest_wall_side,
    full_mask,
    locate_breast,
    mask_in_box,
    thinned,
)
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.decoded import DecodedImage, Pixels
from mammoshift.imaging.preprocess import expected_wall


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


@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_twins_reach_the_skin_on_every_scanner(kind: str) -> None:
    shown = []
    for one in drawn(kind):
        region = locate_breast(one.image)
        assert region.found
        assert region.chest_wall == one.side
        shown.append(dice(full_mask(region), one.shown))
    assert np.median(shown) >= 0.98
    assert min(shown) >= 0.93


@pytest.mark.parametrize("kind", ["cbis_ddsm", "cmmd", "dmid", "mias"])
def test_masks_and_crops_keep_the_nipple(kind: str) -> None:
    for one in drawn(kind):
        region = locate_breast(one.image)
        reach = np.flatnonzero(one.shown.any(axis=0))
        box = region.box
        assert box.left <= reach[0] + 2
        assert box.right >= reach[-1] - 1
        tip = reach[-6] if one.side == "left" else reach[5]
        assert (full_mask(region)[:, tip] > 0).any()


def test_fog_that_differs_along_a_film_is_not_breast() -> None:
    pixels, inside = breast_image(background=40)
    fog = np.linspace(250.0, 0.0, 1000)[:, None] * np.ones((1, 800))
    foggy = np.where(inside, pixels, pixels + fog).astype(np.uint16)
    region = locate_breast(DecodedImage(foggy, 12))
    assert overlap(full_mask(region) > 0, inside) > 0.95


@pytest.mark.parametrize("padding", [0, 100])
def test_a_strip_of_tape_across_the_film_is_not_breast(padding: int) -> None:
    y, x = np.mgrid[0:1000, 0:800]
    inside = x < 330 + 80 * np.cos(y / 160.0)
    noise = np.random.default_rng(1).normal(0.0, 6.0, inside.shape)
    pixels = np.clip(np.where(inside, 1400.0 + x, 40.0) + noise, 0, 4095)
    pixels[:60] = 700.0 + noise[:60]
    framed = np.pad(pixels.astype(np.uint16), ((0, 0), (padding, padding)))
    region = locate_breast(DecodedImage(framed, 12))
    mask = full_mask(region)[:, padding : padding + 800] > 0
    assert not mask[:50].any()
    assert region.box.top >= 40
    assert overlap(mask[70:], inside[70:]) > 0.97


def test_a_label_that_touches_the_fog_beside_the_skin_is_not_breast() -> None:
    pixels, inside = breast_image(background=40)
    pixels[300:380, 520:600] = 4095
    pixels[330:350, 440:520] = np.maximum(pixels[330:350, 440:520], 260)
    region = locate_breast(DecodedImage(pixels, 12))
    assert not (full_mask(region)[300:380, 530:600] > 0).any()
    assert overlap(full_mask(region) > 0, inside) > 0.95


def test_the_known_side_decides_where_the_shape_does_not() -> None:
    whole = np.random.default_rng(0).normal(2000.0, 90.0, (900, 700)).astype(np.uint16)
    whole[:60, :200] = whole[:60, -200:] = 5
    for side in ("left", "right"):
        assert locate_breast(DecodedImage(whole, 12), side).chest_wall == side
    pixels, _ = breast_image()
    assert locate_breast(DecodedImage(pixels, 12), "right").chest_wall == "left"


def test_side_of_an_empty_mask_is_left() -> None:
    assert chest_wall_side(np.zeros((5, 5), np.uint8)) == "left"


@pytest.fixture(scope="module")
def films(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    with tarfile.open(shared_data / "mias" / "all-mias.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "all-mias"


@pytest.mark.parametrize(
    ("film", "rows"), [(2, 34), (10, 14), (269, 1), (283, 36), (289, 50), (305, 18)]
)
def test_tape_of_real_films_is_not_breast(films: Path, film: int, rows: int) -> None:
    image = decode_image(films / f"mdb{film:03d}.pgm")
    region = locate_breast(image)
    assert not full_mask(region)[:rows].any()
    assert region.mask.mean() / 255.0 > 0.1


@pytest.mark.parametrize(("film", "side"), [(151, "right"), (152, "left")])
def test_films_without_a_shape_hang_as_the_archive_says(films: Path, film: int, side: str) -> None:
    laterality = "left" if film % 2 else "right"
    image = decode_image(films / f"mdb{film:03d}.pgm")
    assert locate_breast(image, expected_wall(laterality, mirrored=True)).chest_wall == side
    assert locate_breast(image, expected_wall(laterality)).chest_wall != side


def test_no_crop_of_real_subtracted_images_cuts_the_breast(shared_data: Path) -> None:
    folder = shared_data / "cdd-cesm" / "Subtracted images of CDD-CESM"
    for path in sorted(folder.glob("*.jpg"))[::13]:
        image = decode_image(path)
        tissue = image.pixels > 25
        left = tissue.sum() - locate_breast(image).box.of(tissue).sum()
        assert left <= 0.015 * tissue.sum(), path.name


def test_a_mask_along_nearly_all_of_the_border_is_not_certain() -> None:
    """The air of films that are shown inverted, which nothing in their files says."""
    for one in drawn("cbis_ddsm_transmission"):
        image = one.image
        largest = image.pixels.dtype.type((1 << image.bits) - 1)
        inverted = replace(image, pixels=largest - image.pixels)
        assert locate_breast(image).certainty > 0.9
        assert locate_breast(inverted).certainty < 0.7


def test_chest_wall_of_films(films: Path) -> None:
    for path in sorted(films.glob("mdb*.pgm"))[::9]:
        region = locate_breast(decode_image(path))
        odd = int(path.stem[3:]) % 2 == 1
        assert region.found, path.name
        assert region.chest_wall == ("right" if odd else "left"), path.name
        assert 0.1 < (region.mask > 0).mean() < 0.75, path.name


def test_chest_wall_of_contrast_enhanced_images(shared_data: Path) -> None:
    folder = shared_data / "cdd-cesm" / "Subtracted images of CDD-CESM"
    paths = sorted(folder.glob("*.jpg"))[::30]
    assert len(paths) > 15
    regions = [locate_breast(decode_image(path)) for path in paths]
    assert all(region.found for region in regions)
    for path, region in zip(paths, regions, strict=True):
        assert region.chest_wall == ("left" if "_L_" in path.name else "right"), path.name


@pytest.mark.parametrize("seed", range(4))
def test_mask_in_box_is_the_linear_interpolation_of_the_reduced_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((120, 90), np.uint8)
    cv2.circle(mask, (5, 60), 50, 255, -1)
    mask[rng.random(mask.shape) > 0.97] ^= 255
    region = BreastRegion(mask, (960, 720), Box(0, 0, 960, 720), "left", True)
    top, left = (int(number) for number in rng.integers(0, 300, 2))
    box = (Box(top, left, 960, 700), Box(0, 0, 960, 720))[seed % 2]
    rows, columns = (int(number) for number in rng.integers(100, 500, 2))
    y_step, x_step = box.rows / 8 / rows, box.columns / 8 / columns
    matrix = np.array(
        [
            [x_step, 0.0, 0.5 * x_step + box.left / 8 - 0.5],
            [0.0, y_step, 0.5 * y_step + box.top / 8 - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    soft = cv2.warpAffine(
        mask, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    assert np.count_nonzero((soft > 127) != (mask_in_box(region, box, rows, columns) > 0)) <= 2


def test_half_a_pixel_of_breast_is_breast_in_every_column() -> None:
    mask = np.zeros((8, 50), np.uint8)
    mask[:3] = 255
    region = BreastRegion(mask, (64, 400), Box(0, 0, 64, 400), "left", True)
    found = mask_in_box(region, region.box, 12, 331)
    assert (found[:5] == 255).all()
    assert not found[5:].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("columns", [slice(0, 8), slice(1, 8), slice(1, 9), slice(None, None, -1)])
def test_thinned_is_every_step_th_pixel(dtype: type, step: int, columns: slice) -> None:
    largest = np.iinfo(dtype).max
    pixels: Pixels = np.random.default_rng(0).integers(0, largest, (7, 10)).astype(dtype)
    pixels = pixels[:, columns]
    small = thinned(pixels, step)
    assert small.dtype == dtype
    np.testing.assert_array_equal(small, pixels[::step, ::step])
