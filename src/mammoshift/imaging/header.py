"""What the header of an image file says, read without decoding its pixels.

Messages never quote a header: it may hold a name or a hospital's identifiers.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydicom.dataset import Dataset

from mammoshift.archives.vocabulary import side_of, view_of, whole_years
from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.decoded import Intent
from mammoshift.imaging.dicom_file import (
    INTENT_KEYWORD,
    DicomFile,
    intent_of,
    is_dicom,
    open_dicom,
)
from mammoshift.imaging.limits import check_file_size
from mammoshift.imaging.raster_header import (
    RasterKind,
    jpeg_header,
    pgm_header,
    png_header,
    raster_kind,
    tiff_header,
)
from mammoshift.imaging.spacing import SPACING_KEYWORDS, pixel_spacing

RASTER_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".pgm"})
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})

_START_BYTES = 132
_LONGEST_TEXT = 64

_KEYWORDS = (
    "PatientID",
    "PatientAge",
    "PatientOrientation",
    "Laterality",
    "ImageLaterality",
    "ViewPosition",
    "ViewCodeSequence",
    "Manufacturer",
    "ManufacturerModelName",
    *SPACING_KEYWORDS,
    INTENT_KEYWORD,
    "SeriesInstanceUID",
    "SeriesDescription",
    "BurnedInAnnotation",
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

_BURNED_IN = {"YES": True, "NO": False}

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Facts of one image file; what the file does not say is None.

    `rows` and `columns` are those of the stored image, `bits` the significant bits of a sample,
    `bits_allocated` those that it takes in the file; `pixel_spacing_mm` is at the detector, or
    on the film, when both directions agree. `patient_id`, `series_uid` and `series_description`
    are a DICOM file's own and may identify a person: they serve to join and to group and are
    never written as they are. `burned_in` is whether the file declares text in its pixels that
    may identify a person, or declares that there is none.
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
    intent: Intent | None = None
    burned_in: bool | None = None


def read_header(path: Path) -> ImageHeader:
    """Read the header of a DICOM, PNG, TIFF, JPEG or PGM file, told apart by its content.

    Raises
    ------
    UnreadableImageError
        If it is none of these, is cut short, breaks a limit or is not supported; the message is
        free of the file's own text.
    """
    return of_its_kind(path, _dicom_header, _raster_header)


def of_its_kind(
    path: Path, dicom: Callable[[Path], Found], raster: Callable[[Path, RasterKind], Found]
) -> Found:
    """Read a file with the reader for its kind, which its content tells and not its name.

    Raises
    ------
    UnreadableImageError
        If the file is missing, empty, too large or of no supported kind, or its reader fails in
        any way.
    """
    check_file_size(path)
    try:
        with path.open("rb") as stream:
            start = stream.read(_START_BYTES)
        if is_dicom(start):
            return dicom(path)
        kind = raster_kind(start)
        if kind is not None:
            return raster(path, kind)
    except UnreadableImageError:
        raise
    except Exception as error:  # noqa: BLE001 - a parser fed with hostile bytes may raise anything
        raise UnreadableImageError(f"the file is damaged ({type(error).__name__})") from None
    raise UnreadableImageError("not a readable DICOM, PNG, TIFF, JPEG or PGM file")


def _raster_header(path: Path, kind: RasterKind) -> ImageHeader:
    if kind == "tiff":
        header = tiff_header(path)
    else:
        readers = {"pgm": pgm_header, "png": png_header, "jpeg": jpeg_header}
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header = readers[kind](data)
    return ImageHeader(
        rows=header.rows,
        columns=header.columns,
        bits=header.bits,
        bits_allocated=8 * math.ceil(header.bits / 8),
        is_dicom=False,
    )


def _dicom_header(path: Path) -> ImageHeader:
    with open_dicom(path, _KEYWORDS) as file:
        return _describe(file)


def _describe(file: DicomFile) -> ImageHeader:
    header, layout = file.header, file.layout
    return ImageHeader(
        rows=layout.rows,
        columns=layout.columns,
        bits=layout.bits,
        bits_allocated=layout.bits_allocated,
        is_dicom=True,
        patient_id=_text(header, "PatientID"),
        age=whole_years(_text(header, "PatientAge") or ""),
        laterality=side_of(_text(header, "ImageLaterality") or _text(header, "Laterality") or ""),
        view=_view(header),
        manufacturer=_text(header, "Manufacturer"),
        detector=_text(header, "ManufacturerModelName"),
        pixel_spacing_mm=_spacing(header),
        series_uid=_text(header, "SeriesInstanceUID"),
        series_description=_text(header, "SeriesDescription"),
        intent=intent_of(header),
        burned_in=_BURNED_IN.get((_text(header, "BurnedInAnnotation") or "").upper()),
    )


def _view(header: Dataset) -> str | None:
    """Return the view from ViewPosition, else the view code, else the patient's orientation.

    Scans of film that were made DICOM afterwards name the view in PatientOrientation.
    """
    view = view_of(_text(header, "ViewPosition") or "")
    if view is not None:
        return view
    sequence = header.get("ViewCodeSequence")
    if sequence:
        code = _text(sequence[0], "CodeValue") or ""
        view = _VIEW_CODES.get(code) or view_of(_text(sequence[0], "CodeMeaning") or "")
        if view is not None:
            return view
    return view_of(_text(header, "PatientOrientation") or "")


def _text(header: Dataset, keyword: str) -> str | None:
    """Return a printable, short text of one value; None when it is empty or not there."""
    value = header.get(keyword)
    if value is None:
        return None
    printable = "".join(character for character in str(value) if character.isprintable())
    return printable.strip()[:_LONGEST_TEXT] or None


def _spacing(header: Dataset) -> float | None:
    spacing = pixel_spacing(header)
    return spacing[0] if spacing and math.isclose(*spacing, rel_tol=0.01) else None
