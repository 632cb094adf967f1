"""Images that are not DICOM, decoded: PGM, PNG, JPEG and TIFF."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.decoded import DecodedImage, Pixels
from mammoshift.imaging.raster_header import (
    RasterHeader,
    RasterKind,
    jpeg_header,
    open_tiff,
    pgm_header,
    png_header,
)


def decode_raster(path: Path, kind: RasterKind) -> DecodedImage:
    """Decode a file of a known kind; colour becomes luma and transparency is ignored.

    Raises
    ------
    UnreadableImageError
        If the header is damaged or unsupported (see `raster_header`), or pixels are missing.
    """
    if kind == "tiff":
        return _decode_tiff(path)
    data = path.read_bytes()
    if kind == "pgm":
        return _decode_pgm(data)
    if kind == "png":
        header = png_header(data)
        return _from_array(imagecodecs.png_decode(data), header)
    header = jpeg_header(data)
    if header.channels == 3:
        return _from_array(imagecodecs.jpeg8_decode(data, outcolorspace="RGB"), header)
    return _from_array(imagecodecs.jpeg8_decode(data), header)


def _decode_pgm(data: bytes) -> DecodedImage:
    header = pgm_header(data)
    dtype = np.dtype(np.uint8 if header.maximum < 256 else np.uint16)
    count = header.rows * header.columns
    body = memoryview(data)[header.body :]
    if header.plain:
        pixels = _plain_pixels(bytes(body), count, header.maximum).astype(dtype)
    else:
        pixels = np.frombuffer(body, dtype.newbyteorder(">"), count).astype(dtype)
    if int(pixels.max()) > header.maximum:
        raise UnreadableImageError(f"a pixel exceeds the declared maximum of {header.maximum}")
    return DecodedImage(pixels.reshape(header.rows, header.columns), bits=header.bits)


def _plain_pixels(text: bytes, count: int, maximum: int) -> NDArray[np.int64]:
    words = re.sub(rb"#[^\n]*", b" ", text).split(maxsplit=count)[:count]
    if len(words) < count:
        raise UnreadableImageError(f"the pixel data is truncated: {len(words)} of {count} values")
    if max(map(len, words)) > len(str(maximum)) or not all(map(bytes.isdigit, words)):
        raise UnreadableImageError(f"a pixel is not a whole number from 0 to {maximum}")
    return np.array(words, dtype=np.int64)


def _decode_tiff(path: Path) -> DecodedImage:
    with open_tiff(path) as page:
        array = page.asarray()
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and array.ndim == 3:
            array = np.moveaxis(array, 0, -1)
        header = RasterHeader(page.imagelength, page.imagewidth, page.samplesperpixel, 16)
        image = _from_array(array, header)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            return DecodedImage(~image.pixels, image.bits, inverted=True)
        return image


def _from_array(decoded: NDArray[Any], header: RasterHeader) -> DecodedImage:
    """Reduce a decoded array to one grey plane of the stated size; transparency is left out."""
    size = (header.rows, header.columns)
    if decoded.shape[:2] != size or decoded.dtype not in (np.uint8, np.uint16):
        raise UnreadableImageError("the decoded image is not what its header says")
    bits = 8 if decoded.dtype == np.uint8 else header.bits
    return DecodedImage(_grey(decoded), bits=bits)


def _grey(decoded: NDArray[Any]) -> Pixels:
    channels = 1 if decoded.ndim == 2 else decoded.shape[2]
    if decoded.ndim == 2:
        return decoded
    if decoded.ndim == 3 and channels in {1, 2}:
        return np.ascontiguousarray(decoded[:, :, 0])
    if decoded.ndim == 3 and channels in {3, 4}:
        colour = np.ascontiguousarray(decoded[:, :, :3])
        # The weights of BT.601 sum to one, so that grey stored as colour keeps its values.
        return cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]
    raise UnreadableImageError(f"an image with {channels} channels is not supported")
