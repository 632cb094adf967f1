from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.configuration.model import InputRecipe
from mammoshift.imaging.breast import Box
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.geometry import Placement
from mammoshift.imaging.preprocess import preprocess_image

lengths = st.integers(1, 4000)
coordinates = st.floats(-500.0, 6000.0)


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    crop_top, crop_left = draw(st.integers(0, 900)), draw(st.integers(0, 900))
    top, left = draw(st.integers(0, 300)), draw(st.integers(0, 300))
    return Placement(
        crop=Box(crop_top, crop_left, crop_top + draw(lengths), crop_left + draw(lengths)),
        content=Box(top, left, top + draw(lengths), left + draw(lengths)),
        flipped=draw(st.booleans()),
    )


@settings(max_examples=200, deadline=None)
@given(placement=placements(), points=st.lists(st.tuples(coordinates, coordinates), max_size=5))
def test_points_come_back_to_where_they_were(
    placement: Placement, points: list[tuple[float, float]]
) -> None:
    there = placement.points_to_array(points)
    back = placement.points_to_image(there)
    np.testing.assert_allclose(back, np.reshape(points, (-1, 2)), atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(placement=placements(), values=st.tuples(*4 * [coordinates]))
def test_boxes_keep_their_order_and_come_back(
    placement: Placement, values: tuple[float, float, float, float]
) -> None:
    (top, bottom), (left, right) = sorted(values[:2]), sorted(values[2:])
    moved = placement.boxes_to_array([top, left, bottom, right])
    assert moved[0, 0] <= moved[0, 2]
    assert moved[0, 1] <= moved[0, 3]
    back = placement.boxes_to_image(moved)
    np.testing.assert_allclose(back, [[top, left, bottom, right]], atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(placement=placements())
def test_the_corners_of_the_crop_are_those_of_the_content(placement: Placement) -> None:
    crop, content = placement.crop, placement.content
    corners = [[crop.top - 0.5, crop.left - 0.5, crop.bottom - 0.5, crop.right - 0.5]]
    expected = [[content.top - 0.5, content.left - 0.5, content.bottom - 0.5, content.right - 0.5]]
    np.testing.assert_allclose(placement.boxes_to_array(corners), expected, atol=1e-6)
    assert placement.shows([[crop.top, crop.left], [crop.bottom - 1, crop.right - 1]]).all()
    assert not placement.shows([[crop.top - 1, crop.left], [crop.top, crop.right + 1]]).any()


@settings(max_examples=25, deadline=None)
@given(
    row=st.integers(250, 550),
    column=st.integers(20, 250),
    mirrored=st.booleans(),
    crop=st.sampled_from(["none", "breast"]),
    fit=st.sampled_from(["pad", "stretch"]),
    orientation=st.sampled_from(["as_stored", "chest_wall_left"]),
    pitch=st.sampled_from([None, 0.35, 0.6]),
)
def test_a_spot_is_where_its_annotation_says(
    row: int,
    column: int,
    mirrored: bool,
    crop: str,
    fit: str,
    orientation: str,
    pitch: float | None,
) -> None:
    y, x = np.mgrid[0:800, 0:600]
    inside = x**2 / 300.0**2 + (y - 400) ** 2 / 280.0**2 < 1.0
    pixels = np.where(inside, 1000, 40).astype(np.uint16)
    pixels[row - 4 : row + 5, column - 4 : column + 5] = 4000
    if mirrored:
        pixels, column = pixels[:, ::-1].copy(), 599 - column
    recipe = InputRecipe.model_validate(
        {
            "size": (300, 220),
            "tone": "full_range",
            "crop": crop,
            "fit": "pad" if pitch else fit,
            "orientation": orientation,
            "pitch_mm": pitch,
        }
    )
    done = preprocess_image(DecodedImage(pixels, 12, pixel_spacing_mm=(0.2, 0.2)), recipe)
    place = done.placement.points_to_array([[row, column]])[0]
    if not done.placement.shows([[row - 6, column - 6], [row + 6, column + 6]]).all():
        return
    bright = done.array.astype(float) - 17_000.0
    weight = np.clip(bright, 0.0, None)
    rows, columns = np.mgrid[0:300, 0:220]
    centre = [(weight * rows).sum() / weight.sum(), (weight * columns).sum() / weight.sum()]
    np.testing.assert_allclose(centre, place, atol=0.6)


def test_one_point_or_none_are_taken_too() -> None:
    placement = Placement(Box(0, 0, 10, 10), Box(0, 0, 5, 5), flipped=True)
    assert placement.points_to_array([]).shape == (0, 2)
    assert placement.points_to_array([0.5, 0.5])[0] == pytest.approx([0.0, 4.0])
