"""Small DICOM files for tests: any pixels, any transfer syntax, nothing about anybody."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
BASE = "1.2.840.10008.1.2.4."
LOSSLESS_SYNTAXES = (
    IMPLICIT,
    EXPLICIT,
    BIG_ENDIAN,
    RLE,
    f"{BASE}57",
    f"{BASE}70",
    f"{BASE}80",
    f"{BASE}81",
    f"{BASE}90",
    f"{BASE}91",
    f"{BASE}201",
    f"{BASE}202",
    f"{BASE}203",
)


def compress(stored: NDArray[Any], syntax: str, bits: int) -> bytes:
    """Encode `stored` losslessly (for .50 and .51 nearly so) as one codestream."""
    if syntax == RLE:
        return RLELosslessEncoder.encode(
            np.ascontiguousarray(stored),
            rows=stored.shape[0],
            columns=stored.shape[1],
            samples_per_pixel=1,
            bits_allocated=8 * stored.dtype.itemsize,
            bits_stored=8 * stored.dtype.itemsize,
            pixel_representation=0,
            photometric_interpretation="MONOCHROME2",
            number_of_frames=1,
        )
    part = syntax.removeprefix(BASE)
    if part in {"50", "51"}:
        return imagecodecs.jpeg8_encode(stored, level=98, bitspersample=bits)
    if part in {"57", "70"}:
        predictor = 4 if part == "57" else 1
        return imagecodecs.jpeg8_encode(
            stored, lossless=True, predictor=predictor, bitspersample=bits
        )
    if part in {"80", "81"}:
        return imagecodecs.jpegls_encode(stored)
    if part in {"90", "91"}:
        return imagecodecs.jpeg2k_encode(
            stored, codecformat="j2k", level=0, reversible=True, bitspersample=bits
        )
    return imagecodecs.htj2k_encode(stored)


def write_dicom(
    path: Path,
    stored: NDArray[Any],
    *,
    bits: int | None = None,
    syntax: str = EXPLICIT,
    photometric: str = "MONOCHROME2",
    signed: bool = False,
    fragments: int = 1,
    **attributes: Any,
) -> Path:
    """Write `stored` (rows, columns; bit patterns as uint8 or uint16) as a DICOM file."""
    bits = bits or 8 * stored.dtype.itemsize
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = "1.2.3"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = photometric
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.BitsAllocated = 8 * stored.dtype.itemsize
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(signed)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    if syntax in {IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED}:
        order = ">" if syntax == BIG_ENDIAN else "<"
        data = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
        data += b"\0" * (len(data) % 2)
        dataset.add_new("PixelData", "OB" if stored.dtype.itemsize == 1 else "OW", data)
    else:
        frame = compress(stored, syntax, bits)
        dataset.add_new("PixelData", "OB", encapsulate([frame], fragments_per_frame=fragments))
        dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_file(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path


def dicom_bytes(rows: int = 4, columns: int = 3, bits: int = 16, **attributes: Any) -> bytes:
    """Return the content of a small black image of somebody's, with given attributes."""
    stored = np.zeros((rows, columns), np.uint8 if bits == 8 else np.uint16)
    named = {"Modality": "MG", "PatientName": "Doe^Jane", **attributes}
    with tempfile.TemporaryDirectory() as folder:
        return write_dicom(Path(folder) / "a.dcm", stored, **named).read_bytes()
