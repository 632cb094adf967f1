"""Any supported file to one grey image, or a reason why not."""

from __future__ import annotations

from pathlib import Path

from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.dicom import decode_dicom
from mammoshift.imaging.header import of_its_kind
from mammoshift.imaging.raster import decode_raster


def decode_image(path: Path) -> DecodedImage:
    """Decode the grey image in a file, whose format is told by its content and not its name.

    Parameters
    ----------
    path
        A DICOM file, or a PGM, PNG, JPEG or TIFF image.

    Returns
    -------
    DecodedImage
        Pixels that grow with brightness, with what the file says about display and spacing.

    Raises
    ------
    UnreadableImageError
        If the file is missing, damaged, too large or of no supported kind. The reason holds no
        path and no value from the file that could identify a patient.
    """
    return of_its_kind(path, decode_dicom, decode_raster)
