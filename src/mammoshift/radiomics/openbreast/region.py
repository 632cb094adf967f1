"""An image and the part of it that features are taken of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Levels = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Region:
    """A grey image, shape (rows, columns), and a mask of that shape with at least one pixel.

    `spacing_mm` is the distance of pixel centres, which the fractal dimension alone reads.
    """

    image: Floats
    mask: NDArray[np.bool_]
    spacing_mm: float = 0.1

    @cached_property
    def values(self) -> Floats:
        """The pixels inside the mask, row by row."""
        return self.image[self.mask]

    @cached_property
    def box(self) -> tuple[slice, slice]:
        """The smallest rectangle that holds the mask."""
        rows = np.flatnonzero(self.mask.any(axis=1))
        columns = np.flatnonzero(self.mask.any(axis=0))
        return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
