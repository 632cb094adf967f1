"""What the header of an image file says, read without decoding its pixels.

Messages never quote a header: it may hold a name or a hospital's identifiers.
"""

from __future__ import annotations

import logging
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from PIL import Image, UnidentifiedImageError
from pydicom.config import disable_value_validation
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from mammoshift.archives.vocabulary import side_of, view_of, whole_years
from mammoshift.errors import UnreadableImageError

RASTER_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".pgm"})
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})

MAXIMUM_FILE_BYTES = 1024**3
MAXIMUM_PIXELS = 200_000_000
_MAXIMUM_VALUE_BYTES = 64 * 1024
_MAXIMUM_INFLATED_BYTES = 1024**3
_LONGEST_TEXT = 64
_HEAD_BYTES = 2048
_BLOCK = 64 * 1024
_META_GROUP, _TRANSFER_SYNTAX = 0x0002, (0x0002, 0x0010)
_SHORT_META_VRS = frozenset({b"AE", b"SH", b"UI", b"UL"})
_LONG_META_VRS = frozenset({b"OB", b"UR"})

_KEYWORDS = (
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "SamplesPerPixel",
    "NumberOfFrames",
    "PatientID",
    "PatientAge",
    "PatientOrientation",
    "Laterality",
    "ImageLaterality",
    "ViewPosition",
    "ViewCodeSequence",
    "Manufacturer",
    "ManufacturerModelName",
    "ImagerPixelSpacing",
    "PixelSpacing",
    "SeriesInstanceUID",
    "SeriesDescription",
)

_VIEW_CODES = {
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
    "399260004": "ML",
    "R-10224": "ML",
    "399352003": "LM",
    "R-10228": "LM",
}
"""Codes of DICOM's context group 4014: SNOMED CT, and the older SNOMED RT."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Facts of one image file; what the file does not say is None.

    `rows` and `columns` are those of the stored image, `bits` the significant bits of a sample,
    `bits_allocated` those that it takes in the file; `pixel_spacing_mm` is at the detector, or
    on the film, when both directions agree. `patient_id`, `series_uid` and `series_description`
    are a DICOM file's own and may identify a person: they serve to join and to group and are
    never written as they are.
    """

    rows: int
    columns: int
    bits: int
    bits_allocated: int
    is_dicom: bool
    patient_id: str | None = None
    age: int | None = None
    laterality: str | None = None
    view: str | None = None
    manufacturer: str | None = None
    detector: str | None = None
    pixel_spacing_mm: float | None = None
    series_uid: str | None = None
    series_description: str | None = None


@contextmanager
def quiet_reading() -> Iterator[None]:
    """Keep the readers' warnings about malformed files out of the logs while the block runs.

    They quote values, which may name a patient. The settings belong to the whole process, so
    this is entered by the thread that starts others, not by each of them.
    """
    logger = logging.getLogger("pydicom")
    was_disabled = logger.disabled
    with disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.disabled = True
        try:
            yield
        finally:
            logger.disabled = was_disabled


def read_header(path: Path) -> ImageHeader:
    """Read the header of a DICOM, PNG, TIFF, JPEG or PGM file, told apart by its content.

    Raises
    ------
    UnreadableImageError
        If it is none of these, is cut short, or states an impossible size; the message is free
        of the file's own text.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise UnreadableImageError(f"the file cannot be opened: {error.strerror}") from None
    if size == 0:
        raise UnreadableImageError("the file is empty")
    if size > MAXIMUM_FILE_BYTES:
        raise UnreadableImageError("the file is larger than 1 GiB")
    looks_like_dicom = start[128:132] == b"DICM" or path.suffix.lower() in DICOM_SUFFIXES
    header = _dicom_header(path, size, start) if looks_like_dicom else _raster_header(path, start)
    if min(header.rows, header.columns) < 1 or header.rows * header.columns > MAXIMUM_PIXELS:
        raise UnreadableImageError(f"the image states {header.rows} x {header.columns} pixels")
    return header


def _dicom_header(path: Path, size: int, start: bytes) -> ImageHeader:
    try:
        _check_inflated_size(path, start)
        dataset = _read_dataset(path)
        header = _describe(dataset)
        needed = _bytes_of_native_pixels(dataset)
    except UnreadableImageError:
        raise
    except Exception:  # noqa: BLE001 - a parser fed with hostile bytes may raise anything
        raise UnreadableImageError("not a DICOM file, or its header is damaged") from None
    if size < needed:
        raise UnreadableImageError("the file is cut short: it is smaller than its pixels")
    return header


def _read_dataset(path: Path) -> FileDataset:
    dataset = pydicom.dcmread(
        path,
        stop_before_pixels=True,
        specific_tags=list(_KEYWORDS),
        defer_size=_MAXIMUM_VALUE_BYTES,
    )
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag, keep_deferred=True)
        if isinstance(element, RawDataElement) and element.value is None and element.length:
            raise UnreadableImageError("a value of the DICOM header is absurdly long")
    return dataset


def _check_inflated_size(path: Path, start: bytes) -> None:
    """Raise when a deflated file unpacks to more than a bound, without keeping what it unpacks.

    `start` is the beginning of the file.
    """
    syntax, data_set_at = _walk_meta(start)
    if data_set_at is None:
        syntax = str(read_file_meta_info(path).get("TransferSyntaxUID", ""))
    if syntax != DeflatedExplicitVRLittleEndian:
        return
    if data_set_at is None:
        raise UnreadableImageError("the file is deflated and its file meta information is unusual")
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as stream:
        stream.seek(data_set_at)
        while not inflater.eof and (pending := stream.read(_BLOCK)):
            while pending and not inflater.eof:
                total += len(inflater.decompress(pending, 1024 * 1024))
                pending = inflater.unconsumed_tail
                if total > _MAXIMUM_INFLATED_BYTES:
                    raise UnreadableImageError("the deflated file unpacks to more than 1 GiB")


def _walk_meta(start: bytes) -> tuple[str, int | None]:
    """Return the transfer syntax and where the data set begins.

    The place is None when the file meta information is not wholly in `start`, or is not encoded
    as DICOM PS3.10 section 7.1 demands; the group length that it states is not relied on.
    """
    syntax, position = "", 132
    while position + 12 <= len(start) and start[128:132] == b"DICM":
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
            syntax = start[value_at:position].decode("ascii", "replace").strip("\0 ")
    return "", None


def _describe(dataset: FileDataset) -> ImageHeader:
    rows, columns = _whole(dataset, "Rows"), _whole(dataset, "Columns")
    allocated = _whole(dataset, "BitsAllocated")
    if rows is None or columns is None or allocated is None:
        raise UnreadableImageError("the DICOM file holds no image")
    frames = _whole(dataset, "NumberOfFrames") or 1
    if frames > 1:
        raise UnreadableImageError(f"the DICOM file holds {frames} frames, not one image")
    return ImageHeader(
        rows=rows,
        columns=columns,
        bits=_whole(dataset, "BitsStored") or allocated,
        bits_allocated=allocated,
        is_dicom=True,
        patient_id=_text(dataset, "PatientID"),
        age=whole_years(_text(dataset, "PatientAge") or ""),
        laterality=side_of(_text(dataset, "ImageLaterality") or _text(dataset, "Laterality") or ""),
        view=_view(dataset),
        manufacturer=_text(dataset, "Manufacturer"),
        detector=_text(dataset, "ManufacturerModelName"),
        pixel_spacing_mm=_spacing(dataset, "ImagerPixelSpacing")
        or _spacing(dataset, "PixelSpacing"),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        series_description=_text(dataset, "SeriesDescription"),
    )


def _bytes_of_native_pixels(dataset: FileDataset) -> int:
    """Return the size of the uncompressed pixels of a file; 0 where they are compressed."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        return 0
    if not syntax.is_transfer_syntax:
        raise UnreadableImageError("the transfer syntax is not one that DICOM defines")
    if syntax.is_compressed or syntax == DeflatedExplicitVRLittleEndian:
        return 0
    samples = _whole(dataset, "SamplesPerPixel") or 1
    bits = dataset.Rows * dataset.Columns * samples * dataset.BitsAllocated
    return bits // 8


def _view(dataset: FileDataset) -> str | None:
    """Return the view from ViewPosition, else the view code, else the patient's orientation.

    Scans of film that were made DICOM afterwards name the view in PatientOrientation.
    """
    view = view_of(_text(dataset, "ViewPosition") or "")
    if view is not None:
        return view
    sequence = dataset.get("ViewCodeSequence")
    if sequence:
        code = _text(sequence[0], "CodeValue") or ""
        view = _VIEW_CODES.get(code) or view_of(_text(sequence[0], "CodeMeaning") or "")
        if view is not None:
            return view
    return view_of(_text(dataset, "PatientOrientation") or "")


def _text(dataset: pydicom.Dataset, keyword: str) -> str | None:
    """Return a printable, short text of one value; None when it is empty or not there."""
    value = dataset.get(keyword)
    if value is None:
        return None
    printable = "".join(character for character in str(value) if character.isprintable())
    return printable.strip()[:_LONGEST_TEXT] or None


def _whole(dataset: pydicom.Dataset, keyword: str) -> int | None:
    value = dataset.get(keyword)
    return None if value is None or value == "" else int(value)


def _spacing(dataset: pydicom.Dataset, keyword: str) -> float | None:
    value = dataset.get(keyword)
    if value is None or value == "" or not isinstance(value, MultiValue):
        return None
    spacings = [float(part) for part in value]
    if len(spacings) != 2 or not all(0.0 < spacing <= 10.0 for spacing in spacings):
        return None
    return spacings[0] if math.isclose(*spacings, rel_tol=0.01) else None


def _raster_header(path: Path, start: bytes) -> ImageHeader:
    try:
        with Image.open(path, formats=("PNG", "JPEG", "TIFF", "PPM")) as image:
            columns, rows = image.size
            bits = _bits_of_raster(image, start)
    except Image.DecompressionBombError:
        raise UnreadableImageError("the image states an absurd number of pixels") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, TypeError, KeyError):
        raise UnreadableImageError("not a readable DICOM, PNG, TIFF, JPEG or PGM file") from None
    if start[:2] == b"P5" and path.stat().st_size < rows * columns * math.ceil(bits / 8):
        raise UnreadableImageError("the file is cut short: it is smaller than its pixels")
    return ImageHeader(
        rows=rows,
        columns=columns,
        bits=bits,
        bits_allocated=8 * math.ceil(bits / 8),
        is_dicom=False,
    )


_PNG_BIT_DEPTH_OFFSET = 24
_TIFF_BITS_PER_SAMPLE = 258
_BLANK = rb"(?:\s|#[^\n]*\n)+"
_PGM_HEADER = re.compile(rb"P5" + 2 * (_BLANK + rb"\d+") + _BLANK + rb"(\d+)\s")


def _bits_of_raster(image: Image.Image, start: bytes) -> int:
    """Return the bits of a sample: from the header where it says, else 8, as in JPEG."""
    if image.format == "PNG":
        return start[_PNG_BIT_DEPTH_OFFSET]
    if image.format == "TIFF":
        bits = image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, 1)  # type: ignore[attr-defined]
        return int(max(bits) if isinstance(bits, tuple) else bits)
    if image.format == "PPM":
        header = _PGM_HEADER.match(start)
        return int(header[1]).bit_length() if header else 8
    return 8
