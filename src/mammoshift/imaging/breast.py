"""Where the breast is: box, mask and chest-wall side, found on a strongly reduced image.

Digitised films carry labels, tape, white borders and grey bands beside the breast; processed
detector images have a constant or a noisy background. The breast is what is left of the
foreground after thin structures are opened away: the largest connected part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.imaging.air import Foreground, find_foreground
from mammoshift.imaging.decoded import DecodedImage, Pixels
from mammoshift.imaging.pectoral import (
    LEAST_STEP,
    LEAST_STEP_UNKNOWN_VIEW,
    VIEWS_WITH_PECTORAL,
    pectoral_muscle,
)

_WORKING_LENGTH = 512
_SMALLEST_SHARE = 0.02
_MARGIN_SHARE = 0.01
_SKIN_SHARE = 0.08
_HAIRS = 128
_BLURRED_RIM = 19
_CLEAR_ASYMMETRY = 0.25

Side = Literal["left", "right"]
Mat: TypeAlias = NDArray[Any]
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
    certainty
        How much of what is brighter than air is the one breast, and the other way round: the
        share of both that is either (Jaccard index), 0 to 1. Labels, tape, a second part and a
        mask that had to be filled make it smaller.
    """

    mask: NDArray[np.uint8]
    shape: tuple[int, int]
    box: Box
    chest_wall: Side
    found: bool
    certainty: float = 1.0


def locate_breast(image: DecodedImage, chest_wall: Side | None = None) -> BreastRegion:
    """Find the breast in `image`.

    The image is reduced until its longer side has at most 512 pixels (about 1/8 of a detector
    image). Of what is brighter than air (see `mammoshift.imaging.air`) the largest connected
    part that survives an opening is the breast: labels, markers and their like are smaller or
    hang on by less. The opening is then undone within its reach, so that a nipple stays.

    Parameters
    ----------
    image
        A decoded image, larger value brighter.
    chest_wall
        The side of the image that the chest wall should be on, where something is known of it;
        it is overruled by a shape that says clearly otherwise.
    """
    rows, columns = image.pixels.shape
    small = _reduce(image.pixels)
    foreground = find_foreground(small)
    core, others = _bright_parts(foreground.core)
    found = cv2.countNonZero(core) >= _SMALLEST_SHARE * core.size
    if not found:
        return BreastRegion(
            mask=np.full(small.shape, 255, np.uint8),
            shape=(rows, columns),
            box=Box(0, 0, rows, columns),
            chest_wall=chest_wall or chest_wall_side(foreground.core),
            found=False,
            certainty=0.0,
        )
    mask = _up_to_skin(foreground, core, others)
    side = _agreed_side(mask, chest_wall)
    mask = _filled_to_chest_wall(mask, side)
    box = _bounding_box(mask, (rows, columns))
    certainty = _jaccard(mask, cv2.bitwise_or(foreground.tissue, foreground.core))
    return BreastRegion(mask, (rows, columns), box, side, True, certainty)


def without_pectoral(
    image: DecodedImage, region: BreastRegion, view: str | None = None
) -> BreastRegion:
    """Return the region with the pectoral muscle taken out of its mask; box and side stay.

    Nothing is taken out of a view that shows no pectoral muscle, such as ``CC``; where the view
    is unknown, only a muscle that stands out clearly is.
    """
    if not region.found or (view is not None and view not in VIEWS_WITH_PECTORAL):
        return region
    least = LEAST_STEP_UNKNOWN_VIEW if view is None else LEAST_STEP
    muscle = pectoral_muscle(_reduce(image.pixels), region.mask, region.chest_wall, least)
    kept = cv2.bitwise_and(region.mask, cv2.bitwise_not(muscle))
    return replace(region, mask=np.asarray(kept, np.uint8))


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
    return "left" if _asymmetry(mask) >= 0.0 else "right"


def _asymmetry(mask: NDArray[np.uint8]) -> float:
    """Return how much fuller the left outer columns of a mask are than the right: -1 to 1."""
    occupied = np.flatnonzero(mask.any(axis=0))
    if not occupied.size:
        return 0.0
    height = (mask[:, occupied[0] : occupied[-1] + 1] > 0).sum(axis=0)
    width = max(1, height.size // 5)
    left, right = int(height[:width].sum()), int(height[-width:].sum())
    return (left - right) / (left + right)


def _jaccard(one: Mat, other: Mat) -> float:
    either = cv2.countNonZero(cv2.bitwise_or(one, other))
    return cv2.countNonZero(cv2.bitwise_and(one, other)) / either if either else 0.0


def _agreed_side(mask: NDArray[np.uint8], expected: Side | None) -> Side:
    """Return the expected side of the chest wall unless the shape clearly contradicts it."""
    seen = chest_wall_side(mask)
    if expected is None or seen == expected:
        return seen
    return seen if abs(_asymmetry(mask)) > _CLEAR_ASYMMETRY else expected


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


def _bright_parts(bright: Mat) -> tuple[Mat, Mat]:
    """Open away thin structures; return the largest connected part, and all the others."""
    opened = cv2.morphologyEx(bright, cv2.MORPH_OPEN, _disc(_opening(bright)))
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return np.zeros_like(bright), opened
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    core = np.where(labels == largest, 255, 0).astype(np.uint8)
    return core, cv2.bitwise_and(opened, cv2.bitwise_not(core))


def _up_to_skin(foreground: Foreground, core: Mat, others: Mat) -> Mat:
    """Grow the core of a breast to the skin, and to a nipple on it, but not into a label."""
    length, size = max(core.shape), _opening(core)
    markers = cv2.bitwise_or(others, _apart(foreground.core, core))
    markers = cv2.dilate(markers, _disc(_BLURRED_RIM))
    tissue = cv2.bitwise_and(foreground.tissue, cv2.bitwise_not(markers))
    opened = cv2.bitwise_or(cv2.morphologyEx(tissue, cv2.MORPH_OPEN, _disc(size)), core)
    grown = _grown(core, opened, _SKIN_SHARE * length)
    grown = _grown(grown, cv2.bitwise_or(tissue, grown), size)
    smooth = cv2.morphologyEx(grown, cv2.MORPH_OPEN, _disc(max(3, length // _HAIRS | 1)))
    return cv2.bitwise_or(smooth, core).astype(np.uint8, copy=False)


def _apart(bright: Mat, core: Mat) -> Mat:
    """Return what of `bright` is not connected to the core of the breast."""
    parts = _parts(cv2.bitwise_or(bright, core))
    own = _labelled(parts, core > 0) | (parts == 0)
    return np.where(own, 0, 255).astype(np.uint8)


def _grown(start: Mat, within: Mat, reach: float) -> NDArray[np.uint8]:
    """Return what of `within` is connected to `start` and no further from it than `reach`."""
    distance = cv2.distanceTransform(cv2.bitwise_not(start), cv2.DIST_L2, 3)
    near = np.where((distance <= reach) & (within > 0), 255, 0).astype(np.uint8)
    own = _labelled(_parts(near), (start > 0) & (near > 0))
    return np.where(own, 255, 0).astype(np.uint8)


def _parts(mask: Mat) -> NDArray[np.int32]:
    """Return the number of the connected part that each pixel belongs to; 0 is outside."""
    return np.asarray(cv2.connectedComponents(mask, connectivity=4)[1], np.int32)


def _labelled(labels: NDArray[np.int32], where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of every label that occurs in `where`."""
    wanted = np.zeros(int(labels.max()) + 1, bool)
    wanted[labels[where]] = True
    return wanted[labels]


def _opening(mask: Mat) -> int:
    """Return the width of what is thin, in pixels of a reduced image."""
    return max(3, max(mask.shape) // 40 | 1)


def _disc(size: int) -> NDArray[np.uint8]:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)).astype(np.uint8)


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
