"""Tiny files in the forms of the archives."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from mammoshift.archives.adapter import IngestResult, ingest_archive
from mammoshift.configuration.dataset import Dataset


def build_dicom(rows: int = 4, columns: int = 3, bits: int = 16, **tags: Any) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = "2.25.1"
    dataset.Modality = "MG"
    dataset.PatientName = "Doe^Jane"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    pixels = bytes(rows * columns * (dataset.BitsAllocated // 8))
    dataset.add_new("PixelData", "OW", pixels + b"\0" * (len(pixels) % 2))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
    return dataset


@pytest.fixture(scope="session")
def dicom_bytes() -> Callable[..., bytes]:
    """Return a function that makes the content of a small DICOM file with given tags."""

    def make(**tags: Any) -> bytes:
        stream = io.BytesIO()
        pydicom.dcmwrite(stream, build_dicom(**tags), enforce_file_format=True)
        return stream.getvalue()

    return make


@pytest.fixture(scope="session")
def write_file() -> Callable[[Path, bytes | str], Path]:
    """Return a function that writes a file and the folders above it."""

    def write(path: Path, content: bytes | str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture(scope="session")
def write_workbook() -> Callable[[Path, dict[str, Sequence[Sequence[object]]]], Path]:
    """Return a function that writes a workbook from the rows of its sheets."""

    def write(path: Path, sheets: dict[str, Sequence[Sequence[object]]]) -> Path:
        workbook = openpyxl.Workbook(write_only=True)
        for title, rows in sheets.items():
            sheet = workbook.create_sheet(title)
            for row in rows:
                sheet.append(list(row))
        path.parent.mkdir(parents=True, exist_ok=True)
        workbook.save(path)
        return path

    return write


@pytest.fixture(scope="session")
def ingest() -> Callable[..., IngestResult]:
    """Return a function that ingests an archive with an adapter and its options."""

    def run(adapter: str, root: Path, **options: Any) -> IngestResult:
        dataset = Dataset.model_validate(
            {"adapter": adapter, "title": "test", "licence": "none", "root": ".", **options}
        )
        return ingest_archive("some_dataset", dataset, root)

    return run
