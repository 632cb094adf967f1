from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from twins import KINDS, dice, drawn

from mammoshift.imaging.breast import full_mask, locate_breast, without_pectoral
from mammoshift.imaging.pectoral import LEAST_STEP, pectoral_muscle


@pytest.mark.parametrize("kind", KINDS)
def test_the_muscle_of_twins_is_found_and_only_where_there_is_one(kind: str) -> None:
    found = []
    for one in drawn(kind):
        region = locate_breast(one.image)
        whole = full_mask(region) > 0
        muscle = whole & ~(full_mask(without_pectoral(one.image, region)) > 0)
        if one.view == "CC":
            assert not muscle.any()
        else:
            of_view = full_mask(without_pectoral(one.image, region, "MLO")) > 0
            found.append(dice(whole & ~of_view, one.muscle))
    assert np.median(found) >= 0.9
    assert min(found) >= 0.8


def test_nothing_is_taken_out_of_a_craniocaudal_view_or_a_subtracted_image() -> None:
    one = next(one for one in drawn("cmmd") if one.view == "MLO")
    region = locate_breast(one.image)
    assert without_pectoral(one.image, region, "CC") is region
    subtracted = replace(one.image, subtracted=True)
    assert without_pectoral(subtracted, region, "MLO") is region


def cut_by_a_line(down: int, depth: float, gland: float) -> np.ndarray:
    """A grey breast of 200 x 120, and a triangle whose bright rim is `depth` deep, dark within.

    What lies beyond the strip that borders on the triangle is as bright as `gland`.
    """
    rows, columns = np.mgrid[:200, :120]
    within = 1.0 - columns / 100.0 - rows / down
    noise = np.random.default_rng(5).normal(0.0, 3.0, rows.shape)
    beside = np.where((within < -0.25) & (rows < down), gland, 100.0)
    grey = np.where(within > depth, 40.0, np.where(within > 0.0, 180.0, beside)) + noise
    return grey.astype(np.uint8)


@pytest.mark.parametrize(
    ("down", "depth", "gland", "found"),
    [
        (120, 1.0, 100.0, True),
        (165, 1.0, 100.0, True),
        (120, 0.15, 100.0, False),
        (120, 1.0, 181.25, False),
    ],
)
def test_only_a_triangle_of_one_grey_brighter_than_the_breast_beside_it_is_a_muscle(
    down: int, depth: float, gland: float, found: bool
) -> None:
    breast = np.full((200, 120), 255, np.uint8)
    small = cut_by_a_line(down, depth, gland)
    for side, shown in (("left", small), ("right", small[:, ::-1])):
        muscle = pectoral_muscle(shown, breast, side, LEAST_STEP)
        assert muscle.any() == found
