"""One decoded image to one array of fixed size, as the input recipe of an arm says."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.configuration.model import InputRecipe
from mammoshift.imaging.breast import Box, BreastRegion, Side, locate_breast, mask_in_box
from mammoshift.imaging.decoded import DecodedImage, Pixels
from mammoshift.imaging.tone import NEEDS_RANGE, apply_tone, to_uint16, value_range

_STATISTICS_LENGTH = 2048


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """An image in the size and orientation that a model takes.

    Attributes
    ----------
    array
        Shape `recipe.size`, uint16, intensities 0 to 65535.
    crop
        What of the decoded image was used, in its pixels, before any flip.
    content
        The part of `array` that shows the crop; the rest is padding.
    flipped
        Whether left and right were exchanged.
    breast_found
        False when no breast was found where one was looked for; the whole image was used then.
    pixel_spacing_mm
        Distance of pixel centres of `array` down a column and along a row; None when unknown.
    """

    array: NDArray[np.uint16]
    crop: Box
    content: Box
    flipped: bool
    breast_found: bool
    pixel_spacing_mm: tuple[float, float] | None


def preprocess_image(
    image: DecodedImage, recipe: InputRecipe, *, crop: Box | None = None
) -> Preprocessed:
    """Crop, resize, tone, mask and orient one image.

    The crop is made first. Percentiles of the tone recipe are those of its stored
    pixels; the tone curve itself is applied after the resize, to values that kept sixteen
    bits. Padding is zero, below and on the side away from the chest wall.

    Parameters
    ----------
    image
        A decoded image, larger value brighter.
    recipe
        What the array shall be; its size is (rows, columns).
    crop
        What of the image is used, instead of what the recipe says; None for the recipe's crop.

    Returns
    -------
    Preprocessed
        The array and how it came about.
    """
    rows, columns = image.pixels.shape
    region = locate_breast(image) if _needs_region(recipe) else None
    if crop is None:
        crop = region.box if region and recipe.crop == "breast" else Box(0, 0, rows, columns)
    part = crop.of(image.pixels)
    breast_range = (0.0, 0.0)
    if recipe.tone in NEEDS_RANGE:
        breast_range = _breast_range(part, region, crop, image.bits)
    height, width = content_size((crop.rows, crop.columns), recipe.size, recipe.fit)
    # Filling the sixteen bits keeps the fractions that averaging makes of 8 to 14 bit pixels.
    headroom = 16 - image.bits
    wide = np.left_shift(part, headroom, dtype=np.uint16) if headroom else part
    resized = resample(wide, height, width).astype(np.float32)
    resized *= np.float32(1.0 / (1 << headroom))
    toned = to_uint16(apply_tone(resized, image, recipe.tone, breast_range))
    if recipe.mask == "breast" and region:
        toned[mask_in_box(region, crop, height, width) == 0] = 0

    wall: Side = region.chest_wall if region else "left"
    flipped = recipe.orientation == "chest_wall_left" and wall == "right"
    if flipped:
        toned, wall = toned[:, ::-1], "left"
    array, content = _place(toned, recipe.size, wall)
    spacing = image.pixel_spacing_mm
    return Preprocessed(
        array=array,
        crop=crop,
        content=content,
        flipped=flipped,
        breast_found=region.found if region else True,
        pixel_spacing_mm=(
            (spacing[0] * crop.rows / height, spacing[1] * crop.columns / width)
            if spacing
            else None
        ),
    )


def content_size(crop: tuple[int, int], size: tuple[int, int], fit: str) -> tuple[int, int]:
    """Return the rows and columns that a crop takes in an array of `size`.

    `stretch` fills it; `pad` keeps the aspect ratio, to the nearest pixel and at least one.
    """
    if fit == "stretch":
        return size
    scale = min(size[0] / crop[0], size[1] / crop[1])
    height, width = (
        min(limit, max(1, round(length * scale))) for length, limit in zip(crop, size, strict=True)
    )
    return height, width


def resample(pixels: Pixels, rows: int, columns: int) -> Pixels:
    """Resize without aliasing: area averages along an axis that shrinks, linear where it grows.

    `pixels` and the result are uint8 or uint16 of shape (rows, columns).
    """
    smaller = (min(rows, pixels.shape[0]), min(columns, pixels.shape[1]))
    if smaller != pixels.shape:
        pixels = cv2.resize(pixels, smaller[::-1], interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if (rows, columns) != pixels.shape:
        pixels = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return pixels


def _needs_region(recipe: InputRecipe) -> bool:
    return (
        recipe.crop == "breast"
        or recipe.mask == "breast"
        or recipe.orientation == "chest_wall_left"
        or recipe.tone in NEEDS_RANGE
        or recipe.fit == "pad"
    )


def _breast_range(
    part: Pixels, region: BreastRegion | None, crop: Box, bits: int
) -> tuple[float, float]:
    """Return the percentile range of the breast in a crop, from at most about four megapixels."""
    step = 1 + max(part.shape) // _STATISTICS_LENGTH
    sampled = np.ascontiguousarray(part[::step, ::step])
    mask = mask_in_box(region, crop, *sampled.shape) if region else None
    return value_range(sampled, mask, bits)


def _place(
    toned: NDArray[np.uint16], size: tuple[int, int], wall: Side
) -> tuple[NDArray[np.uint16], Box]:
    """Put the content at the top of the chest-wall side of a zero array of `size`."""
    height, width = toned.shape
    left = 0 if wall == "left" else size[1] - width
    content = Box(0, left, height, left + width)
    if (height, width) == size:
        return np.ascontiguousarray(toned), content
    array = np.zeros(size, np.uint16)
    content.of(array)[...] = toned
    return array, content
