"""The distribution of the recipe's reference, given to the breast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammoshift.errors import ConfigurationError
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.matching import matching_table
from mammoshift.imaging.tone import look_up
from mammoshift.imaging.tones._protocol import ShownCrop


def needs_range(_image: DecodedImage) -> bool:
    """Return True."""
    return True


def tone(crop: ShownCrop) -> NDArray[np.uint16]:
    """Return intensities 0 to 65535."""
    reference = crop.recipe.reference_quantiles
    if reference is None:
        raise ConfigurationError("the tone histogram_match needs reference_quantiles")
    return crop.shown(look_up(crop.values, matching_table(crop.levels.counts, reference)))
