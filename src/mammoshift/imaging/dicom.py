"""DICOM images of every transfer syntax that mammography archives use, to one grey image."""

from __future__ import annotations

from pathlib import Path

from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.dicom_display import DISPLAY_KEYWORDS, interpret
from mammoshift.imaging.dicom_file import open_dicom
from mammoshift.imaging.dicom_pixels import read_luma, read_stored
from mammoshift.imaging.spacing import pixel_spacing


def decode_dicom(path: Path) -> DecodedImage:
    """Decode the one image of a DICOM file.

    Handled: native pixels of either byte order or deflated, RLE, JPEG (baseline, extended,
    lossless of any selection value), JPEG-LS, JPEG 2000 and HTJ2K; 8 or 16 bits allocated with
    fewer stored and anything in the unused bits; signed pixels; MONOCHROME1; a modality LUT;
    declared padding; colour, which becomes luma. Only attributes that the pixels need are read,
    so that no identifier of a patient is held in memory.

    Raises
    ------
    UnreadableImageError
        If the file holds no single grey or colour image that can be decoded; the reason names
        no value that could identify a patient.
    """
    with open_dicom(path, DISPLAY_KEYWORDS) as file:
        if file.layout.samples == 3:
            return DecodedImage(
                read_luma(path, file), bits=8, pixel_spacing_mm=pixel_spacing(file.header)
            )
        return interpret(read_stored(file), file.header, file.layout)
