"""What a tone recipe is: stored values of a crop to intensities of 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mammoshift import registry
from mammoshift.configuration.model import TONES, InputRecipe
from mammoshift.imaging.breast import Box, BreastRegion
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.levels import breast_counts
from mammoshift.imaging.tone import percentile_range


@dataclass(frozen=True, eq=False)
class ShownCrop:
    """A crop of an image that is to be toned.

    Attributes
    ----------
    values
        The crop as it was resized, float32 in units of the stored pixel.
    image, box, region
        The image that it comes from, what of it the crop is, and where the breast is, if known.
    recipe
        Whose tone is applied.
    """

    values: NDArray[np.float32]
    image: DecodedImage
    box: Box
    region: BreastRegion | None
    recipe: InputRecipe

    def counts(self) -> NDArray[np.int64]:
        """Count the stored values of the breast in the crop, from 0."""
        return breast_counts(self.image.pixels, self.region, self.box, self.image.bits)

    def breast_range(self) -> tuple[float, float]:
        """Return the 0.5 and 99.5 percentiles of the breast's stored values."""
        return percentile_range(self.counts())


class ToneModule(Protocol):
    """What the module of a tone offers."""

    def needs_range(self, image: DecodedImage) -> bool:
        """Tell whether the tone depends on the values of the breast in `image`."""
        ...

    def tone(self, crop: ShownCrop) -> NDArray[np.uint16]:
        """Return intensities 0 to 65535, shape of the crop's values."""
        ...


def tone_of(recipe: InputRecipe) -> ToneModule:
    """Return the tone that a recipe names."""
    return registry.load(TONES, recipe.tone)  # type: ignore[return-value]
