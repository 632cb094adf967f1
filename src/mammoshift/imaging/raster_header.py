"""The headers of images that are not DICOM: PGM, PNG, JPEG and TIFF, told by their first bytes.

Ingestion and decoding both read them here, so that a file which one of them takes is taken by
the other.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.codestream import Bytes, read_header
from mammoshift.imaging.limits import check_compression, check_size

# tifffile quotes the values of damaged tags, and a value may name a patient.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

RasterKind = Literal["pgm", "png", "jpeg", "tiff"]

_BLANK = rb"(?:\s|#[^\n]*\n)+"
_PGM_HEADER = re.compile(rb"P([25])" + 3 * (_BLANK + rb"(\d{1,9})") + rb"\s")
_PGM_HEADER_BYTES = 4096
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_TIFF_COLOURS = frozenset(
    {
        tifffile.PHOTOMETRIC.MINISWHITE,
        tifffile.PHOTOMETRIC.MINISBLACK,
        tifffile.PHOTOMETRIC.RGB,
    }
)
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class RasterHeader:
    """Size of a raster image; `bits` are those of a sample once decoded."""

    rows: int
    columns: int
    channels: int
    bits: int


@dataclass(frozen=True)
class PgmHeader(RasterHeader):
    """Header of a portable grey map: its largest value, whether it is text, where pixels begin."""

    maximum: int
    plain: bool
    body: int


def raster_kind(start: bytes) -> RasterKind | None:
    """Return the format of a file that starts with these bytes, or None when it is none."""
    if start[:2] in {b"P2", b"P5"}:
        return "pgm"
    if start.startswith(_PNG_START):
        return "png"
    if start.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if start.startswith(_TIFF_STARTS):
        return "tiff"
    return None


def pgm_header(data: Bytes) -> PgmHeader:
    """Return the header of a portable grey map, binary (P5) or plain (P2), of up to 16 bits."""
    found = _PGM_HEADER.match(data[:_PGM_HEADER_BYTES])
    if found is None:
        raise UnreadableImageError("the PGM header is damaged")
    columns, rows, maximum = (int(found[part]) for part in (2, 3, 4))
    check_size(rows, columns)
    if not 1 <= maximum <= 65_535:
        raise UnreadableImageError(f"the PGM maximum is {maximum}; it must be 1 to 65535")
    header = PgmHeader(
        rows, columns, 1, maximum.bit_length(), maximum, found[1] == b"2", found.end()
    )
    expected = rows * columns * (1 if maximum < 256 else 2)
    if not header.plain and len(data) - header.body < expected:
        raise UnreadableImageError(
            f"the pixel data is truncated: {len(data) - header.body} of {expected} bytes"
        )
    return header


def png_header(data: Bytes) -> RasterHeader:
    """Return the header of a PNG, which must end as one; fewer than 8 bits are decoded to 8."""
    if data[12:16] != b"IHDR" or len(data) < 26 or data[25] not in _PNG_CHANNELS:
        raise UnreadableImageError("the PNG header is damaged")
    columns, rows = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    check_size(rows, columns, _PNG_CHANNELS[data[25]])
    if b"IEND" not in data[-1024:]:
        raise UnreadableImageError("the PNG file is truncated: it has no end chunk")
    return RasterHeader(rows, columns, _PNG_CHANNELS[data[25]], 16 if data[24] == 16 else 8)


def jpeg_header(data: Bytes) -> RasterHeader:
    """Return the header of a JPEG of 8 or 12 bits, grey or of three colours."""
    header = read_header(data)
    if header.components not in {1, 3}:
        raise UnreadableImageError(f"a JPEG with {header.components} components is not supported")
    check_size(header.rows, header.columns, header.components)
    check_compression(header.rows, header.columns, len(data))
    return RasterHeader(header.rows, header.columns, header.components, header.bits)


@contextmanager
def open_tiff(path: Path) -> Iterator[tifffile.TiffPage]:
    """Open the only page of a TIFF of 8 or 16 bits: grey, colour or colour with transparency.

    Raises
    ------
    UnreadableImageError
        If the file has several pages of one size, pixels that are not unsigned integers of 8 or
        16 bits, colours that are neither grey nor red, green and blue, or is cut short.
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
        check_compression(page.imagelength, page.imagewidth, sum(page.databytecounts))
        yield page


def tiff_header(path: Path) -> RasterHeader:
    """Return the header of a TIFF that `open_tiff` takes."""
    with open_tiff(path) as page:
        return RasterHeader(
            page.imagelength, page.imagewidth, page.samplesperpixel, int(page.bitspersample)
        )
