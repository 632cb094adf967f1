"""The breast in a stored array, as the region that features are taken of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammoshift.imaging.breast import full_mask, locate_breast
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.radiomics.openbreast.region import Region

USUAL_SPACING_MM = 0.1


def breast_region(array: NDArray[np.uint16], spacing_mm: float | None) -> Region | None:
    """Return an array, shape (rows, columns), with the mask of its breast; None without one.

    `spacing_mm` is None where it is unknown; 0.1 mm is then taken, as OpenBreast does.
    """
    found = locate_breast(DecodedImage(array, bits=16))
    if not found.found:
        return None
    spacing = USUAL_SPACING_MM if spacing_mm is None else spacing_mm
    return Region(array.astype(np.float64), full_mask(found) > 0, spacing)
