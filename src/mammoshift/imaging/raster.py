"""Images that are not DICOM: PGM, PNG, JPEG and TIFF, told apart by their first bytes."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.codestream import read_header
from mammoshift.imaging.decoded import DecodedImage, Pixels, check_size

# tifffile quotes the values of damaged tags, and a value may name a patient.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_BLANK = rb"(?:\s|#[^\n]*\n)+"
_PGM_HEADER = re.compile(rb"P([25])" + 3 * (_BLANK + rb"(\d{1,9})") + rb"\s")
_PGM_HEADER_BYTES = 4096
_PNG_START = b"\x89PNG\r\n\x1a\n"
_TIFF_COLOURS = frozenset(
    {
        tifffile.PHOTOMETRIC.MINISWHITE,
        tifffile.PHOTOMETRIC.MINISBLACK,
        tifffile.PHOTOMETRIC.RGB,
    }
)
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def raster_decoder(start: bytes) -> Callable[[Path], DecodedImage] | None:
    """Return the decoder for a file that starts with these bytes, or None when there is none."""
    if start[:2] in {b"P2", b"P5"}:
        return decode_pgm
    if start.startswith(_PNG_START):
        return decode_png
    if start.startswith(b"\xff\xd8\xff"):
        return decode_jpeg
    if start.startswith(_TIFF_STARTS):
        return decode_tiff
    return None


def decode_pgm(path: Path) -> DecodedImage:
    """Decode a portable grey map, binary (P5) or plain (P2), of up to 16 bits.

    Raises
    ------
    UnreadableImageError
        If the header is damaged, pixels are missing, or one exceeds the declared maximum.
    """
    data = path.read_bytes()
    header = _PGM_HEADER.match(data[:_PGM_HEADER_BYTES])
    if header is None:
        raise UnreadableImageError("the PGM header is damaged")
    kind = header[1]
    columns, rows, maximum = (int(header[part]) for part in (2, 3, 4))
    check_size(rows, columns)
    if not 1 <= maximum <= 65_535:
        raise UnreadableImageError(f"the PGM maximum is {maximum}; it must be 1 to 65535")
    dtype = np.dtype(np.uint8 if maximum < 256 else np.uint16)
    count = rows * columns
    body = memoryview(data)[header.end() :]
    if kind == b"2":
        pixels = _plain_pixels(bytes(body), count, maximum).astype(dtype)
    else:
        if len(body) < count * dtype.itemsize:
            raise UnreadableImageError(
                f"the pixel data is truncated: {len(body)} of {count * dtype.itemsize} bytes"
            )
        pixels = np.frombuffer(body, dtype.newbyteorder(">"), count).astype(dtype)
    if int(pixels.max()) > maximum:
        raise UnreadableImageError(f"a pixel exceeds the declared maximum of {maximum}")
    return DecodedImage(pixels.reshape(rows, columns), bits=maximum.bit_length())


def _plain_pixels(text: bytes, count: int, maximum: int) -> NDArray[np.int64]:
    words = re.sub(rb"#[^\n]*", b" ", text).split(maxsplit=count)[:count]
    if len(words) < count:
        raise UnreadableImageError(f"the pixel data is truncated: {len(words)} of {count} values")
    if max(map(len, words)) > len(str(maximum)) or not all(map(bytes.isdigit, words)):
        raise UnreadableImageError(f"a pixel is not a whole number from 0 to {maximum}")
    return np.array(words, dtype=np.int64)


def decode_png(path: Path) -> DecodedImage:
    """Decode a PNG of 1 to 16 bits; colour becomes luma and transparency is ignored."""
    data = path.read_bytes()
    if data[12:16] != b"IHDR" or len(data) < 26:
        raise UnreadableImageError("the PNG header is damaged")
    columns, rows = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    check_size(rows, columns, 4)
    if b"IEND" not in data[-1024:]:
        raise UnreadableImageError("the PNG file is truncated: it has no end chunk")
    return _from_array(imagecodecs.png_decode(data), (rows, columns))


def decode_jpeg(path: Path) -> DecodedImage:
    """Decode a JPEG of 8 or 12 bits; colour becomes luma."""
    data = path.read_bytes()
    header = read_header(data)
    check_size(header.rows, header.columns, header.components)
    if header.components == 3:
        decoded = imagecodecs.jpeg8_decode(data, outcolorspace="RGB")
    elif header.components == 1:
        decoded = imagecodecs.jpeg8_decode(data)
    else:
        raise UnreadableImageError(f"a JPEG with {header.components} components is not supported")
    image = _from_array(decoded, (header.rows, header.columns))
    return DecodedImage(image.pixels, bits=8 if image.pixels.dtype == np.uint8 else header.bits)


def decode_tiff(path: Path) -> DecodedImage:
    """Decode the first page of a TIFF of 8 or 16 bits: grey, colour or colour with transparency.

    Raises
    ------
    UnreadableImageError
        If the file has several pages of one size, pixels that are not unsigned integers of 8 or
        16 bits, or colours that are neither grey nor red, green and blue.
    """
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        check_size(page.imagelength, page.imagewidth, page.samplesperpixel)
        if len(file.pages) > 1 and file.pages[1].shape == page.shape:
            raise UnreadableImageError(f"the TIFF has {len(file.pages)} pages of the same size")
        if page.dtype not in (np.uint8, np.uint16) or page.bitspersample not in (8, 16):
            raise UnreadableImageError("the TIFF's pixels are not 8-bit or 16-bit integers")
        # tifffile turns YCbCr into RGB where the JPEG codec stored it, and nowhere else.
        is_jpeg = page.compression == tifffile.COMPRESSION.JPEG
        if page.photometric not in _TIFF_COLOURS and not (
            is_jpeg and page.photometric == tifffile.PHOTOMETRIC.YCBCR
        ):
            raise UnreadableImageError("the TIFF's colours are neither grey nor RGB")
        size = path.stat().st_size
        segments = zip(page.dataoffsets, page.databytecounts, strict=True)
        if any(offset + count > size for offset, count in segments):
            raise UnreadableImageError("the TIFF is truncated")
        array = page.asarray()
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and array.ndim == 3:
            array = np.moveaxis(array, 0, -1)
        image = _from_array(array, (page.imagelength, page.imagewidth))
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            return DecodedImage(~image.pixels, image.bits, inverted=True)
        return image


def _from_array(decoded: NDArray[Any], size: tuple[int, int]) -> DecodedImage:
    """Reduce a decoded array to one grey plane of `size`; transparency is left out."""
    if decoded.shape[:2] != size or decoded.dtype not in (np.uint8, np.uint16):
        raise UnreadableImageError("the decoded image is not what its header says")
    return DecodedImage(_grey(decoded), bits=8 * decoded.dtype.itemsize)


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
