"""Where the breast is: box, mask and chest-wall side, found on a strongly reduced image.

Digitised films carry labels, tape, white borders and grey bands beside the breast; processed
detector images have a constant or a noisy background. The breast is what is left of the
foreground after thin structures are opened away: the largest connected part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.imaging.decoded import DecodedImage, Pixels

_WORKING_LENGTH = 512
_SMALLEST_SHARE = 0.02
_MARGIN_SHARE = 0.01
_BRIGHT_PERCENTILE = 99.0
_LARGE_SHARE = 0.1
_FAR_FROM_BACKGROUND = 0.44

Side = Literal["left", "right"]
AnyArray = TypeVar("AnyArray", bound=NDArray[Any])


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows `top` to `bottom`, columns `left` to `right`, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def rows(self) -> int:
        """Height in pixels."""
        return self.bottom - self.top

    @property
    def columns(self) -> int:
        """Width in pixels."""
        return self.right - self.left

    def of(self, array: AnyArray) -> AnyArray:
        """Return the view of `array`, shape (rows, columns), inside this box."""
        return array[self.top : self.bottom, self.left : self.right]  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class BreastRegion:
    """The breast in one image.

    Attributes
    ----------
    mask
        uint8, 0 outside and 255 inside the breast, on the reduced grid.
    shape
        Rows and columns of the image itself.
    box
        Bounding box of the breast with a small margin, in pixels of the image.
    chest_wall
        The side of the image that the chest wall is on.
    found
        False when nothing looks like a breast; mask and box then cover the whole image.
    """

    mask: NDArray[np.uint8]
    shape: tuple[int, int]
    box: Box
    chest_wall: Side
    found: bool


def locate_breast(image: DecodedImage) -> BreastRegion:
    """Find the breast in `image`.

    The image is reduced until its longer side has at most 512 pixels (about 1/8 of a detector
    image), the background is separated by the threshold of Otsu (1979) on the square root of
    the intensity, which brings fat nearer to dense tissue than to the background, and the
    largest part that survives an opening is taken.
    """
    rows, columns = image.pixels.shape
    small = _reduce(image.pixels)
    mask = _largest_part(_foreground(small))
    found = cv2.countNonZero(mask) >= _SMALLEST_SHARE * mask.size
    if not found:
        return BreastRegion(
            mask=np.full(small.shape, 255, np.uint8),
            shape=(rows, columns),
            box=Box(0, 0, rows, columns),
            chest_wall=chest_wall_side(_foreground(small)),
            found=False,
        )
    side = chest_wall_side(mask)
    mask = _filled_to_chest_wall(mask, side)
    box = _bounding_box(mask, (rows, columns))
    return BreastRegion(mask, (rows, columns), box, side, found=True)


def full_mask(region: BreastRegion) -> NDArray[np.uint8]:
    """Return the mask in the size of the image: uint8, 0 outside and 255 inside."""
    rows, columns = region.shape
    return cv2.resize(region.mask, (columns, rows), interpolation=cv2.INTER_NEAREST)  # type: ignore[return-value]


def mask_in_box(region: BreastRegion, box: Box, rows: int, columns: int) -> NDArray[np.uint8]:
    """Return the mask of `box`, resized to (rows, columns): uint8, 0 outside and 255 inside.

    The reduced mask is read at the centre of every target pixel, so that the result lies on an
    image of the same box that was resized to the same size.
    """
    down = region.mask.shape[0] / region.shape[0]
    along = region.mask.shape[1] / region.shape[1]
    y_step, x_step = box.rows * down / rows, box.columns * along / columns
    matrix = np.array(
        [
            [x_step, 0.0, 0.5 * x_step + box.left * along - 0.5],
            [0.0, y_step, 0.5 * y_step + box.top * down - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    soft = cv2.warpAffine(
        region.mask, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.threshold(soft, 127, 255, cv2.THRESH_BINARY)[1]  # type: ignore[return-value]


def chest_wall_side(mask: NDArray[np.uint8]) -> Side:
    """Tell the side of the chest wall from the shape of the breast.

    A breast is cut straight at the chest wall and tapers towards the nipple, so that the outer
    columns of its bounding box are fuller on the chest-wall side. An empty or symmetrical mask
    counts as left.
    """
    occupied = np.flatnonzero(mask.any(axis=0))
    if not occupied.size:
        return "left"
    height = (mask[:, occupied[0] : occupied[-1] + 1] > 0).sum(axis=0)
    width = max(1, height.size // 5)
    return "left" if height[:width].sum() >= height[-width:].sum() else "right"


def _reduce(pixels: Pixels) -> Pixels:
    rows, columns = pixels.shape
    factor = -(-max(rows, columns) // _WORKING_LENGTH)
    if factor == 1:
        return pixels
    size = (max(1, columns // factor), max(1, rows // factor))
    if factor >= 4:
        # A quarter of the pixels is plenty for a mean of sixteen or more.
        pixels = np.ascontiguousarray(pixels[::2, ::2])
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _foreground(small: Pixels) -> NDArray[np.uint8]:
    """Return 255 where `small` is brighter than the background."""
    values = small.astype(np.float32)
    darkest = float(values.min())
    bright = float(np.percentile(values, _BRIGHT_PERCENTILE))
    if bright <= darkest:
        return np.zeros(small.shape, np.uint8)
    scaled = np.sqrt(np.clip((values - darkest) / (bright - darkest), 0.0, 1.0))
    grey = cv2.GaussianBlur((255.0 * scaled).astype(np.uint8), (5, 5), 0)
    threshold = _background_threshold(grey.astype(np.uint8, copy=False))
    return np.where(grey > threshold, 255, 0).astype(np.uint8)


def _background_threshold(grey: NDArray[np.uint8]) -> float:
    """Return the threshold between background and breast.

    Where a saturated part is so large that the first threshold only tells it from the rest, the
    rest splits again into background and a large part of far higher values: the breast. In
    films and in images without such a part, the second part reached at most 0.37 of the way
    from the background to the first.
    """
    threshold = _otsu(grey)
    below = grey[grey <= threshold]
    bright = grey[grey > threshold]
    if not below.size or not bright.size:
        return threshold
    second = _otsu(below)
    background, between = below[below <= second], below[below > second]
    if between.size < _LARGE_SHARE * grey.size or not background.size:
        return threshold
    base = float(background.mean())
    way = (float(between.mean()) - base) / (float(bright.mean()) - base)
    return second if way > _FAR_FROM_BACKGROUND else threshold


def _otsu(grey: NDArray[np.uint8]) -> float:
    flags = cv2.THRESH_BINARY | cv2.THRESH_OTSU
    return cv2.threshold(np.ascontiguousarray(grey).reshape(1, -1), 0, 255, flags)[0]


def _largest_part(foreground: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Open away thin structures and keep the largest connected part."""
    size = max(3, max(foreground.shape) // 40 | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    opened = cv2.morphologyEx(foreground, cv2.MORPH_OPEN, kernel)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return np.zeros_like(foreground)
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return np.where(labels == largest, 255, 0).astype(np.uint8)


def _filled_to_chest_wall(mask: NDArray[np.uint8], side: Side) -> NDArray[np.uint8]:
    """Fill the holes of a breast, and the dark notches that are open to the chest wall."""
    closed = mask.copy()
    left, _, width, _ = cv2.boundingRect(mask)
    wall = left if side == "left" else left + width - 1
    touching = np.flatnonzero(mask[:, wall])
    closed[touching[0] : touching[-1] + 1, wall] = 255
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(closed, contours, -1, 255, cv2.FILLED).astype(np.uint8, copy=False)


def _bounding_box(mask: NDArray[np.uint8], shape: tuple[int, int]) -> Box:
    """Return the box of `mask` in pixels of an image of `shape`, widened by a small margin."""
    left, top, width, height = cv2.boundingRect(mask)
    vertical, horizontal = shape[0] / mask.shape[0], shape[1] / mask.shape[1]
    margin = round(_MARGIN_SHARE * max(shape))
    return Box(
        top=max(0, int(top * vertical) - margin),
        left=max(0, int(left * horizontal) - margin),
        bottom=min(shape[0], int(np.ceil((top + height) * vertical)) + margin),
        right=min(shape[1], int(np.ceil((left + width) * horizontal)) + margin),
    )
