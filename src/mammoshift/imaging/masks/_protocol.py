"""What the mask of a recipe is."""

from __future__ import annotations

from typing import Protocol

from mammoshift import registry
from mammoshift.configuration.model import MASKS, InputRecipe
from mammoshift.imaging.breast import BreastRegion
from mammoshift.imaging.decoded import DecodedImage


class MaskModule(Protocol):
    """What the module of a mask offers."""

    def shown(self, image: DecodedImage, region: BreastRegion, view: str | None) -> BreastRegion:
        """Return the region whose mask it is; `view` is None where it is unknown."""
        ...


def mask_of(recipe: InputRecipe) -> MaskModule:
    """Return the mask that a recipe names."""
    return registry.load(MASKS, recipe.mask)  # type: ignore[return-value]
