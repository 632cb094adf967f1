"""Writers whose bytes depend on their input alone: DICOM, workbooks, and delimited tables."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from openpyxl import Workbook
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

if TYPE_CHECKING:
    from _csv import Writer

NBIA_COLUMNS = (
    "Series UID",
    "Collection",
    "3rd Party Analysis",
    "Data Description URI",
    "Subject ID",
    "Study UID",
    "Study Description",
    "Study Date",
    "Series Description",
    "Manufacturer",
    "Modality",
    "SOP Class Name",
    "SOP Class UID",
    "Number of Images",
    "File Size",
    "File Location",
    "Download Timestamp",
)
"""Columns of the `metadata.csv` that the NBIA Data Retriever puts beside a collection."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_CORE_PROPERTIES = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/'
    'core-properties"/>'
)


def write_dicom(
    dataset: Dataset,
    pixels: npt.NDArray[np.unsignedinteger],
    path: Path,
    bits_stored: int | None = None,
    bright_is_low: bool = False,
) -> None:
    """Write `dataset` with `pixels` as Explicit VR Little Endian.

    Parameters
    ----------
    dataset
        Everything but the image pixel module; must hold SOP class and instance UID.
    pixels
        Rows x columns, uint8 or uint16, bright where little radiation came through.
    bits_stored
        The significant bits that the file states; all where it is None.
    bright_is_low
        Store the values inverted, as MONOCHROME1.
    """
    bits = pixels.dtype.itemsize * 8
    stored = bits_stored or bits
    if bright_is_low:
        pixels = (2**stored - 1 - pixels).astype(pixels.dtype)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if bright_is_low else "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored = bits, stored
    dataset.HighBit = stored - 1
    dataset.PixelRepresentation = 0
    values = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = values + b"\0" * (len(values) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


@contextmanager
def delimited_table(path: Path, header: Iterable[str], line_end: str) -> Iterator[Writer]:
    """Open a comma-separated table for streaming and yield its row writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator=line_end)
        writer.writerow(header)
        yield writer


def write_workbook(path: Path, sheet: str, rows: Iterable[Iterable[Any]]) -> None:
    """Stream `rows` into a workbook with one sheet; the file carries no time."""
    book = Workbook(write_only=True)
    page = book.create_sheet(sheet)
    try:
        for row in rows:
            page.append(list(row))
    finally:
        page.close()
    raw = path.with_name(f".{path.name}.raw")
    book.save(raw)
    with (
        zipfile.ZipFile(raw) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            member = zipfile.ZipInfo(name, _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            if name == "docProps/core.xml":
                target.writestr(member, _CORE_PROPERTIES)
                continue
            with source.open(name) as stream, target.open(member, "w", force_zip64=True) as sink:
                while block := stream.read(1 << 20):
                    sink.write(block)
    raw.unlink()
