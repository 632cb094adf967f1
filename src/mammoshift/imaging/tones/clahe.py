"""The tone `percentile`, followed by contrast-limited adaptive histogram equalisation."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.tones import percentile
from mammoshift.imaging.tones._protocol import ShownCrop

_CLIP, _TILES = 2.0, 8


def needs_range(_image: DecodedImage) -> bool:
    """Return True."""
    return True


def tone(crop: ShownCrop) -> NDArray[np.uint16]:
    """Return intensities 0 to 65535; the clip limit is the recipe's, 2 when it has none."""
    equalisation = cv2.createCLAHE(crop.recipe.clahe_clip or _CLIP, (_TILES, _TILES))
    return np.asarray(equalisation.apply(percentile.tone(crop)), np.uint16)
