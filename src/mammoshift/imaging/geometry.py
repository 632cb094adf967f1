"""Where a place on the stored image lies in the array that a model takes, and the way back.

Coordinates are (row, column), or for boxes (top, left, bottom, right), as floating-point numbers
in which the centre of the first pixel is (0, 0). Every function is pure and has its inverse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.imaging.breast import Box

Coordinates = NDArray[np.float64]


@dataclass(frozen=True)
class Placement:
    """How a crop of an image lies in an array.

    Attributes
    ----------
    crop
        What of the image is used, in its pixels, before any flip.
    content
        The part of the array that shows the crop.
    flipped
        Whether left and right were exchanged.
    """

    crop: Box
    content: Box
    flipped: bool

    def points_to_array(self, points: ArrayLike) -> Coordinates:
        """Return where points of the image, shape (n, 2), lie in the array; also outside it."""
        rows, columns = _columns_of(points)
        down = (rows + 0.5 - self.crop.top) * self.content.rows / self.crop.rows - 0.5
        along = (columns + 0.5 - self.crop.left) * self.content.columns / self.crop.columns - 0.5
        if self.flipped:
            along = self.content.columns - 1.0 - along
        return np.column_stack([down + self.content.top, along + self.content.left])

    def points_to_image(self, points: ArrayLike) -> Coordinates:
        """Return where points of the array, shape (n, 2), lie on the stored image."""
        rows, columns = _columns_of(points)
        down, along = rows - self.content.top, columns - self.content.left
        if self.flipped:
            along = self.content.columns - 1.0 - along
        down = (down + 0.5) * self.crop.rows / self.content.rows - 0.5 + self.crop.top
        along = (along + 0.5) * self.crop.columns / self.content.columns - 0.5 + self.crop.left
        return np.column_stack([down, along])

    def boxes_to_array(self, boxes: ArrayLike) -> Coordinates:
        """Return boxes of the image, shape (n, 4), in the array; top and left stay the smaller."""
        return _through(self.points_to_array, boxes)

    def boxes_to_image(self, boxes: ArrayLike) -> Coordinates:
        """Return boxes of the array, shape (n, 4), on the stored image."""
        return _through(self.points_to_image, boxes)

    def shows(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points of the image, shape (n, 2), the array shows."""
        rows, columns = _columns_of(points)
        down = (rows >= self.crop.top - 0.5) & (rows <= self.crop.bottom - 0.5)
        return down & (columns >= self.crop.left - 0.5) & (columns <= self.crop.right - 0.5)


def _columns_of(points: ArrayLike) -> tuple[Coordinates, Coordinates]:
    pairs = np.asarray(points, np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _through(move: Callable[[ArrayLike], Coordinates], boxes: ArrayLike) -> Coordinates:
    quads = np.asarray(boxes, np.float64).reshape(-1, 4)
    first, second = move(quads[:, :2]), move(quads[:, 2:])
    return np.column_stack([np.minimum(first, second), np.maximum(first, second)])
