"""All of the breast."""

from __future__ import annotations

from mammoshift.imaging.breast import BreastRegion
from mammoshift.imaging.decoded import DecodedImage


def shown(_image: DecodedImage, region: BreastRegion, _view: str | None) -> BreastRegion:
    """Return the whole region."""
    return region
