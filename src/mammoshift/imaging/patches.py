"""Square patches of one physical size: where they lie on an image, and their arrays.

Windows follow the sliding-window scheme of patch studies: a grid over the breast, and windows
around each annotated region. The size in pixels follows from the image's own pixel pitch, so that
a patch shows the same piece of tissue whatever the detector.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.configuration.model import InputRecipe, Patches
from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.breast import Box, BreastRegion, locate_breast
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.preprocess import Preprocessed, preprocess_image
from mammoshift.imaging.tones._protocol import Levels


def preprocess_patches(
    image: DecodedImage,
    recipe: InputRecipe,
    patches: Patches,
    regions: Sequence[Box],
    image_id: str,
) -> Iterator[Preprocessed]:
    """Yield the arrays of an image's patches, those around regions first.

    Parameters
    ----------
    image
        A decoded image whose pixel spacing is known.
    recipe
        What each array shall be; crop, mask, fit and orientation of whole images do not apply.
    patches
        Where patches are taken.
    regions
        Boxes around the annotated regions, in pixels of the image.
    image_id
        Decides by its hash which windows without a region are kept.

    Raises
    ------
    UnreadableImageError
        If the pixel spacing of the image is unknown.
    """
    if image.pixel_spacing_mm is None:
        raise UnreadableImageError("the pixel spacing is unknown, so that no patch has a size")
    breast = locate_breast(image)
    whole = recipe.model_copy(
        update={"patch": None, "crop": "none", "mask": "none", "fit": "stretch"}
    ).model_copy(update={"orientation": "as_stored"})
    levels = Levels(image, breast.box, breast)
    for box in place_patches(image, breast, patches, regions, image_id):
        yield preprocess_image(image, whole, crop=box, levels=levels)


def place_patches(
    image: DecodedImage,
    breast: BreastRegion,
    patches: Patches,
    regions: Sequence[Box],
    image_id: str,
) -> list[Box]:
    """Return the windows of an image, those around regions first, each once.

    Returns
    -------
    list of Box
        In pixels of the image, all of one size and inside it.
    """
    rows, columns = image.pixels.shape
    down, along = image.pixel_spacing_mm or (1.0, 1.0)
    height, width = round(patches.size_mm / down), round(patches.size_mm / along)
    if height > rows or width > columns or not height or not width:
        return []
    around = [
        box
        for region in regions
        for box in _around(region, (height, width), (rows, columns), patches, (down, along))
    ]
    step_mm = patches.step_mm or patches.size_mm
    steps = max(1, round(step_mm / down)), max(1, round(step_mm / along))
    grid = [
        Box(top, left, top + height, left + width)
        for top in range(0, rows - height + 1, steps[0])
        for left in range(0, columns - width + 1, steps[1])
    ]
    inside = _breast_share(grid, breast, (rows, columns)) >= patches.breast_share
    if patches.black == "left_out":
        inside &= ~_hold_darkest(grid, image.pixels)
    bare = [
        box
        for box, kept in zip(grid, inside, strict=True)
        if kept and not any(_touches(box, region) for region in regions)
    ]
    return list(dict.fromkeys([*around, *_drawn(bare, patches.maximum_of_image, image_id)]))


def _around(
    region: Box,
    size: tuple[int, int],
    shape: tuple[int, int],
    patches: Patches,
    spacing: tuple[float, float],
) -> list[Box]:
    """Return windows over one region: once around its centre, or on a grid that covers it."""
    tops = _starts(region.top, region.bottom, size[0], shape[0], patches, spacing[0])
    lefts = _starts(region.left, region.right, size[1], shape[1], patches, spacing[1])
    return [Box(top, left, top + size[0], left + size[1]) for top in tops for left in lefts]


def _starts(
    first: int, last: int, size: int, limit: int, patches: Patches, spacing: float
) -> list[int]:
    room = last - first - size
    if patches.region_step_mm is None or room <= 0:
        starts = [first + room // 2]
    else:
        step = max(1, round(patches.region_step_mm / spacing))
        starts = list(range(first, first + room + 1, step))
        if patches.region_scan == "four_corners":
            starts += range(first + room, first - 1, -step)
    return list(dict.fromkeys(min(max(start, 0), limit - size) for start in starts))


def _breast_share(
    boxes: Sequence[Box], breast: BreastRegion, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the share of each window that is breast, from sums over the reduced mask."""
    rows, columns = breast.mask.shape
    sums = cv2.integral((breast.mask > 0).astype(np.uint8))
    scale = rows / shape[0], columns / shape[1]
    shares = np.empty(len(boxes))
    for position, box in enumerate(boxes):
        top, bottom = _reduced(box.top, box.bottom, scale[0], rows)
        left, right = _reduced(box.left, box.right, scale[1], columns)
        inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        shares[position] = inside / ((bottom - top) * (right - left))
    return shares


def _hold_darkest(boxes: Sequence[Box], pixels: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which windows hold a pixel of the image's darkest value."""
    sums = cv2.integral((pixels == pixels.min()).astype(np.uint8))
    edges = np.array([(b.top, b.left, b.bottom, b.right) for b in boxes], np.intp).reshape(-1, 4)
    top, left, bottom, right = edges.T
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left] > 0


def _reduced(first: int, last: int, scale: float, limit: int) -> tuple[int, int]:
    start = min(int(first * scale), limit - 1)
    return start, min(max(start + 1, int(np.ceil(last * scale))), limit)


def _touches(box: Box, region: Box) -> bool:
    return (
        box.top < region.bottom
        and region.top < box.bottom
        and box.left < region.right
        and region.left < box.right
    )


def _drawn(boxes: list[Box], maximum: int | None, image_id: str) -> list[Box]:
    """Return at most `maximum` of the windows, drawn by a hash, in the order of the image."""
    if maximum is None or len(boxes) <= maximum:
        return boxes
    ranked = sorted(boxes, key=lambda box: _rank(f"{image_id} {box.top} {box.left}"))
    kept = set(ranked[:maximum])
    return [box for box in boxes if box in kept]


def _rank(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
