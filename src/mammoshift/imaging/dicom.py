"""DICOM images: a fast path for every transfer syntax that mammography archives use.

Native pixels are read straight from the file; compressed ones are decoded from their fragments
with imagecodecs, three to nine times faster than the general decoder. Only the attributes that
the pixels need are ever parsed, so that no identifier of a patient is held in memory.
"""

from __future__ import annotations

import logging
import math
import os
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import config
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import generate_frames
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.pixels.processing import convert_color_space
from pydicom.pixels.utils import pixel_array
from pydicom.tag import Tag
from pydicom.uid import UID

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.codestream import read_header
from mammoshift.imaging.decoded import DecodedImage, Pixels, VoiWindow, check_size

# pydicom quotes the values of header elements in its warnings, and a value may name a patient.
config.settings.reading_validation_mode = config.IGNORE
warnings.filterwarnings("ignore", module=r"pydicom(\..*)?$")
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

_NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_RLE = "1.2.840.10008.1.2.5"
_JPEG = frozenset(f"1.2.840.10008.1.2.4.{part}" for part in (50, 51, 57, 70))
_JPEG_LS = frozenset(f"1.2.840.10008.1.2.4.{part}" for part in (80, 81))
_JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{part}" for part in (90, 91))
_HTJ2K = frozenset(f"1.2.840.10008.1.2.4.{part}" for part in (201, 202, 203))

_PIXEL_DATA = 0x7FE00010
_LARGEST_WINDOW = 1e9
_UNDEFINED_LENGTH = 0xFFFFFFFF
_LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN", b"UC", b"UR", b"UT", b"SQ")

_ATTRIBUTES = [
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
]
_TAGS = [Tag(keyword) for keyword in _ATTRIBUTES]


@dataclass(frozen=True)
class _Layout:
    """How the pixels are stored."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits: int
    high_bit: int
    signed: bool
    photometric: str

    @property
    def bytes_expected(self) -> int:
        return self.rows * self.columns * self.samples * self.bits_allocated // 8


@dataclass(frozen=True)
class _ToDisplay:
    """Modality units as an affine function of the returned pixels: units = a * pixel + b."""

    a: float
    b: float

    def to_pixels(self, units: float) -> float:
        return (units - self.b) / self.a


def decode_dicom(path: Path) -> DecodedImage:
    """Decode the one image of a DICOM file.

    Handled: native pixels of either byte order, RLE, JPEG (baseline, extended, lossless of any
    selection value), JPEG-LS, JPEG 2000 and HTJ2K; 8 or 16 bits allocated with fewer stored and
    anything in the unused bits; signed pixels; MONOCHROME1; colour, which becomes luma.

    Raises
    ------
    UnreadableImageError
        If the file holds no single grey or colour image that can be decoded; the reason names
        no value that could identify a patient.
    """
    with path.open("rb") as stream:
        syntax = _transfer_syntax(path)
        header = pydicom.dcmread(
            stream, stop_before_pixels=True, specific_tags=list(_TAGS), force=True
        )
        layout = _layout(header)
        if layout.samples == 3:
            return DecodedImage(
                pixels=_decode_colour(path, layout, syntax, stream, header),
                bits=8,
                pixel_spacing_mm=_pixel_spacing(header),
            )
        stored = _read_stored(stream, header, layout, syntax)
    return _interpret(stored, header, layout)


def _transfer_syntax(path: Path) -> str:
    """Return the transfer syntax; files without a preamble are implicit little endian."""
    with path.open("rb") as stream:
        stream.seek(128)
        if stream.read(4) != b"DICM":
            return "1.2.840.10008.1.2"
    syntax = str(read_file_meta_info(path).get("TransferSyntaxUID", "1.2.840.10008.1.2"))
    # Among the refused is the deflated syntax, whose data set would inflate without a bound.
    known = _NATIVE | _JPEG | _JPEG_LS | _JPEG_2000 | _HTJ2K | {_RLE}
    if syntax not in known:
        named = UID(syntax).name if UID(syntax).is_transfer_syntax else "an unknown one"
        raise UnreadableImageError(f"the transfer syntax ({named}) is not supported")
    return syntax


def _layout(header: FileDataset) -> _Layout:
    frames = _integer(header, "NumberOfFrames", 1)
    if frames != 1:
        raise UnreadableImageError(
            f"the file has {frames} frames; only single images are used, "
            "not tomosynthesis stacks or cine loops"
        )
    photometric = str(header.get("PhotometricInterpretation", "")).strip().upper()
    bits_allocated = _integer(header, "BitsAllocated")
    bits = _integer(header, "BitsStored", bits_allocated)
    layout = _Layout(
        rows=_integer(header, "Rows"),
        columns=_integer(header, "Columns"),
        samples=_integer(header, "SamplesPerPixel", 1),
        bits_allocated=bits_allocated,
        bits=bits,
        high_bit=_integer(header, "HighBit", bits - 1),
        signed=_integer(header, "PixelRepresentation", 0) == 1,
        photometric=photometric,
    )
    check_size(layout.rows, layout.columns, layout.samples)
    if bits_allocated not in {8, 16}:
        raise UnreadableImageError(f"{bits_allocated} bits allocated; only 8 or 16 are supported")
    if not 1 <= bits <= bits_allocated or not bits - 1 <= layout.high_bit < bits_allocated:
        raise UnreadableImageError(
            f"bits allocated {bits_allocated}, stored {bits} and high bit {layout.high_bit} "
            "contradict each other"
        )
    if layout.samples == 1 and photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise UnreadableImageError("one sample per pixel, but the image is not MONOCHROME1 or 2")
    if layout.samples not in {1, 3} or (layout.samples == 3 and bits_allocated != 8):
        raise UnreadableImageError(
            f"{layout.samples} samples per pixel of {bits_allocated} bits are not supported"
        )
    return layout


def _read_stored(stream: BinaryIO, header: FileDataset, layout: _Layout, syntax: str) -> Pixels:
    """Return the stored bit patterns, shape (rows, columns), uint8 or uint16 as allocated."""
    vr, length = _enter_pixel_data(stream, header)
    if syntax in _NATIVE:
        return _read_native(stream, layout, vr, length, syntax == _BIG_ENDIAN)
    frame = _read_frame(stream, length)
    if syntax == _RLE:
        return _decode_rle(frame, layout)
    described = read_header(frame)
    if (described.rows, described.columns, described.components) != (
        layout.rows,
        layout.columns,
        1,
    ):
        raise UnreadableImageError(
            f"the codestream holds {described.rows} x {described.columns} pixels with "
            f"{described.components} components, the header says {layout.rows} x {layout.columns}"
        )
    if syntax in _JPEG:
        decoded = imagecodecs.jpeg8_decode(frame)
    elif syntax in _JPEG_LS:
        decoded = imagecodecs.jpegls_decode(frame)
    elif syntax in _HTJ2K:
        decoded = _decode_htj2k(frame, layout)
    else:
        decoded = imagecodecs.jpeg2k_decode(frame)
    return _bit_patterns(np.asarray(decoded), layout)


def _enter_pixel_data(stream: BinaryIO, header: FileDataset) -> tuple[bytes, int]:
    """Move to the first byte of the pixel data and return its value representation and length."""
    implicit, little = header.original_encoding
    order = "<" if little else ">"
    start = stream.read(8)
    if len(start) < 8:
        raise UnreadableImageError("the file has no pixel data")
    group, element = struct.unpack(f"{order}HH", start[:4])
    if group << 16 | element != _PIXEL_DATA:
        raise UnreadableImageError("the file has no pixel data, or float pixel data")
    if implicit:
        return b"OW", struct.unpack(f"{order}L", start[4:])[0]
    vr = start[4:6]
    if vr not in _LONG_VRS:
        raise UnreadableImageError("the element of the pixel data is damaged")
    length = stream.read(4)
    if len(length) < 4:
        raise UnreadableImageError("the file is truncated")
    return vr, struct.unpack(f"{order}L", length)[0]


def _read_native(
    stream: BinaryIO, layout: _Layout, vr: bytes, length: int, big_endian: bool
) -> Pixels:
    remaining = os.fstat(stream.fileno()).st_size - stream.tell()
    available = remaining if length == _UNDEFINED_LENGTH else min(length, remaining)
    expected = layout.bytes_expected
    if available < expected:
        raise UnreadableImageError(
            f"the pixel data is truncated: {available} of {expected} bytes are there"
        )
    if length != _UNDEFINED_LENGTH and length >= 2 * expected:
        raise UnreadableImageError(
            f"the pixel data has {length} bytes where one image has {expected}"
        )
    shape = (layout.rows, layout.columns)
    if layout.bits_allocated == 16:
        wide = np.fromfile(stream, ">u2" if big_endian else "<u2", count=expected // 2)
        return wide.astype(np.uint16, copy=False).reshape(shape)
    narrow = np.fromfile(stream, np.uint8, count=expected + expected % 2)
    if big_endian and vr == b"OW":
        if narrow.size % 2:
            raise UnreadableImageError("the pixel data has an odd number of bytes")
        narrow = narrow.view(np.uint16).byteswap().view(np.uint8)
    return narrow[:expected].reshape(shape)


def _read_frame(stream: BinaryIO, length: int) -> bytes:
    """Return the codestream of the only frame, its fragments joined."""
    if length != _UNDEFINED_LENGTH:
        raise UnreadableImageError("compressed pixel data must have an undefined length")
    frame = next(generate_frames(stream.read(), number_of_frames=1), b"")
    if not frame:
        raise UnreadableImageError("the pixel data holds no fragment")
    return frame


def _decode_rle(frame: bytes, layout: _Layout) -> Pixels:
    dtype = np.dtype("u1" if layout.bits_allocated == 8 else "<u2")
    # The buffer bounds what a hostile run length can write.
    decoded = bytearray(layout.bytes_expected)
    written = imagecodecs.dicomrle_decode(frame, dtype.str, out=decoded)
    if len(written) != layout.bytes_expected:
        raise UnreadableImageError("the RLE data does not fill the image")
    return np.frombuffer(decoded, dtype).reshape(layout.rows, layout.columns)


def _decode_htj2k(frame: bytes, layout: _Layout) -> NDArray[Any]:
    """Decode with OpenJPH, or with OpenJPEG, which is slower, when that seems to have failed.

    The binding of OpenJPH swallows errors in the middle of an image and leaves the later rows
    as they were; rows that were set to the largest value show that.
    """
    described = read_header(frame)
    if not described.signed and described.bits == layout.bits:
        fill = np.uint16(0xFFFF) if layout.bits > 8 else np.uint8(0xFF)
        decoded = np.full((layout.rows, layout.columns), fill)
        imagecodecs.htj2k_decode(frame, out=decoded)
        if not (decoded[-1] == fill).all():
            return decoded
    return imagecodecs.jpeg2k_decode(frame)


def _bit_patterns(decoded: NDArray[Any], layout: _Layout) -> Pixels:
    """View decoded integers as unsigned patterns of as many bits as are allocated."""
    if decoded.shape != (layout.rows, layout.columns) or decoded.dtype.kind not in "iu":
        raise UnreadableImageError("the codestream holds no single plane of integers")
    if decoded.dtype.itemsize == 1:
        return decoded.view(np.uint8)
    if decoded.dtype.itemsize > 2:
        raise UnreadableImageError("the codestream has more than 16 bits")
    return decoded.view(np.uint16)


def _interpret(stored: Pixels, header: FileDataset, layout: _Layout) -> DecodedImage:
    """Turn stored bit patterns into pixels that grow with brightness, and the window with them."""
    # A codestream of up to 8 bits decodes to bytes also where 16 bits are allocated.
    if layout.bits > 8 * stored.dtype.itemsize:
        stored = stored.astype(np.uint16)
    pixels = stored
    unused_below = layout.high_bit + 1 - layout.bits
    if unused_below:
        pixels = pixels >> pixels.dtype.type(unused_below)
    largest = (1 << layout.bits) - 1
    if layout.bits < 8 * pixels.dtype.itemsize:
        pixels = np.bitwise_and(pixels, pixels.dtype.type(largest), out=_writable(pixels))
    slope, intercept = _rescale(header)
    inverted = (layout.photometric == "MONOCHROME1") != (slope < 0)
    # Two's complement becomes offset binary when its sign bit is flipped; the complement to the
    # largest value is a flip of every bit. Both together are one pass.
    sign_bit = 1 << (layout.bits - 1) if layout.signed else 0
    flipped = sign_bit ^ (largest if inverted else 0)
    if flipped:
        pixels = np.bitwise_xor(pixels, pixels.dtype.type(flipped), out=_writable(pixels))
    if inverted:
        units = _ToDisplay(a=-slope, b=slope * (largest - sign_bit) + intercept)
    else:
        units = _ToDisplay(a=slope, b=intercept - slope * sign_bit)
    # A monotone display function of the units keeps or reverses its direction with `a`; after
    # the inversion above the result always grows with the pixel.
    return DecodedImage(
        pixels=pixels,
        bits=layout.bits,
        inverted=inverted,
        window=_window(header, units),
        voi_lut=_voi_lut(header, units, layout),
        pixel_spacing_mm=_pixel_spacing(header),
    )


def _writable(pixels: Pixels) -> Pixels | None:
    """Return `pixels` when an operation may overwrite them, which saves a copy."""
    return pixels if pixels.flags.writeable else None


def _rescale(header: Dataset) -> tuple[float, float]:
    slope = _numbers(header, "RescaleSlope") or (1.0,)
    intercept = _numbers(header, "RescaleIntercept") or (0.0,)
    if slope[0] == 0.0:
        raise UnreadableImageError("the rescale slope is zero")
    return slope[0], intercept[0]


def _window(header: Dataset, units: _ToDisplay) -> VoiWindow | None:
    centers, widths = _numbers(header, "WindowCenter"), _numbers(header, "WindowWidth")
    if not centers or not widths:
        return None
    center, width = centers[0], widths[0]
    function = str(header.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in {"LINEAR", "LINEAR_EXACT", "SIGMOID"}:
        raise UnreadableImageError("the VOI LUT function is none of the three that DICOM defines")
    if width < 1.0 if function == "LINEAR" else width <= 0.0:
        raise UnreadableImageError("the window width is not positive")
    if function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    window = VoiWindow(units.to_pixels(center), width / abs(units.a), function == "SIGMOID")
    is_sane = abs(window.center) <= _LARGEST_WINDOW and window.width <= _LARGEST_WINDOW
    if not is_sane or 0.0 < window.width < 1.0 / _LARGEST_WINDOW:
        raise UnreadableImageError("the window lies absurdly far from the pixels' values")
    return window


def _voi_lut(header: FileDataset, units: _ToDisplay, layout: _Layout) -> NDArray[np.float32] | None:
    """Evaluate the first VOI LUT (PS3.3 C.11.2.1.1) for every possible pixel value."""
    sequence = header.get("VOILUTSequence")
    if not sequence:
        return None
    item = sequence[0]
    descriptor = [int(value) for value in item.get("LUTDescriptor") or ()]
    if len(descriptor) != 3 or not 8 <= descriptor[2] <= 16:
        raise UnreadableImageError("the descriptor of the VOI LUT is damaged")
    entries, first, bits = descriptor
    entries = entries or 65_536
    data = item.get("LUTData")
    if isinstance(data, bytes):
        words = "<u2" if header.original_encoding[1] else ">u2"
        table = np.frombuffer(data, words if len(data) >= 2 * entries else np.uint8)
    else:
        table = np.atleast_1d(np.asarray(data if data is not None else (), np.float64))
    if table.size < entries:
        raise UnreadableImageError("the VOI LUT has fewer entries than its descriptor says")
    if first > 32_767 and (layout.signed or units.b < 0):
        first -= 65_536
    pixels = np.arange(1 << layout.bits, dtype=np.float64)
    index = np.clip(np.rint(units.a * pixels + units.b) - first, 0, entries - 1).astype(np.intp)
    shown = np.clip(table[index] / ((1 << bits) - 1), 0.0, 1.0)
    photometric_inverts = layout.photometric == "MONOCHROME1"
    return (1.0 - shown if photometric_inverts else shown).astype(np.float32)


def _pixel_spacing(header: Dataset) -> tuple[float, float] | None:
    """Return the spacing at the detector, else that of the pixels, which for film is the same."""
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        spacing = _numbers(header, keyword)
        if len(spacing) == 2 and min(spacing) > 0.0:
            return spacing[0], spacing[1]
    return None


def _decode_colour(
    path: Path, layout: _Layout, syntax: str, stream: BinaryIO, header: FileDataset
) -> NDArray[np.uint8]:
    """Decode a colour screen capture with pydicom and return its luma."""
    _, length = _enter_pixel_data(stream, header)
    if syntax not in _NATIVE and syntax != _RLE:
        described = read_header(_read_frame(stream, length))
        if (described.rows, described.columns) != (layout.rows, layout.columns):
            raise UnreadableImageError("the codestream and the header differ in their size")
    colour = pixel_array(path)
    if colour.shape != (layout.rows, layout.columns, 3) or colour.dtype != np.uint8:
        raise UnreadableImageError("the colour image cannot be decoded to 8 bits per channel")
    if "YBR" in layout.photometric and syntax in _NATIVE | {_RLE}:
        colour = convert_color_space(colour, layout.photometric, "RGB")
    return cv2.cvtColor(np.ascontiguousarray(colour), cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]


def _integer(header: Dataset, keyword: str, default: int | None = None) -> int:
    value = header.get(keyword)
    if value is None or value == "":
        if default is None:
            raise UnreadableImageError(f"the attribute {keyword} is missing")
        return default
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise UnreadableImageError(f"the attribute {keyword} is not a whole number") from error


def _numbers(header: Dataset, keyword: str) -> tuple[float, ...]:
    """Return the finite numbers of an attribute; an absent one has none."""
    try:
        value = header.get(keyword)
        if value is None or value == "":
            return ()
        values = value if isinstance(value, MultiValue | list | tuple) else (value,)
        numbers = tuple(float(one) for one in values)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnreadableImageError(f"the attribute {keyword} is not a number") from error
    if not all(math.isfinite(one) for one in numbers):
        raise UnreadableImageError(f"the attribute {keyword} is not a finite number")
    return numbers
