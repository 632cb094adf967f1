"""The breast without the pectoral muscle."""

from __future__ import annotations

from mammoshift.imaging.breast import BreastRegion, without_pectoral
from mammoshift.imaging.decoded import DecodedImage


def shown(image: DecodedImage, region: BreastRegion, view: str | None) -> BreastRegion:
    """Return the region without the muscle; in a view that shows none it stays whole."""
    return without_pectoral(image, region, view)
