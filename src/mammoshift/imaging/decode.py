"""Any supported file to one grey image, or a reason why not."""

from __future__ import annotations

from pathlib import Path

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.dicom import decode_dicom
from mammoshift.imaging.raster import raster_decoder

_DICOM_MARK = b"DICM"
_BARE_DATA_SETS = (b"\x08\x00", b"\x02\x00")


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
    try:
        with path.open("rb") as stream:
            start = stream.read(132)
        if start[128:132] == _DICOM_MARK or start[:2] in _BARE_DATA_SETS:
            return decode_dicom(path)
        decoder = raster_decoder(start)
        if decoder is not None:
            return decoder(path)
    except UnreadableImageError:
        raise
    except FileNotFoundError as error:
        raise UnreadableImageError("the file does not exist") from error
    # The decoders of hostile files raise errors of any kind; every one means this file is broken.
    except Exception as error:
        raise UnreadableImageError(f"the file is damaged ({type(error).__name__})") from error
    if not start:
        raise UnreadableImageError("the file is empty")
    raise UnreadableImageError("the file is not DICOM, PGM, PNG, JPEG or TIFF")
