"""Where the breast is: box, mask and chest-wall side, found on a strongly reduced image.

Digitised films carry labels, tape, white borders and grey bands beside the breast; processed
detector images have a constant or a noisy background. The breast is what is left of the
foreground after thin structures are opened away: the largest connected part.
"""

from __future__ import annotations

import sys
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
_LEAST_FREE_BORDER = 0.25
_MIXED = 128
_BIG_ENDIAN = sys.byteorder == "big"

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
        mask that had to be filled make it smaller, and so does a mask along nearly all of the
        border, as the air of an image that is shown inverted has.
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
    certainty *= min(1.0, (1.0 - _border_share(mask, foreground)) / _LEAST_FREE_BORDER)
    return BreastRegion(mask, (rows, columns), box, side, True, certainty)


def without_pectoral(
    image: DecodedImage, region: BreastRegion, view: str | None = None
) -> BreastRegion:
    """Return the region with the pectoral muscle taken out of its mask; box and side stay.

    Nothing is taken out of a subtracted image, nor of a view that shows no pectoral muscle, such
    as ``CC``; where the view is unknown, only a muscle that stands out clearly is.
    """
    shows_none = image.subtracted or (view is not None and view not in VIEWS_WITH_PECTORAL)
    if not region.found or shows_none:
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

    The reduced mask is read at the centre of every target pixel, linearly between its own, so that
    the result lies on an image of the same box that was resized to the same size. Half a pixel of
    breast is breast.
    """
    height, width = region.mask.shape
    row, down = _read_at(box.top, box.rows, rows, height / region.shape[0], height)
    along_scale = width / region.shape[1]
    column, along = _read_at(box.left, box.columns, columns, along_scale, width, np.float64)
    padded = np.pad(region.mask, 1, "edge")
    corner = padded[:-1, :-1]
    mixed = (corner != padded[:-1, 1:]) | (corner != padded[1:, :-1]) | (corner != padded[1:, 1:])
    # Nearly everywhere the four pixels around a place are equal, and nothing is between them.
    mask = np.where(mixed, np.uint8(_MIXED), corner).take(column, axis=1).take(row, axis=0)
    places = np.flatnonzero(mask == _MIXED)
    i, j = np.divmod(places, columns)
    y, x = down[i], along[j]
    four = padded.astype(np.float64)
    above, below = four[row[i], column[j]], four[row[i] + 1, column[j]]
    above += x * (four[row[i], column[j] + 1] - above)
    below += x * (four[row[i] + 1, column[j] + 1] - below)
    mask.flat[places] = np.where(above + y * (below - above) >= 127.5, 255, 0)
    return mask


def _read_at(
    first: int,
    length: int,
    steps: int,
    scale: float,
    size: int,
    kind: type[np.floating[Any]] = np.float32,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return between which pixels of a reduced axis each of some steps lies, and how far along.

    The index is that of the one before, in an axis that was padded by one pixel at either end.
    """
    step = np.float32(length * scale / steps)
    start = np.float32(0.5 * length * scale / steps + first * scale - 0.5)
    at = (np.arange(steps, dtype=kind) * step + start).astype(np.float32)
    before = np.floor(at)
    index = np.clip(before.astype(np.intp) + 1, 0, size)
    return index, (at - before).astype(np.float64)


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


def _border_share(mask: Mat, foreground: Foreground) -> float:
    """Return the share of the border of film or detector that a mask lies on."""
    film = mask[foreground.rows, foreground.columns]
    edges = (film[0], film[-1], film[:, 0], film[:, -1])
    return sum(map(np.count_nonzero, edges)) / sum(edge.size for edge in edges)


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
        pixels = thinned(pixels, 2)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def thinned(pixels: Pixels, step: int) -> Pixels:
    """Return a copy of every `step`-th pixel of every `step`-th row."""
    rows = pixels[::step]
    wide = {1: np.uint16, 2: np.uint32}[pixels.dtype.itemsize]
    if step != 2 or rows.shape[1] % 2 or rows.strides[1] != rows.itemsize or _BIG_ENDIAN:
        return np.ascontiguousarray(rows[:, ::step])
    # Two pixels as one number: its lower half is the first of them, in half the time.
    return rows.view(wide).astype(pixels.dtype)


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
    either = cv2.bitwise_or(bright, core)
    return cv2.bitwise_xor(either, _part_of(either, core))


def _grown(start: Mat, within: Mat, reach: float) -> Mat:
    """Return what of `within` is connected to `start` and no further from it than `reach`.

    `start` is one connected part of `within`.
    """
    distance = cv2.distanceTransform(cv2.bitwise_not(start), cv2.DIST_L2, 3)
    return _part_of(cv2.bitwise_and(within, cv2.inRange(distance, 0.0, reach)), start)


def _part_of(mask: Mat, start: Mat) -> Mat:
    """Return the part of `mask` that the connected part `start` of it belongs to, as 0 and 255."""
    filled = cv2.threshold(mask, 0, 1, cv2.THRESH_BINARY)[1]
    row, column = divmod(int(start.argmax()), start.shape[1])
    cv2.floodFill(filled, None, (column, row), 255, flags=4)
    return cv2.threshold(filled, 1, 255, cv2.THRESH_BINARY)[1]


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
