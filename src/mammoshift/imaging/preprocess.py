"""One decoded image to one array of fixed size, as the input recipe of an arm says."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.configuration.model import InputRecipe
from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.breast import (
    Box,
    BreastRegion,
    Side,
    locate_breast,
    mask_in_box,
)
from mammoshift.imaging.decoded import DecodedImage, Pixels
from mammoshift.imaging.geometry import Placement
from mammoshift.imaging.levels import air_level, filled_share, take_off
from mammoshift.imaging.masks._protocol import mask_of
from mammoshift.imaging.tones._protocol import Levels, ShownCrop, tone_of


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
    filled_share
        Share of the range of intensities that the breast fills; below
        `mammoshift.pixelstore.index.LEAST_FILLED_SHARE` the array is nearly of one grey.
    certainty
        That of the breast region; 1 where none was looked for.
    """

    array: NDArray[np.uint16]
    crop: Box
    content: Box
    flipped: bool
    breast_found: bool
    pixel_spacing_mm: tuple[float, float] | None
    filled_share: float = 1.0
    certainty: float = 1.0

    @property
    def placement(self) -> Placement:
        """How places on the stored image and in the array belong together."""
        return Placement(self.crop, self.content, self.flipped)


def preprocess_image(
    image: DecodedImage,
    recipe: InputRecipe,
    *,
    laterality: str | None = None,
    view: str | None = None,
    mirrored: bool = False,
    crop: Box | None = None,
    levels: Levels | None = None,
) -> Preprocessed:
    """Crop, resize, tone, mask and orient one image.

    The crop is made first. Percentiles of the tone recipe are those of its stored
    pixels; the tone curve itself is applied after the resize, to values that kept sixteen
    bits. Padding lies below and on the side away from the chest wall; it is zero unless the
    recipe's background says otherwise.

    Parameters
    ----------
    image
        A decoded image, larger value brighter.
    recipe
        What the array shall be; its size is (rows, columns).
    laterality
        ``left`` or ``right``, the breast that is known to be shown: it tells the chest wall's
        side where the shape does not clearly tell otherwise.
    view
        The view, when it is known: the pectoral muscle is expected in oblique and lateral ones.
    mirrored
        Whether the archive stores its images mirrored, so that the chest wall of a left breast
        is at the right edge, as in mini-MIAS.
    crop
        What of the image is used, instead of what the recipe says; None for the recipe's crop.
    levels
        What sets the tone, instead of the crop, so that all crops of an image have one; its region
        is where the breast is. None to locate it.

    Returns
    -------
    Preprocessed
        The array and how it came about.

    Raises
    ------
    UnreadableImageError
        If the recipe has a pitch in mm and the image's own is unknown.
    """
    wanted = expected_wall(laterality, mirrored)
    region = levels.region if levels else region_of(image, recipe, wanted)
    if crop is None:
        crop = _crop(image, recipe, region)
    wall: Side = region.chest_wall if region else "left"
    crop, (height, width) = _fitted(image, recipe, crop, wall)
    shown = shown_region(image, recipe, region, view)
    mask = mask_in_box(shown, crop, height, width) if shown else None
    toned = _toned(recipe, crop, (height, width), levels or Levels(image, crop, region))
    filled = filled_share(toned, mask)
    air = air_level(toned, mask) if recipe.background and mask is not None else None
    if recipe.background == "air_is_zero" and air is not None:
        toned, air = take_off(toned, air), 0
    if recipe.mask != "none" and mask is not None:
        toned[mask == 0] = 0
        air = 0
    flipped = recipe.orientation == "chest_wall_left" and wall == "right"
    if flipped:
        toned, wall = toned[:, ::-1], "left"
    array, content = _place(toned, recipe.size, wall, air or 0)
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
        filled_share=filled,
        certainty=region.certainty if region else 1.0,
    )


def expected_wall(laterality: str | None, mirrored: bool = False) -> Side | None:
    """Return the side of the stored image that the chest wall of a breast is on by convention."""
    if laterality not in {"left", "right"}:
        return None
    return "left" if (laterality == "left") != mirrored else "right"


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


def region_of(
    image: DecodedImage, recipe: InputRecipe, expected: Side | None
) -> BreastRegion | None:
    """Return where the breast is, or None when nothing of the recipe depends on it."""
    needed = (
        recipe.crop == "breast"
        or recipe.mask != "none"
        or recipe.orientation == "chest_wall_left"
        or tone_of(recipe).needs_range(image)
        or recipe.fit == "pad"
    )
    return locate_breast(image, expected) if needed else None


def _crop(image: DecodedImage, recipe: InputRecipe, region: BreastRegion | None) -> Box:
    rows, columns = image.pixels.shape
    return region.box if region and recipe.crop == "breast" else Box(0, 0, rows, columns)


def shown_region(
    image: DecodedImage, recipe: InputRecipe, region: BreastRegion | None, view: str | None
) -> BreastRegion | None:
    """Return the region whose mask the recipe's mask is: with or without the pectoral muscle."""
    return None if region is None else mask_of(recipe).shown(image, region, view)


def _fitted(
    image: DecodedImage, recipe: InputRecipe, crop: Box, wall: Side
) -> tuple[Box, tuple[int, int]]:
    """Return the crop, cut to what the array can hold, and the size of its content."""
    if recipe.pitch_mm is None:
        return crop, content_size((crop.rows, crop.columns), recipe.size, recipe.fit)
    if image.pixel_spacing_mm is None:
        raise UnreadableImageError(
            "the pixel spacing is unknown, so that no array of a pitch in mm can be made; "
            "give pixel_spacing_mm in the dataset's table or leave pitch_mm out"
        )
    factors = tuple(spacing / recipe.pitch_mm for spacing in image.pixel_spacing_mm)
    rows, columns = (
        min(length, max(1, int(limit / factor)))
        for length, limit, factor in zip(
            (crop.rows, crop.columns), recipe.size, factors, strict=True
        )
    )
    left = crop.left if wall == "left" else crop.right - columns
    held = Box(crop.top, left, crop.top + rows, left + columns)
    height, width = (
        min(limit, max(1, round(length * factor)))
        for length, limit, factor in zip((rows, columns), recipe.size, factors, strict=True)
    )
    return held, (height, width)


def _toned(
    recipe: InputRecipe, crop: Box, size: tuple[int, int], levels: Levels
) -> NDArray[np.uint16]:
    """Resize a crop and apply the tone of the recipe."""
    image = levels.image
    part = crop.of(image.pixels)
    # Filling the sixteen bits keeps the fractions that averaging makes of 8 to 14 bit pixels.
    headroom = 16 - image.bits
    wide = np.multiply(part, np.uint16(1 << headroom), dtype=np.uint16) if headroom else part
    resized = np.asarray(resample(wide, *size), np.uint16)
    return tone_of(recipe).tone(ShownCrop(resized, image, levels, recipe))


def _place(
    toned: NDArray[np.uint16], size: tuple[int, int], wall: Side, padding: int
) -> tuple[NDArray[np.uint16], Box]:
    """Put the content at the top of the chest-wall side of an array of `size`."""
    height, width = toned.shape
    left = 0 if wall == "left" else size[1] - width
    content = Box(0, left, height, left + width)
    if (height, width) == size:
        return np.ascontiguousarray(toned), content
    array = np.full(size, padding, np.uint16)
    content.of(array)[...] = toned
    return array, content
