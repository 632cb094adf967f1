"""Opening a DICOM file within limits: the only place where its header is parsed.

Ingestion and decoding both come this way, so that a file which one of them takes is taken by
the other. Only the attributes that a caller names are ever parsed.
"""

from __future__ import annotations

import io
import logging
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.uid import UID

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.decoded import Intent
from mammoshift.imaging.limits import (
    MAXIMUM_SEQUENCE_BYTES,
    MAXIMUM_UNPACKED_BYTES,
    MAXIMUM_VALUE_BYTES,
    check_file_size,
    check_size,
)

# pydicom quotes the values of header elements in its warnings, and a value may name a patient.
config.settings.reading_validation_mode = config.IGNORE
warnings.filterwarnings("ignore", module=r"pydicom(\..*)?$")
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
JPEG = frozenset(f"1.2.840.10008.1.2.4.{part}" for part in (50, 51, 57, 70))
JPEG_LS = frozenset(f"1.2.840.10008.1.2.4.{part}" for part in (80, 81))
JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{part}" for part in (90, 91))
HTJ2K = frozenset(f"1.2.840.10008.1.2.4.{part}" for part in (201, 202, 203))
NATIVE = frozenset({IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED})
SUPPORTED = NATIVE | JPEG | JPEG_LS | JPEG_2000 | HTJ2K | {RLE}

INTENT_KEYWORD = "PresentationIntentType"
_INTENTS: dict[str, Intent] = {
    "FOR PROCESSING": "for_processing",
    "FOR PRESENTATION": "for_presentation",
}

UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA = 0x7FE00010
_LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN", b"UC", b"UR", b"UT", b"SQ")

_MARK = b"DICM"
_BARE_DATA_SETS = (b"\x08\x00", b"\x02\x00")
_HEAD_BYTES = 2048
_BLOCK = 256 * 1024
_META_GROUP, _TRANSFER_SYNTAX = 0x0002, (0x0002, 0x0010)
_SHORT_META_VRS = frozenset({b"AE", b"SH", b"UI", b"UL"})
_LONG_META_VRS = frozenset({b"OB", b"UR"})

_LAYOUT_KEYWORDS = (
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
)


@dataclass(frozen=True)
class PixelLayout:
    """How the pixels of a DICOM file are stored.

    `bits` of `bits_allocated` are used, the highest of them is number `high_bit`; `photometric`
    is the photometric interpretation in capitals.
    """

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
        """Size of the uncompressed pixels."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8


@dataclass(frozen=True, eq=False)
class DicomFile:
    """An open DICOM file whose header was read.

    Attributes
    ----------
    header
        The attributes that were asked for, and those of the layout.
    syntax
        UID of the transfer syntax, one of `SUPPORTED`.
    layout
        How the pixels are stored, checked.
    stream
        Stands at the first byte of the pixels' value. Of a deflated file it is the inflated one.
    pixel_vr
        Value representation of the pixel data.
    pixel_bytes
        Their length as stated, or `UNDEFINED_LENGTH`.
    """

    header: FileDataset
    syntax: str
    layout: PixelLayout
    stream: BinaryIO
    pixel_vr: bytes
    pixel_bytes: int


def is_dicom(start: bytes) -> bool:
    """Tell from the first 132 bytes of a file whether it is DICOM, with or without a preamble."""
    return start[128:132] == _MARK or start[:2] in _BARE_DATA_SETS


@contextmanager
def open_dicom(path: Path, keywords: Iterable[str]) -> Iterator[DicomFile]:
    """Open a DICOM file that holds one image and read the attributes named by `keywords`.

    Raises
    ------
    UnreadableImageError
        If the file is cut short, breaks a limit, or holds no single image of a supported
        transfer syntax and layout; the reason names no value that could identify a patient.
    """
    check_file_size(path)
    with path.open("rb") as file:
        stream = _without_deflation(path, file)
        stream.seek(0)
        header = _read_attributes(stream, [*_LAYOUT_KEYWORDS, *keywords])
        syntax = _transfer_syntax(header)
        layout = _layout(header)
        vr, length = _enter_pixel_data(stream, header)
        if syntax in NATIVE:
            _check_native_length(stream, length, layout.bytes_expected)
        elif length != UNDEFINED_LENGTH:
            raise UnreadableImageError("compressed pixel data must have an undefined length")
        yield DicomFile(header, syntax, layout, stream, vr, length)


def integer(header: Dataset, keyword: str, default: int | None = None) -> int:
    """Return a whole number; one that is missing and has no default makes the file unreadable."""
    value = header.get(keyword)
    if value is None or value == "":
        if default is None:
            raise UnreadableImageError(f"the attribute {keyword} is missing")
        return default
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise UnreadableImageError(f"the attribute {keyword} is not a whole number") from error


def numbers(header: Dataset, keyword: str) -> tuple[float, ...]:
    """Return the finite numbers of an attribute; an absent one has none."""
    try:
        value = header.get(keyword)
        if value is None or value == "":
            return ()
        values = value if isinstance(value, MultiValue | list | tuple) else (value,)
        found = tuple(float(one) for one in values)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnreadableImageError(f"the attribute {keyword} is not a number") from error
    if not all(math.isfinite(one) for one in found):
        raise UnreadableImageError(f"the attribute {keyword} is not a finite number")
    return found


def intent_of(header: Dataset) -> Intent | None:
    """Return whether a file is for processing or for presentation; None when it does not say."""
    return _INTENTS.get(str(header.get(INTENT_KEYWORD, "")).strip().upper())


def _without_deflation(path: Path, file: BinaryIO) -> BinaryIO:
    """Return `file`, or what it holds once inflated, as if it had been written uncompressed."""
    start = file.read(_HEAD_BYTES)
    has_preamble = start[128:132] == _MARK
    syntax, data_set_at = _walk_meta(start, 132 if has_preamble else 0)
    if data_set_at is None:
        if not has_preamble:
            raise UnreadableImageError("the file meta information is damaged")
        syntax = str(read_file_meta_info(path).get("TransferSyntaxUID", ""))
    # The reader trims what surrounds a UID, so that a disguised one would inflate without bound.
    if re.sub(r"[^0-9.]", "", syntax) != DEFLATED:
        return file
    if data_set_at is None:
        raise UnreadableImageError("the file is deflated and its file meta information is unusual")
    file.seek(data_set_at)
    inflated = io.BytesIO()
    uid = EXPLICIT.encode() + b"\0" * (len(EXPLICIT) % 2)
    inflated.write(bytes(128) + _MARK)
    inflated.write(struct.pack("<HH2sHL", 2, 0, b"UL", 4, 8 + len(uid)))
    inflated.write(struct.pack("<HH2sH", *_TRANSFER_SYNTAX, b"UI", len(uid)) + uid)
    _inflate(file, inflated)
    return inflated


def _inflate(file: BinaryIO, destination: BinaryIO) -> None:
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflater.eof and (pending := file.read(_BLOCK)):
        while pending and not inflater.eof:
            block = inflater.decompress(pending, _BLOCK)
            pending = inflater.unconsumed_tail
            total += len(block)
            if total > MAXIMUM_UNPACKED_BYTES:
                raise UnreadableImageError(
                    f"the deflated file unpacks to more than {MAXIMUM_UNPACKED_BYTES} bytes"
                )
            destination.write(block)
    if not inflater.eof:
        raise UnreadableImageError("the deflated file is truncated")


def _walk_meta(start: bytes, position: int) -> tuple[str, int | None]:
    """Return the transfer syntax and where the data set begins, from the start of a file.

    The file meta information begins at `position`. The place is None when it is not wholly in
    `start`, or is not encoded as DICOM PS3.10 section 7.1 demands; the group length that it
    states is not relied on.
    """
    syntax = ""
    while position + 12 <= len(start):
        tag = struct.unpack_from("<HH", start, position)
        vr = start[position + 4 : position + 6]
        if tag[0] != _META_GROUP:
            return syntax, position
        if vr in _SHORT_META_VRS:
            length, value_at = struct.unpack_from("<H", start, position + 6)[0], position + 8
        elif vr in _LONG_META_VRS:
            length, value_at = struct.unpack_from("<L", start, position + 8)[0], position + 12
        else:
            break
        position = value_at + length
        if tag == _TRANSFER_SYNTAX:
            syntax = start[value_at:position].decode("ascii", "replace")
    return "", None


def _read_attributes(stream: BinaryIO, keywords: list[str]) -> FileDataset:
    dataset = pydicom.dcmread(
        stream,
        stop_before_pixels=True,
        specific_tags=list(keywords),
        defer_size=MAXIMUM_SEQUENCE_BYTES,
        force=True,
    )
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag, keep_deferred=True)
        if not isinstance(element, RawDataElement) or element.length == UNDEFINED_LENGTH:
            continue
        is_sequence = element.VR == "SQ" or (element.VR is None and dictionary_VR(tag) == "SQ")
        if element.length > (MAXIMUM_SEQUENCE_BYTES if is_sequence else MAXIMUM_VALUE_BYTES):
            raise UnreadableImageError("a value of the DICOM header is absurdly long")
    return dataset


def _transfer_syntax(header: FileDataset) -> str:
    """Return the transfer syntax; files that name none are implicit little endian."""
    syntax = str(header.file_meta.get("TransferSyntaxUID", IMPLICIT))
    if syntax not in SUPPORTED:
        named = UID(syntax).name if UID(syntax).is_transfer_syntax else "an unknown one"
        raise UnreadableImageError(f"the transfer syntax ({named}) is not supported")
    return syntax


def _layout(header: FileDataset) -> PixelLayout:
    if header.get("Rows") is None or header.get("BitsAllocated") is None:
        raise UnreadableImageError("the DICOM file holds no image")
    frames = integer(header, "NumberOfFrames", 1)
    if frames != 1:
        raise UnreadableImageError(
            f"the file has {frames} frames; only single images are used, "
            "not tomosynthesis stacks or cine loops"
        )
    bits_allocated = integer(header, "BitsAllocated")
    bits = integer(header, "BitsStored", bits_allocated)
    layout = PixelLayout(
        rows=integer(header, "Rows"),
        columns=integer(header, "Columns"),
        samples=integer(header, "SamplesPerPixel", 1),
        bits_allocated=bits_allocated,
        bits=bits,
        high_bit=integer(header, "HighBit", bits - 1),
        signed=integer(header, "PixelRepresentation", 0) == 1,
        photometric=str(header.get("PhotometricInterpretation", "")).strip().upper(),
    )
    check_size(layout.rows, layout.columns, layout.samples)
    _check_layout(layout)
    return layout


def _check_layout(layout: PixelLayout) -> None:
    allocated, bits = layout.bits_allocated, layout.bits
    if allocated not in {8, 16}:
        raise UnreadableImageError(f"{allocated} bits allocated; only 8 or 16 are supported")
    if not 1 <= bits <= allocated or not bits - 1 <= layout.high_bit < allocated:
        raise UnreadableImageError(
            f"bits allocated {allocated}, stored {bits} and high bit {layout.high_bit} "
            "contradict each other"
        )
    if layout.samples == 1 and layout.photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise UnreadableImageError("one sample per pixel, but the image is not MONOCHROME1 or 2")
    if layout.samples not in {1, 3} or (layout.samples == 3 and allocated != 8):
        raise UnreadableImageError(
            f"{layout.samples} samples per pixel of {allocated} bits are not supported"
        )


def _enter_pixel_data(stream: BinaryIO, header: FileDataset) -> tuple[bytes, int]:
    """Move to the first byte of the pixel data and return its value representation and length."""
    implicit, little = header.original_encoding
    order = "<" if little else ">"
    start = stream.read(8)
    if len(start) < 8:
        raise UnreadableImageError("the file has no pixel data, or is truncated before it")
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


def _check_native_length(stream: BinaryIO, length: int, expected: int) -> None:
    """Compare the bytes of uncompressed pixels that are there with those that there must be."""
    start = stream.tell()
    remaining = stream.seek(0, io.SEEK_END) - start
    stream.seek(start)
    available = remaining if length == UNDEFINED_LENGTH else min(length, remaining)
    if available < expected:
        raise UnreadableImageError(
            f"the pixel data is truncated: {available} of {expected} bytes are there"
        )
    if length != UNDEFINED_LENGTH and length >= 2 * expected:
        raise UnreadableImageError(
            f"the pixel data has {length} bytes where one image has {expected}"
        )
