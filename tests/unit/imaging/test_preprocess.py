from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from twins import drawn

from mammoshift.configuration.model import InputRecipe
from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.breast import Box
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.preprocess import content_size, preprocess_image, resample
from mammoshift.pixelstore.index import LEAST_FILLED_SHARE


def half_disc(rows: int = 800, columns: int = 600) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:columns]
    inside = x**2 / (0.5 * columns) ** 2 + (y - rows / 2) ** 2 / (0.35 * rows) ** 2 < 1.0
    return np.where(inside, 1000 + x + y, 40).astype(np.uint16)


def recipe(**fields: Any) -> InputRecipe:
    return InputRecipe(**{"size": (160, 96), "tone": "full_range", **fields})


def plain(**fields: Any) -> InputRecipe:
    """Neither crop nor flip, so that the array can be computed by hand."""
    return recipe(**{"crop": "none", "orientation": "as_stored", **fields})


def test_mirrored_images_become_the_same_array() -> None:
    pixels = half_disc()
    left = preprocess_image(DecodedImage(pixels, 12), recipe())
    right = preprocess_image(DecodedImage(pixels[:, ::-1].copy(), 12), recipe())
    assert not left.flipped
    assert right.flipped
    assert np.abs(left.array.astype(int) - right.array).max() <= 700
    assert np.abs(left.array.astype(int) - right.array).mean() < 20
    assert left.content == right.content
    assert left.content.left == 0


def test_padding_is_zero_below_and_away_from_the_chest_wall() -> None:
    pixels = half_disc()
    wide = preprocess_image(DecodedImage(pixels, 12), recipe(size=(96, 200)))
    assert wide.content.rows == 96
    assert 0 < wide.content.columns < 200
    assert (wide.array[:, wide.content.right :] == 0).all()
    assert (wide.array[:, : wide.content.right] > 0).all()
    mirrored = preprocess_image(
        DecodedImage(pixels[:, ::-1].copy(), 12),
        recipe(size=(96, 200), orientation="as_stored"),
    )
    assert mirrored.content.right == 200
    assert (mirrored.array[:, : mirrored.content.left] == 0).all()
    tall = preprocess_image(DecodedImage(pixels, 12), recipe(size=(400, 60)))
    assert (tall.array[tall.content.bottom :] == 0).all()
    assert tall.content.top == 0


def test_averages_are_exact_and_keep_fractions_of_a_grey_level() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48)).astype(np.uint8)
    done = preprocess_image(DecodedImage(pixels, 8), plain(size=(32, 24)))
    blocks = pixels.reshape(32, 2, 24, 2).mean(axis=(1, 3)) / 255.0
    np.testing.assert_allclose(done.array / 65535.0, blocks, atol=2.5e-5)


def test_no_aliasing_of_a_fine_grid() -> None:
    pixels = np.zeros((1000, 1000), np.uint16)
    pixels[:, ::2] = 4095
    done = preprocess_image(DecodedImage(pixels, 12), plain(size=(300, 300)))
    inner = done.array[:, 5:-5] / 65535.0
    assert np.abs(inner - 0.5).max() < 0.16
    assert inner.std() < 0.1


def test_small_bright_spot_keeps_its_mass() -> None:
    pixels = np.zeros((900, 900), np.uint16)
    pixels[401:404, 507:510] = 60_000
    done = preprocess_image(DecodedImage(pixels, 16), plain(size=(270, 270)))
    mass = done.array.sum(dtype=np.int64) * (900 / 270) ** 2
    assert mass == pytest.approx(9 * 60_000, rel=0.01)


@pytest.mark.parametrize(
    "tone", ["dicom_voi", "full_range", "percentile", "film_log", "min_max", "image_range", "clahe"]
)
@pytest.mark.parametrize("mask", ["none", "breast", "breast_without_pectoral"])
def test_every_recipe_gives_a_full_array(tone: str, mask: str) -> None:
    done = preprocess_image(DecodedImage(half_disc(), 12), recipe(tone=tone, mask=mask))
    assert done.array.shape == (160, 96)
    assert done.array.dtype == np.uint16
    assert done.array.flags.c_contiguous
    assert done.array.max() > 10_000


def test_mask_blackens_what_is_outside() -> None:
    pixels = half_disc()
    kept = preprocess_image(DecodedImage(pixels, 12), recipe(crop="none"))
    masked = preprocess_image(DecodedImage(pixels, 12), recipe(crop="none", mask="breast"))
    outside = kept.array < 2000
    assert (masked.array[outside] == 0).mean() > 0.97
    inside = masked.array > 0
    np.testing.assert_array_equal(masked.array[inside], kept.array[inside])
    assert inside.mean() > 0.2


def test_percentile_tone_ignores_a_bright_label() -> None:
    pixels = half_disc()
    labelled = pixels.copy()
    labelled[20:100, 480:580] = 4095
    without = preprocess_image(DecodedImage(pixels, 12), recipe(tone="percentile"))
    with_label = preprocess_image(DecodedImage(labelled, 12), recipe(tone="percentile"))
    assert without.crop == with_label.crop
    assert np.abs(without.array.astype(int) - with_label.array).max() < 300


def test_spacing_follows_crop_and_resize() -> None:
    image = DecodedImage(half_disc(), 12, pixel_spacing_mm=(0.1, 0.1))
    padded = preprocess_image(image, recipe())
    assert padded.pixel_spacing_mm is not None
    down, along = padded.pixel_spacing_mm
    assert down == pytest.approx(0.1 * padded.crop.rows / padded.content.rows)
    assert down == pytest.approx(along, rel=0.02)
    stretched = preprocess_image(image, plain(fit="stretch", size=(80, 30)))
    assert stretched.pixel_spacing_mm == pytest.approx((1.0, 2.0))
    assert preprocess_image(DecodedImage(half_disc(), 12), recipe()).pixel_spacing_mm is None


def test_image_without_a_breast_is_used_whole_and_says_so() -> None:
    done = preprocess_image(DecodedImage(np.full((50, 40), 9, np.uint8), 8), recipe())
    assert not done.breast_found
    assert done.crop == Box(0, 0, 50, 40)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("tone", ["dicom_voi"])
def test_twelve_bits_in_a_container_of_sixteen_are_shown(bits: int, tone: str) -> None:
    image = DecodedImage(half_disc(), bits)
    done = preprocess_image(image, recipe(tone=tone))
    assert done.array.max() > 20_000
    assert done.filled_share > LEAST_FILLED_SHARE


def test_an_array_whose_breast_is_of_one_grey_says_so() -> None:
    done = preprocess_image(DecodedImage(half_disc(), 16), recipe(tone="full_range"))
    assert done.filled_share < LEAST_FILLED_SHARE


def test_padding_of_the_air_s_grey_shows_no_step() -> None:
    pixels = half_disc() + np.uint16(500)
    image = DecodedImage(pixels, 12)
    size = (160, 160)
    before = preprocess_image(image, recipe(size=size, crop="none"))
    border = before.content.right
    assert before.array[0, border - 1] > 5000
    assert before.array[0, border] == 0
    padded = preprocess_image(
        image, recipe(size=size, crop="none", background="padding_is_air")
    ).array
    assert padded[0, border - 1] == padded[0, border] == padded[-1, -1]
    np.testing.assert_array_equal(padded[:, :border], before.array[:, :border])
    black = preprocess_image(image, recipe(size=size, crop="none", background="air_is_zero")).array
    assert black[0, border - 1] == black[0, border] == 0
    assert black.max() > 20_000


def test_a_pitch_in_mm_is_that_of_every_detector() -> None:
    fine = half_disc(1600, 1200)
    coarse = half_disc(800, 600)
    arrays = [
        preprocess_image(
            DecodedImage(pixels, 12, pixel_spacing_mm=(pitch, pitch)),
            recipe(size=(420, 260), pitch_mm=0.4, tone="percentile"),
        )
        for pixels, pitch in ((fine, 0.1), (coarse, 0.2))
    ]
    for done in arrays:
        assert done.pixel_spacing_mm == pytest.approx((0.4, 0.4), rel=0.01)
    assert abs(arrays[0].content.rows - arrays[1].content.rows) <= 2
    assert abs(arrays[0].content.columns - arrays[1].content.columns) <= 2


@pytest.mark.parametrize("mirrored", [False, True])
def test_what_a_pitch_makes_too_large_is_cut_away_from_the_chest_wall(mirrored: bool) -> None:
    pixels = half_disc()
    pixels[:, :3] = 4000
    if mirrored:
        pixels = pixels[:, ::-1].copy()
    done = preprocess_image(
        DecodedImage(pixels, 12, pixel_spacing_mm=(0.2, 0.2)),
        recipe(size=(100, 80), pitch_mm=0.2, crop="none"),
    )
    assert (done.crop.rows, done.crop.columns) == (100, 80)
    assert (done.array[:, :3] > 60_000).all()


def test_a_pitch_needs_that_of_the_image() -> None:
    with pytest.raises(UnreadableImageError, match="pixel spacing is unknown"):
        preprocess_image(DecodedImage(half_disc(), 12), recipe(pitch_mm=0.4))


def test_min_max_spans_the_range_and_clahe_the_neighbourhood() -> None:
    pixels = half_disc() + np.uint16(700)
    spanned = preprocess_image(
        DecodedImage(pixels, 12), plain(tone="min_max", size=(800, 600))
    ).array
    assert (spanned.min(), spanned.max()) == (0, 65535)
    rng = np.random.default_rng(0)
    textured = half_disc().astype(float) + rng.normal(0.0, 8.0, (800, 600))
    image = DecodedImage(np.clip(textured, 0, 4095).astype(np.uint16), 12)
    flat = preprocess_image(image, recipe(tone="percentile")).array
    equalised = preprocess_image(image, recipe(tone="clahe", clahe_clip=4.0)).array
    part = (slice(60, 90), slice(15, 45))
    assert equalised[part].std() > 1.3 * flat[part].std()


def test_the_side_that_the_manifest_knows_decides_where_the_shape_does_not() -> None:
    whole = np.random.default_rng(0).normal(2000.0, 90.0, (900, 700)).astype(np.uint16)
    whole[:60, :200] = whole[:60, -200:] = 5
    image = DecodedImage(whole, 12)
    assert not preprocess_image(image, recipe(), laterality="left").flipped
    assert preprocess_image(image, recipe(), laterality="right").flipped
    assert preprocess_image(image, recipe(), laterality="left", mirrored=True).flipped


def test_the_pectoral_muscle_is_masked_in_oblique_views_only() -> None:
    one = next(one for one in drawn("cmmd") if one.view == "MLO" and one.side == "left")
    without = recipe(mask="breast_without_pectoral", size=(320, 200))
    kept = preprocess_image(one.image, recipe(mask="breast", size=(320, 200)), view="MLO")
    cut = preprocess_image(one.image, without, view="MLO")
    assert cut.crop == kept.crop
    removed = (kept.array > 0) & (cut.array == 0)
    muscle = one.muscle[cut.crop.top : cut.crop.bottom, cut.crop.left : cut.crop.right]
    share = muscle.sum() / muscle.size * cut.content.rows * cut.content.columns
    assert removed.sum() == pytest.approx(share, rel=0.25)
    whole = preprocess_image(one.image, without, view="CC")
    np.testing.assert_array_equal(whole.array, kept.array)


@pytest.mark.parametrize(
    "fields",
    [
        {"tone": "histogram_match"},
        {"reference_quantiles": (0.0, 1.0)},
        {"tone": "histogram_match", "reference_quantiles": (0.5, 0.1)},
        {"clahe_clip": 2.0},
        {"pitch_mm": 0.1, "fit": "stretch"},
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InputRecipe.model_validate({"size": (160, 96), **fields})


def test_unset_fields_leave_a_recipe_as_it_was() -> None:
    assert set(recipe().model_dump(exclude_none=True)) == {
        *("unit", "mask", "crop", "tone", "size", "fit", "orientation"),
    }


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 300),
    columns=st.integers(1, 300),
    size=st.tuples(st.integers(16, 200), st.integers(16, 200)),
    fit=st.sampled_from(["pad", "stretch"]),
    crop=st.sampled_from(["none", "breast"]),
    tone=st.sampled_from(["dicom_voi", "percentile", "film_log"]),
    seed=st.integers(0, 99),
)
def test_any_image_fits_any_size(
    rows: int, columns: int, size: tuple[int, int], fit: str, crop: str, tone: str, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 4096, (rows, columns)).astype(np.uint16)
    done = preprocess_image(
        DecodedImage(pixels, 12),
        recipe(size=size, fit=fit, crop=crop, tone=tone, mask="breast"),
    )
    assert done.array.shape == size
    content = done.content
    assert 0 <= content.left < content.right <= size[1]
    assert 0 <= content.top < content.bottom <= size[0]
    if fit == "stretch":
        assert (content.rows, content.columns) == size


@settings(max_examples=60, deadline=None)
@given(
    crop=st.tuples(st.integers(1, 7000), st.integers(1, 7000)),
    size=st.tuples(st.integers(16, 2000), st.integers(16, 2000)),
)
def test_padded_content_touches_one_limit_and_keeps_the_aspect(
    crop: tuple[int, int], size: tuple[int, int]
) -> None:
    height, width = content_size(crop, size, "pad")
    assert height <= size[0]
    assert width <= size[1]
    assert height == size[0] or width == size[1]
    assert abs(height / crop[0] - width / crop[1]) <= max(1.0 / crop[0], 1.0 / crop[1])


def test_resample_shrinks_one_axis_while_the_other_grows() -> None:
    pixels = np.repeat(np.arange(0, 64, dtype=np.uint16)[:, None], 4, axis=1) * 100
    done = resample(pixels, 32, 8)
    assert done.shape == (32, 8)
    np.testing.assert_allclose(done[:, 3], np.arange(32) * 200 + 50, atol=1)
