"""The pixel spacing that a DICOM file states: at the detector, on the film or in the breast."""

from __future__ import annotations

from pydicom.dataset import Dataset

from mammoshift.imaging.dicom_file import numbers

_AT_DETECTOR, _MAGNIFICATION = "ImagerPixelSpacing", "EstimatedRadiographicMagnificationFactor"
_ON_FILM = ("PixelSpacing", "NominalScannedPixelSpacing")
SPACING_KEYWORDS = (_AT_DETECTOR, _MAGNIFICATION, *_ON_FILM)
"""Attributes that `pixel_spacing` reads."""

LEAST_MAGNIFICATION = 1.25
"""Factor from which on a view is a magnification view, 1.4 to 2 in practice.

In a contact view the factor, 1 to 1.1, only says how far above the detector the middle of the
breast lies; it is stated by some makers alone, so that it would set their images apart.
"""

_LARGEST_MAGNIFICATION = 5.0
_LARGEST_SPACING_MM = 10.0


def pixel_spacing(header: Dataset) -> tuple[float, float] | None:
    """Return the spacing in mm at the detector, else that of the pixels, which for film is one.

    It is that of pixel centres down a column and along a row; one that no device has is unknown.
    In a magnification view it is that in the breast: the detector's divided by the factor. Of a
    scan the pixels' spacing, which may have been calibrated, comes before the nominal one.
    """
    for keyword in (_AT_DETECTOR, *_ON_FILM):
        spacing = numbers(header, keyword)
        if len(spacing) == 2 and all(0.0 < one <= _LARGEST_SPACING_MM for one in spacing):
            factor = _magnification(header) if keyword == _AT_DETECTOR else 1.0
            return spacing[0] / factor, spacing[1] / factor
    return None


def _magnification(header: Dataset) -> float:
    """Return the factor of a magnification view (DICOM PS3.3 C.8.7.1), 1 for any other."""
    factor = numbers(header, _MAGNIFICATION)
    is_magnified = len(factor) == 1 and LEAST_MAGNIFICATION <= factor[0] <= _LARGEST_MAGNIFICATION
    return factor[0] if is_magnified else 1.0
