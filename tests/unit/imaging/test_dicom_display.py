from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_files import BIG_ENDIAN, EXPLICIT, IMPLICIT, write_dicom
from pydicom.dataset import Dataset

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.header import read_header
from mammoshift.imaging.tones import dicom_voi


def stored_values() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 1024, (40, 31)).astype(np.uint16)


def lut(table: np.ndarray, first: int, bits: int, order: str = "<", vr: str = "US") -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [table.size, first, bits]
    item["LUTDescriptor"].VR = vr
    item.add_new("LUTData", "OW", table.astype(f"{order}u2").tobytes())
    return item


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_decreasing_modality_lut_inverts_the_image(
    tmp_path: Path, syntax: str, photometric: str
) -> None:
    stored = stored_values()
    table = np.linspace(4000, 10, 1024).astype(np.uint16)
    order = ">" if syntax == BIG_ENDIAN else "<"
    path = write_dicom(
        tmp_path / "a.dcm",
        stored,
        bits=10,
        syntax=syntax,
        photometric=photometric,
        ModalityLUTSequence=[lut(table, 0, 12, order)],
    )
    image = decode_image(path)
    expected = table[stored]
    assert image.bits == 12
    np.testing.assert_array_equal(
        image.pixels, 4095 - expected if photometric == "MONOCHROME1" else expected
    )


def test_a_window_counts_in_what_the_modality_lut_gives(tmp_path: Path) -> None:
    stored = stored_values()
    table = (np.arange(1024) * 3 + 500).astype(np.uint16)
    path = write_dicom(
        tmp_path / "a.dcm",
        stored,
        bits=10,
        ModalityLUTSequence=[lut(table, 0, 12)],
        WindowCenter=2000,
        WindowWidth=1000,
        VOILUTFunction="LINEAR_EXACT",
    )
    image = decode_image(path)
    shown = dicom_voi.curve(image.pixels.astype(np.float32), image)
    np.testing.assert_allclose(shown, np.clip((table[stored] - 1500.0) / 1000.0, 0, 1), atol=1e-5)


def test_a_modality_lut_of_signed_values_starts_below_zero(tmp_path: Path) -> None:
    stored = stored_values().astype(np.int16) - 512
    table = (np.arange(1024) * 2).astype(np.uint16)
    item = lut(table, -512, 12, vr="SS")
    path = write_dicom(
        tmp_path / "a.dcm",
        stored.view(np.uint16),
        bits=10,
        signed=True,
        ModalityLUTSequence=[item],
    )
    np.testing.assert_array_equal(decode_image(path).pixels, table[stored + 512])


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True])
def test_pixels_grow_with_brightness_whichever_way_the_voi_lut_runs(
    tmp_path: Path, photometric: str, signed: bool
) -> None:
    stored = stored_values()
    table = (np.arange(1024) ** 2 // 256).astype(np.uint16)
    first = -512 if signed else 0
    shown = {}
    for name, values in (("rising", table), ("falling", 4095 - table)):
        image = decode_image(
            write_dicom(
                tmp_path / f"{name}.dcm",
                (stored.astype(np.int16) + first).view(np.uint16),
                bits=10,
                photometric=photometric,
                signed=signed,
                VOILUTSequence=[lut(values, first, 12, vr="SS" if signed else "US")],
            )
        )
        tone = dicom_voi.curve(image.pixels.astype(np.float32), image)
        assert (np.diff(tone.ravel()[np.argsort(image.pixels, axis=None)]) >= 0.0).all()
        shown[name] = tone
    np.testing.assert_allclose(shown["falling"], 1.0 - shown["rising"], atol=1e-6)


def test_a_damaged_modality_lut_is_refused(tmp_path: Path) -> None:
    item = lut(np.arange(8, dtype=np.uint16), 0, 12)
    item.LUTDescriptor = [4000, 0, 12]
    path = write_dicom(tmp_path / "a.dcm", stored_values(), bits=10, ModalityLUTSequence=[item])
    with pytest.raises(UnreadableImageError, match="modality LUT has fewer entries"):
        decode_image(path)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True])
def test_bright_padding_becomes_dark(tmp_path: Path, photometric: str, signed: bool) -> None:
    values = stored_values().astype(np.int16) // 2 + 100
    pad = 0 if photometric == "MONOCHROME1" else 1023
    shift = 512 if signed else 0
    values[:, 20:] = pad
    path = write_dicom(
        tmp_path / "a.dcm",
        (values - shift).view(np.uint16),
        bits=10,
        photometric=photometric,
        signed=signed,
        PixelPaddingValue=pad - shift,
    )
    image = decode_image(path)
    kept = image.pixels[:, :20]
    expected = 1023 - values[:, :20] if photometric == "MONOCHROME1" else values[:, :20]
    np.testing.assert_array_equal(kept, expected)
    assert (image.pixels[:, 20:] == kept.min()).all()
    assert image.padded_share == pytest.approx(11 / 31)


def test_a_range_of_padding_and_padding_that_is_dark_already(tmp_path: Path) -> None:
    values = stored_values() // 2
    values[:, 25:] = np.arange(1000, 1006)
    path = write_dicom(
        tmp_path / "a.dcm", values, bits=10, PixelPaddingValue=1000, PixelPaddingRangeLimit=1010
    )
    assert decode_image(path).pixels.max() == values[:, :25].max()
    dark = write_dicom(tmp_path / "b.dcm", values, bits=10, PixelPaddingValue=0)
    np.testing.assert_array_equal(decode_image(dark).pixels, values)


@pytest.mark.parametrize(
    ("stated", "intent"),
    [("FOR PROCESSING", "for_processing"), ("FOR PRESENTATION", "for_presentation"), ("", None)],
)
def test_the_intent_is_told_apart(tmp_path: Path, stated: str, intent: str | None) -> None:
    path = write_dicom(tmp_path / "a.dcm", stored_values(), bits=10, PresentationIntentType=stated)
    assert decode_image(path).intent == intent
    assert read_header(path).intent == intent
