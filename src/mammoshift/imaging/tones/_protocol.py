"""What a tone recipe is: stored values of a crop to intensities of 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift import registry
from mammoshift.configuration.model import TONES, InputRecipe
from mammoshift.imaging.breast import Box, BreastRegion
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.levels import breast_counts
from mammoshift.imaging.tone import percentile_range, to_uint16


@dataclass(frozen=True, eq=False)
class Levels:
    """What of an image sets its tone: counted when it is first asked for, and once.

    Attributes
    ----------
    image, box, region
        The image, what of it counts, and where the breast is, if known.
    """

    image: DecodedImage
    box: Box
    region: BreastRegion | None

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How often each stored value of the breast occurs in `box`, from 0."""
        return breast_counts(self.image.pixels, self.region, self.box, self.image.bits)

    @cached_property
    def breast_range(self) -> tuple[float, float]:
        """The 0.5 and 99.5 percentiles of the breast's stored values."""
        return percentile_range(self.counts)

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest stored value in `box`."""
        part = self.box.of(self.image.pixels)
        return float(part.min()), float(part.max())


@dataclass(frozen=True, eq=False)
class ShownCrop:
    """A crop of an image that is to be toned.

    Attributes
    ----------
    resized
        The crop as it was resized, uint16, shifted up to fill sixteen bits: the fractions that
        averaging makes of 8 to 14 bit pixels are kept.
    image, levels
        The image that it comes from, and what of it sets the tone.
    recipe
        Whose tone is applied.
    """

    resized: NDArray[np.uint16]
    image: DecodedImage
    levels: Levels
    recipe: InputRecipe

    @property
    def values(self) -> NDArray[np.float32]:
        """[65536], what each value of `resized` is in units of the stored pixel.

        A tone maps every value by itself, so that it is worked out once for each there may be.
        """
        shifted = 16 - self.image.bits
        return np.arange(1 << 16, dtype=np.float32) * np.float32(1.0 / (1 << shifted))

    def shown(self, intensities: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Return the crop, 0 to 65535, by the intensities in [0, 1] of each of `values`."""
        return np.asarray(cv2.LUT(self.resized, to_uint16(intensities)), np.uint16)


class ToneModule(Protocol):
    """What the module of a tone offers."""

    def needs_range(self, image: DecodedImage) -> bool:
        """Tell whether the tone depends on the values of the breast in `image`."""
        ...

    def tone(self, crop: ShownCrop) -> NDArray[np.uint16]:
        """Return intensities 0 to 65535, in the shape of the resized crop."""
        ...


def tone_of(recipe: InputRecipe) -> ToneModule:
    """Return the tone that a recipe names."""
    return registry.load(TONES, recipe.tone)  # type: ignore[return-value]
