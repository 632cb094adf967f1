from __future__ import annotations

import logging
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from dicom_files import (
    BASE,
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    LOSSLESS_SYNTAXES,
    RLE,
    write_dicom,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_windowing

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.header import read_header
from mammoshift.imaging.tones import dicom_voi


def ramp(rows: int = 48, columns: int = 37, largest: int = 4095) -> np.ndarray:
    values = np.random.default_rng(3).integers(0, largest + 1, (rows, columns))
    values[0, 0], values[0, 1] = 0, largest
    return values.astype(np.uint8 if largest < 256 else np.uint16)


@pytest.mark.parametrize("syntax", LOSSLESS_SYNTAXES)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_every_lossless_syntax_is_bit_exact(tmp_path: Path, syntax: str, bits: int) -> None:
    stored = ramp(largest=(1 << bits) - 1)
    path = write_dicom(tmp_path / "a.dcm", stored, bits=bits, syntax=syntax)
    image = decode_image(path)
    assert image.bits == bits
    assert image.pixels.dtype == stored.dtype
    np.testing.assert_array_equal(image.pixels, stored)


@pytest.mark.parametrize(("part", "bits"), [("50", 8), ("51", 12)])
def test_lossy_jpeg_is_close(tmp_path: Path, part: str, bits: int) -> None:
    rows, columns = np.mgrid[0:64, 0:56]
    smooth = ((rows + columns) * ((1 << bits) - 1) / 118).astype(
        np.uint16 if bits > 8 else np.uint8
    )
    path = write_dicom(tmp_path / "a.dcm", smooth, bits=bits, syntax=BASE + part)
    difference = decode_image(path).pixels.astype(int) - smooth
    assert np.abs(difference).max() <= 0.02 * (1 << bits)


def test_several_fragments_are_joined(tmp_path: Path) -> None:
    stored = ramp()
    path = write_dicom(tmp_path / "a.dcm", stored, bits=12, syntax=f"{BASE}70", fragments=3)
    np.testing.assert_array_equal(decode_image(path).pixels, stored)


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN, RLE])
def test_junk_above_the_stored_bits_is_masked(tmp_path: Path, syntax: str) -> None:
    stored = ramp()
    junk = stored | (np.arange(stored.size, dtype=np.uint16).reshape(stored.shape) << 12)
    path = write_dicom(tmp_path / "a.dcm", junk, bits=12, syntax=syntax)
    np.testing.assert_array_equal(decode_image(path).pixels, stored)


def test_pixels_in_the_upper_bits_are_shifted_down(tmp_path: Path) -> None:
    stored = ramp()
    path = write_dicom(tmp_path / "a.dcm", stored << 4, bits=12, HighBit=15)
    np.testing.assert_array_equal(decode_image(path).pixels, stored)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, f"{BASE}90"])
def test_monochrome1_is_inverted_by_the_stored_bits(tmp_path: Path, syntax: str) -> None:
    stored = ramp()
    path = write_dicom(
        tmp_path / "a.dcm", stored, bits=12, syntax=syntax, photometric="MONOCHROME1"
    )
    image = decode_image(path)
    assert image.inverted
    np.testing.assert_array_equal(image.pixels, 4095 - stored)


def test_signed_pixels_become_offset_binary(tmp_path: Path) -> None:
    signed = ramp().astype(np.int16) - 2048
    path = write_dicom(tmp_path / "a.dcm", signed.view(np.uint16), bits=12, signed=True)
    np.testing.assert_array_equal(decode_image(path).pixels, signed + 2048)


def test_odd_number_of_bytes_in_big_endian_words(tmp_path: Path) -> None:
    stored = ramp(7, 5, 255)
    path = write_dicom(tmp_path / "a.dcm", stored, syntax=BIG_ENDIAN)
    np.testing.assert_array_equal(decode_image(path).pixels, stored)


@pytest.mark.parametrize(
    ("center", "width", "slope"),
    [("0", "1e-300", "1"), ("1e39", "10", "1"), ("0", "1e39", "1"), ("1", "1", "1e-320")],
)
def test_a_window_that_overflows_is_refused(
    tmp_path: Path, center: str, width: str, slope: str
) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        ramp(),
        bits=12,
        WindowCenter=center,
        WindowWidth=width,
        VOILUTFunction="SIGMOID",
        RescaleSlope=slope,
        RescaleIntercept="0",
    )
    with pytest.raises(UnreadableImageError, match="the window lies absurdly far"):
        decode_image(path)


def test_a_private_transfer_syntax_is_refused(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12, syntax=EXPLICIT)
    stated, private = b"UI\x14\0" + EXPLICIT.encode() + b"\0", b"1.2.840.113619.5.2\0\0"
    content = path.read_bytes()
    assert content.count(stated) == 1
    path.write_bytes(content.replace(stated, b"UI\x14\0" + private))
    with pytest.raises(UnreadableImageError, match="an unknown one"):
        decode_image(path)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (2.5, -300.0)])
@pytest.mark.parametrize("signed", [False, True])
def test_window_agrees_with_pydicom(
    tmp_path: Path, function: str, photometric: str, slope: float, intercept: float, signed: bool
) -> None:
    stored = ramp()
    values = stored.astype(np.int16) - 2048 if signed else stored
    center, width = slope * (0 if signed else 2000) + intercept, slope * 1500
    path = write_dicom(
        tmp_path / "a.dcm",
        values.view(np.uint16),
        bits=12,
        photometric=photometric,
        signed=signed,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=[center, 1.0],
        WindowWidth=[width, 1.0],
        VOILUTFunction=function,
    )
    reference = Dataset()
    reference.PhotometricInterpretation = "MONOCHROME2"
    reference.BitsStored, reference.PixelRepresentation = 12, int(signed)
    reference.RescaleSlope, reference.RescaleIntercept = slope, intercept
    reference.WindowCenter, reference.WindowWidth = center, width
    reference.VOILUTFunction = function
    shown = apply_windowing(slope * values.astype(np.float64) + intercept, reference)
    low = -2048 if signed else 0
    span = slope * 4095
    expected = (shown - (slope * low + intercept)) / span
    if photometric == "MONOCHROME1":
        expected = 1.0 - expected
    image = decode_image(path)
    toned = dicom_voi.curve(image.pixels.astype(np.float32), image)
    np.testing.assert_allclose(toned, expected, atol=2e-5)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_voi_lut_takes_precedence(tmp_path: Path, syntax: str, photometric: str) -> None:
    stored = ramp(largest=1023)
    curve = np.rint(4095 * np.linspace(0.0, 1.0, 512) ** 2).astype(np.uint16)
    item = Dataset()
    item.LUTDescriptor = [512, 200, 12]
    item["LUTDescriptor"].VR = "US"
    order = ">u2" if syntax == BIG_ENDIAN else "<u2"
    item.add_new("LUTData", "OW", curve.astype(order).tobytes())
    path = write_dicom(
        tmp_path / "a.dcm",
        stored,
        bits=10,
        syntax=syntax,
        photometric=photometric,
        VOILUTSequence=[item],
        WindowCenter=10,
        WindowWidth=10,
    )
    image = decode_image(path)
    toned = dicom_voi.curve(image.pixels.astype(np.float32), image)
    expected = curve[np.clip(stored.astype(int) - 200, 0, 511)] / 4095.0
    np.testing.assert_allclose(
        toned, 1.0 - expected if photometric == "MONOCHROME1" else expected, atol=1e-6
    )


def test_negative_slope_inverts_once(tmp_path: Path) -> None:
    stored = ramp()
    path = write_dicom(
        tmp_path / "a.dcm",
        stored,
        bits=12,
        RescaleSlope=-1,
        RescaleIntercept=4095,
        WindowCenter=2047.5,
        WindowWidth=4095,
        VOILUTFunction="LINEAR_EXACT",
    )
    image = decode_image(path)
    np.testing.assert_array_equal(image.pixels, 4095 - stored)
    toned = dicom_voi.curve(image.pixels.astype(np.float32), image)
    np.testing.assert_allclose(toned, (4095.0 - stored) / 4095.0, atol=1e-6)


def test_spacing_at_the_detector_comes_first(tmp_path: Path) -> None:
    both = {"ImagerPixelSpacing": [0.094, 0.095], "PixelSpacing": [0.07, 0.07]}
    image = decode_image(write_dicom(tmp_path / "a.dcm", ramp(), bits=12, **both))
    assert image.pixel_spacing_mm == (0.094, 0.095)
    film = decode_image(write_dicom(tmp_path / "b.dcm", ramp(), bits=12, PixelSpacing=[0.05, 0.05]))
    assert film.pixel_spacing_mm == (0.05, 0.05)
    assert decode_image(write_dicom(tmp_path / "c.dcm", ramp(), bits=12)).pixel_spacing_mm is None


@pytest.mark.parametrize(
    ("factor", "spacing"), [(1.8, 0.05), (1.07, 0.09), (0.0, 0.09), (1e9, 0.09)]
)
def test_the_spacing_of_a_magnification_view_is_that_in_the_breast(
    tmp_path: Path, factor: float, spacing: float
) -> None:
    stated = {
        "ImagerPixelSpacing": [0.09, 0.09],
        "PixelSpacing": [0.07, 0.07],
        "EstimatedRadiographicMagnificationFactor": factor,
    }
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12, **stated)
    assert decode_image(path).pixel_spacing_mm == pytest.approx((spacing, spacing))
    assert read_header(path).pixel_spacing_mm == pytest.approx(spacing)


def test_the_nominal_spacing_of_a_scan_is_read_last(tmp_path: Path) -> None:
    nominal = {"NominalScannedPixelSpacing": [0.05, 0.04]}
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12, **nominal)
    assert decode_image(path).pixel_spacing_mm == (0.05, 0.04)
    nominal["PixelSpacing"] = [0.06, 0.06]
    path = write_dicom(tmp_path / "b.dcm", ramp(), bits=12, **nominal)
    assert decode_image(path).pixel_spacing_mm == (0.06, 0.06)


def test_colour_capture_becomes_luma(tmp_path: Path) -> None:
    grey = ramp(24, 30, 255)
    path = write_dicom(
        tmp_path / "a.dcm",
        np.repeat(grey[:, :, None], 3, axis=2),
        photometric="RGB",
        SamplesPerPixel=3,
        PlanarConfiguration=0,
    )
    np.testing.assert_array_equal(decode_image(path).pixels, grey)


@pytest.mark.parametrize("compressed", [False, True])
def test_luma_and_chroma_are_converted_once(tmp_path: Path, compressed: bool) -> None:
    luma = np.random.default_rng(4).integers(70, 180, (24, 30), dtype=np.uint8)
    chroma = np.full_like(luma, 100), np.full_like(luma, 150)
    path = write_dicom(
        tmp_path / "a.dcm",
        np.stack([luma, *chroma], axis=2),
        photometric="YBR_FULL",
        SamplesPerPixel=3,
        PlanarConfiguration=0,
    )
    if compressed:
        dataset = pydicom.dcmread(path)
        dataset.compress(RLE, generate_instance_uid=False)
        dataset.save_as(path)
    np.testing.assert_allclose(decode_image(path).pixels, luma.astype(int), atol=1)


def test_file_without_a_preamble_is_read(tmp_path: Path) -> None:
    stored = ramp()
    path = write_dicom(tmp_path / "a.dcm", stored, bits=12, syntax=IMPLICIT)
    data = path.read_bytes()
    bare = data[data.index(b"\x08\x00\x16\x00") :]
    path.write_bytes(bare)
    np.testing.assert_array_equal(decode_image(path).pixels, stored)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"NumberOfFrames": 40}, "40 frames"),
        ({"Rows": 47}, None),
        ({"Rows": 49}, "truncated"),
        ({"Rows": 20}, "bytes where one image has"),
        ({"Rows": 65535, "Columns": 65535}, "limit"),
        ({"Rows": 0}, "no pixels"),
        ({"BitsAllocated": 32}, "32 bits allocated"),
        ({"BitsStored": 17}, "contradict"),
        ({"HighBit": 3}, "contradict"),
        ({"SamplesPerPixel": 2}, "2 samples"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "MONOCHROME"),
        ({"RescaleSlope": 0}, "slope is zero"),
        ({"WindowCenter": 100, "WindowWidth": 0}, "window width"),
        ({"WindowCenter": 1, "WindowWidth": 5, "VOILUTFunction": "CUBIC"}, "VOI LUT function"),
    ],
)
def test_contradictory_headers_are_refused(
    tmp_path: Path, attributes: dict[str, object], reason: str | None
) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12, **attributes)
    if reason is None:
        assert decode_image(path).pixels.shape == (47, 37)
        return
    with pytest.raises(UnreadableImageError, match=reason):
        decode_image(path)


@pytest.mark.parametrize("syntax", LOSSLESS_SYNTAXES)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, syntax: str, share: float) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12, syntax=syntax)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UnreadableImageError):
        decode_image(path)


def test_codestream_of_another_size_is_not_decoded(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12, syntax=f"{BASE}90", Rows=10)
    with pytest.raises(UnreadableImageError, match="the codestream holds 48 x 37"):
        decode_image(path)


@pytest.mark.parametrize(
    ("side", "reason"), [(14_000, "more than the limit"), (12_000, "can hold no mammogram")]
)
def test_a_tiny_codestream_of_a_huge_image_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int, reason: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12, syntax=f"{BASE}90")
    content = bytearray(path.read_bytes())
    for tag in (b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x11\x00US\x02\x00"):
        at = content.index(tag) + len(tag)
        content[at : at + 2] = side.to_bytes(2, "little")
    at = content.index(b"\xff\x4f\xff\x51") + 8
    size = side.to_bytes(4, "big")
    content[at : at + 8], content[at + 16 : at + 24] = 2 * size, 2 * size
    path.write_bytes(content)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the decoder was asked for more than a gigabyte")

    monkeypatch.setattr(imagecodecs, "jpeg2k_decode", refuse)
    with pytest.raises(UnreadableImageError, match=reason):
        decode_image(path)


def test_a_jp2_file_is_judged_by_its_codestream_and_not_by_a_decoy(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12, syntax=f"{BASE}90")
    inner = imagecodecs.jpeg2k_encode(ramp(90, 80), codecformat="jp2", level=0, reversible=True)
    decoy = imagecodecs.jpeg2k_encode(ramp(), codecformat="j2k", level=0, reversible=True)
    box = (8 + len(decoy)).to_bytes(4, "big") + b"free" + decoy
    start = inner.index(b"jp2h") - 4
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([inner[:start] + box + inner[start:]])
    dataset.save_as(path)
    with pytest.raises(UnreadableImageError, match="the codestream holds 90 x 80"):
        decode_image(path)


def test_unsupported_syntax_is_named(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12)
    data = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0")
    path.write_bytes(data)
    with pytest.raises(UnreadableImageError, match="transfer syntax"):
        decode_image(path)


def test_no_identifier_reaches_reasons_or_logs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    path = write_dicom(
        tmp_path / "DOE_JANE.dcm", ramp(), bits=12, PatientName="DOE^JANE", PatientID="H-123456"
    )
    data = path.read_bytes().replace(b"DOE^JANE", b"DOE^JA\xff\xfe")
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableImageError) as caught:
        decode_image(path)
    heard = " ".join([str(caught.value), caplog.text, *(str(w.message) for w in recwarn.list)])
    assert "DOE" not in heard
    assert "123456" not in heard


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_never_do_more_than_be_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    syntax = data.draw(st.sampled_from(LOSSLESS_SYNTAXES))
    folder = tmp_path_factory.mktemp("damaged")
    path = write_dicom(folder / "a.dcm", ramp(16, 12), bits=12, syntax=syntax)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(128, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        image = decode_image(path)
    except UnreadableImageError as error:
        assert str(error)
    else:
        assert (read_header(path).rows, read_header(path).columns) == image.pixels.shape
        assert image.pixels.ndim == 2
        assert image.pixels.dtype in (np.uint8, np.uint16)
        assert int(image.pixels.max()) < 1 << image.bits
