"""Contact sheets: images as they are stored beside the arrays that a network sees.

A tile shows the whole stored image, with the outline of the breast's mask, what is cropped and the
annotated regions, and to its right the array. Below stand an opaque name and two numbers. Nothing
of a file's name or header is written, and of an image that declares text in its pixels only the
breast is shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.imaging.breast import Box, BreastRegion, full_mask
from mammoshift.imaging.decoded import DecodedImage, Pixels

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

TILE_HEIGHT = 200
COLUMNS = 6

_CAPTION_HEIGHT, _GAP = 16, 6
_GROUND: Colour = (46, 40, 34)
_TEXT: Colour = (226, 222, 218)
_MASK: Colour = (90, 200, 90)
_CROP: Colour = (230, 170, 60)
_REGION: Colour = (80, 80, 240)
_WHITE_PERCENT = 99.7


@dataclass(frozen=True, eq=False)
class Shown:
    """One image on a sheet.

    Attributes
    ----------
    key
        What the opaque name is a hash of; it is not shown.
    image
        The decoded file.
    region
        Where its breast is, as the recipe's mask has it; None where no breast was looked for.
    crop
        What of it the array shows.
    array
        uint16, shape (rows, columns), as a network sees it.
    regions
        Boxes around annotated regions, in pixels of the image.
    filled_share, certainty
        See `mammoshift.imaging.preprocess.Preprocessed`.
    burned_in
        Whether the file declares text in its pixels.
    """

    key: str
    image: DecodedImage
    region: BreastRegion | None
    crop: Box
    array: NDArray[np.uint16]
    regions: Sequence[Box] = ()
    filled_share: float = 1.0
    certainty: float = 1.0
    burned_in: bool = False


def opaque_name(key: str) -> str:
    """Return six digits that tell an image from others and say nothing else."""
    return hashlib.blake2b(key.encode(), digest_size=3).hexdigest()


def draw_tile(shown: Shown) -> Picture:
    """Return one image beside its array, with a caption: uint8, shape (rows, columns, 3), BGR."""
    stored = _stored(shown)
    seen = _scaled((shown.array >> 8).astype(np.uint8))
    seen = cv2.cvtColor(seen, cv2.COLOR_GRAY2BGR)
    pair = np.hstack([stored, np.full((TILE_HEIGHT, 3, 3), _GROUND, np.uint8), seen])
    least = 8 * 26
    if pair.shape[1] < least:
        pair = np.pad(pair, ((0, 0), (0, least - pair.shape[1]), (0, 0)))
    caption = np.full((_CAPTION_HEIGHT, pair.shape[1], 3), _GROUND, np.uint8)
    text = f"{opaque_name(shown.key)}  filled {shown.filled_share:.2f}  mask {shown.certainty:.2f}"
    cv2.putText(caption, text, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.38, _TEXT, 1, cv2.LINE_AA)
    return np.vstack([pair, caption]).astype(np.uint8, copy=False)


def compose_sheet(tiles: Sequence[Picture], columns: int = COLUMNS) -> Picture:
    """Return tiles in rows, the first at the top left: uint8, shape (rows, columns, 3)."""
    width = max((tile.shape[1] for tile in tiles), default=1) + _GAP
    height = TILE_HEIGHT + _CAPTION_HEIGHT + _GAP
    down = max(1, -(-len(tiles) // columns))
    across = max(1, min(columns, len(tiles)))
    sheet = np.full((down * height + _GAP, across * width + _GAP, 3), _GROUND, np.uint8)
    for number, tile in enumerate(tiles):
        top = _GAP + number // columns * height
        left = _GAP + number % columns * width
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def _stored(shown: Shown) -> Picture:
    pixels = shown.image.pixels
    rows, columns = pixels.shape
    grey = _scaled(_in_eight_bits(pixels))
    if shown.burned_in and shown.region is not None:
        grey[_scaled(full_mask(shown.region)) < 128] = 0
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    down, along = grey.shape[0] / rows, grey.shape[1] / columns
    if shown.region is not None and shown.region.found:
        mask = cv2.resize(shown.region.mask, grey.shape[::-1], interpolation=cv2.INTER_AREA)
        outline, _ = cv2.findContours(
            np.where(mask > 127, 255, 0).astype(np.uint8),
            cv2.RETR_EXTERNAL,
            cv2.CHAIN_APPROX_NONE,
        )
        cv2.drawContours(picture, outline, -1, _MASK, 1)
    for box, colour in ((shown.crop, _CROP), *((region, _REGION) for region in shown.regions)):
        first = (round(box.left * along), round(box.top * down))
        last = (round(box.right * along) - 1, round(box.bottom * down) - 1)
        cv2.rectangle(picture, first, last, colour, 1)
    return np.asarray(picture, np.uint8)


def _in_eight_bits(pixels: Pixels) -> Picture:
    """Return the image between its smallest value and nearly its largest, from a coarse look."""
    step = max(1, max(pixels.shape) // (4 * TILE_HEIGHT))
    coarse = np.ascontiguousarray(pixels[::step, ::step])
    low, high = float(coarse.min()), float(np.percentile(coarse, _WHITE_PERCENT))
    scale = 255.0 / max(high - low, 1.0)
    return np.clip((coarse.astype(np.float32) - low) * scale, 0, 255).astype(np.uint8)


def _scaled(grey: Picture) -> Picture:
    """Return a grey picture in the height of a tile, its aspect ratio kept."""
    width = max(1, round(grey.shape[1] * TILE_HEIGHT / grey.shape[0]))
    shrinks = grey.shape[0] > TILE_HEIGHT
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, (width, TILE_HEIGHT), interpolation=how), np.uint8)
