"""Between the breast's 0.5 and 99.5 percentiles, by the logarithm of the stored value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.tone import film_log
from mammoshift.imaging.tones._protocol import ShownCrop


def needs_range(_image: DecodedImage) -> bool:
    """Return True."""
    return True


def tone(crop: ShownCrop) -> NDArray[np.uint16]:
    """Return intensities 0 to 65535."""
    return crop.shown(film_log(crop.values, *crop.levels.breast_range))
