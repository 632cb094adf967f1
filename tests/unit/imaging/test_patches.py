"""Where patches lie: around drawn boxes and over the breast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mammoshift.configuration.load import read_yaml
from mammoshift.configuration.model import InputRecipe, Patches
from mammoshift.imaging.breast import Box, BreastRegion
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.levels import breast_counts
from mammoshift.imaging.patches import place_patches, preprocess_patches
from mammoshift.imaging.tones import _protocol


def placed(
    pitch_mm: float, shape: tuple[int, int], regions: list[Box], **settings: object
) -> list[Box]:
    """Windows of an image that is breast all over."""
    image = DecodedImage(np.zeros(shape, np.uint8), 8, pixel_spacing_mm=(pitch_mm, pitch_mm))
    whole = Box(0, 0, *shape)
    breast = BreastRegion(np.full((64, 64), 255, np.uint8), shape, whole, "left", True)
    return place_patches(image, breast, Patches.model_validate(settings), regions, "image")


PUBLISHED = {"region_step_mm": 1.5, "region_scan": "four_corners"}


@pytest.mark.parametrize(
    ("pitch_mm", "size", "step"), [(0.05, 200, 30), (0.07, 143, 21), (0.1, 100, 15)]
)
def test_windows_have_the_size_and_step_of_their_pitch(
    pitch_mm: float, size: int, step: int
) -> None:
    region = Box(300, 300, 300 + size + 2 * step, 300 + size)
    boxes = placed(pitch_mm, (900, 900), [region], maximum_of_image=0, **PUBLISHED)
    assert {(b.bottom - b.top, b.right - b.left) for b in boxes} == {(size, size)}
    assert sorted(b.top for b in boxes) == [300, 300 + step, 300 + 2 * step]


@pytest.mark.parametrize(
    ("domain", "pitch_mm", "size", "step"),
    [
        ("mexbreast_50", 0.05, 200, 30),
        ("mexbreast_70", 0.07, 144, 22),
        ("inbreast_70", 0.07, 144, 22),
        ("mexbreast_100", 0.1, 100, 15),
    ],
)
def test_the_study_cuts_windows_of_the_published_pixels(
    domain: str, pitch_mm: float, size: int, step: int
) -> None:
    file = Path(__file__).parents[3] / "config" / "studies" / "microcalcification.yaml"
    patches = read_yaml(file)["domains"][domain]["patches"]
    region = Box(300, 300, 300 + size + 2 * step, 300 + size)
    boxes = placed(pitch_mm, (900, 900), [region], **patches, maximum_of_image=0)
    assert {(b.bottom - b.top, b.right - b.left) for b in boxes} == {(size, size)}
    assert sorted(b.top for b in boxes) == [300, 300 + step, 300 + 2 * step]


def test_four_scans_over_a_drawn_box_by_hand() -> None:
    # 50 um: windows of 200, steps of 30. Down 300 rows: 0, 30, 60, 90 from above and 100, 70, 40,
    # 10 from below. Along 260 columns: 0, 30, 60 from the left, and the same from the right.
    region = Box(100, 200, 400, 460)
    four = placed(0.05, (700, 700), [region], maximum_of_image=0, **PUBLISHED)
    assert len(four) == len(set(four)) == 8 * 3
    assert {b.top - 100 for b in four} == {0, 10, 30, 40, 60, 70, 90, 100}
    assert {b.left - 200 for b in four} == {0, 30, 60}
    one = placed(0.05, (700, 700), [region], maximum_of_image=0, region_step_mm=1.5)
    assert len(one) == 4 * 3
    assert set(one) < set(four)


def test_a_box_smaller_than_a_window_lies_in_its_middle() -> None:
    boxes = placed(0.1, (400, 400), [Box(150, 160, 190, 180)], maximum_of_image=0, **PUBLISHED)
    assert boxes == [Box(120, 120, 220, 220)]


def test_windows_without_a_region_lie_side_by_side_and_touch_none() -> None:
    boxes = placed(0.1, (400, 400), [Box(150, 150, 250, 250)], **PUBLISHED)
    assert boxes[0] == Box(150, 150, 250, 250)
    assert len(boxes) == 1 + 16 - 4
    assert all(b.top % 100 == 0 and b.left % 100 == 0 for b in boxes[1:])


def test_windows_that_hold_a_black_pixel_are_left_out_where_that_is_asked_for() -> None:
    pixels = np.full((400, 400), 90, np.uint8)
    pixels[99, 0] = pixels[250, 250] = 7
    image = DecodedImage(pixels, 8, pixel_spacing_mm=(0.1, 0.1))
    whole = Box(0, 0, 400, 400)
    breast = BreastRegion(np.full((64, 64), 255, np.uint8), (400, 400), whole, "left", True)
    region = Box(50, 50, 150, 150)

    def windows(**settings: object) -> set[Box]:
        return set(place_patches(image, breast, Patches.model_validate(settings), [region], "one"))

    dropped = windows() - windows(black="left_out")
    # The darkest pixel in the corner lies in a window that touches the region, which is none of
    # the grid in either case; the window around the region is kept.
    assert dropped == {Box(200, 200, 300, 300)}
    assert region in windows(black="left_out")


def test_a_scan_without_a_step_is_refused() -> None:
    with pytest.raises(ValidationError, match="give it too"):
        Patches.model_validate({"region_scan": "four_corners"})


def test_patches_are_toned_by_the_range_of_their_whole_image() -> None:
    pixels = np.full((200, 200), 1000, np.uint16)
    pixels[:100] = 500
    pixels[0, 0], pixels[199, 199] = 0, 4000
    image = DecodedImage(pixels, 16, pixel_spacing_mm=(0.1, 0.1))
    recipe = InputRecipe(size=(50, 50), tone="image_range", crop="none")
    regions = [Box(30, 30, 40, 40), Box(130, 130, 140, 140)]
    dark, bright, *_ = preprocess_patches(image, recipe, Patches(size_mm=5.0), regions, "one")
    assert np.unique(dark.array).tolist() == [8192]
    assert np.unique(bright.array).tolist() == [16384]


def test_the_breast_of_an_image_is_counted_once_for_all_its_patches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = []

    def counting(*given: Any) -> np.ndarray:
        counted.append(given)
        return breast_counts(*given)

    monkeypatch.setattr(_protocol, "breast_counts", counting)
    pixels = np.zeros((400, 300), np.uint16)
    pixels[20:380, :240] = np.arange(1000, 1000 + 360 * 8, 8, dtype=np.uint16)[:, None]
    image = DecodedImage(pixels, 16, pixel_spacing_mm=(0.1, 0.1))
    recipe = InputRecipe(size=(100, 100), tone="percentile")
    made = list(preprocess_patches(image, recipe, Patches(step_mm=5.0), [], "image"))
    assert len(made) > 4
    assert len(counted) == 1


@pytest.mark.parametrize("tone", ["percentile", "dicom_voi"])
def test_all_patches_of_an_image_have_one_tone(tone: str) -> None:
    pixels = np.zeros((400, 300), np.uint16)
    pixels[20:380, :240] = np.arange(1000, 1000 + 360 * 8, 8, dtype=np.uint16)[:, None]
    image = DecodedImage(pixels, 16, pixel_spacing_mm=(0.1, 0.1))
    recipe = InputRecipe.model_validate({"size": (100, 100), "tone": tone})
    made = list(preprocess_patches(image, recipe, Patches(step_mm=5.0), [], "image"))
    shown: dict[int, set[int]] = {}
    for one in made:
        stored = one.crop.of(pixels)
        for value in np.unique(stored):
            shown.setdefault(int(value), set()).update(one.array[stored == value].tolist())
    assert len(made) > 4
    assert all(len(intensities) == 1 for intensities in shown.values())
