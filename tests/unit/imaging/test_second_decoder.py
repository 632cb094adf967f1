"""A decoder by other people reads the same pixels: GDCM, and OpenJPEG where GDCM cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gdcm
import imagecodecs
import numpy as np
import pydicom
import pytest
from dicom_files import BASE, LOSSLESS_SYNTAXES, write_dicom
from numpy.typing import NDArray
from pydicom.encaps import get_frame

from mammoshift.imaging.decode import decode_image

HIGH_THROUGHPUT = tuple(f"{BASE}{part}" for part in (201, 202, 203))


def tissue(rows: int, columns: int, bits: int) -> NDArray[Any]:
    """Return a smooth image with noise that fills its bits."""
    y, x = np.mgrid[0:rows, 0:columns]
    smooth = 0.5 + 0.3 * np.sin(x / 9.0) * np.cos(y / 7.0)
    noise = np.random.default_rng(bits).normal(0.0, 0.02, smooth.shape)
    values = np.clip(smooth + noise, 0.0, 1.0) * (2**bits - 1)
    values.flat[0], values.flat[1] = 0, 2**bits - 1
    return np.rint(values).astype(np.uint8 if bits <= 8 else np.uint16)


def by_gdcm(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    image = reader.GetImage()
    columns, rows = image.GetDimension(0), image.GetDimension(1)
    content = image.GetBuffer().encode("utf-8", errors="surrogateescape")
    return np.frombuffer(content, dtype).reshape(rows, columns)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", [s for s in LOSSLESS_SYNTAXES if s not in HIGH_THROUGHPUT])
def test_gdcm_reads_the_same_pixels(tmp_path: Path, syntax: str, bits: int) -> None:
    stored = tissue(50, 38, bits)
    path = write_dicom(tmp_path / "a.dcm", stored, bits=bits, syntax=syntax)
    ours = decode_image(path).pixels
    assert np.array_equal(ours, by_gdcm(path, stored.dtype))
    assert np.array_equal(ours, stored)


@pytest.mark.parametrize("part", ["50", "51"])
def test_gdcm_reads_lossy_jpeg_alike(tmp_path: Path, part: str) -> None:
    bits = 8 if part == "50" else 12
    stored = tissue(48, 40, bits)
    path = write_dicom(tmp_path / "a.dcm", stored, bits=bits, syntax=f"{BASE}{part}")
    difference = decode_image(path).pixels.astype(int) - by_gdcm(path, stored.dtype)
    # Two inverse transforms may round one step apart.
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", HIGH_THROUGHPUT)
def test_openjpeg_reads_the_same_pixels(tmp_path: Path, syntax: str, bits: int) -> None:
    stored = tissue(50, 38, bits)
    path = write_dicom(tmp_path / "a.dcm", stored, bits=bits, syntax=syntax)
    frame = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
    assert np.array_equal(decode_image(path).pixels, imagecodecs.jpeg2k_decode(frame))
