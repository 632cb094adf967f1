from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pydicom
import pytest
from dicom_files import DEFLATED, LOSSLESS_SYNTAXES, dicom_bytes, write_dicom, write_file
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging import dicom_file
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.header import read_header


def _code(value: str, meaning: str) -> Sequence:
    item = pydicom.Dataset()
    item.CodeValue, item.CodeMeaning = value, meaning
    return Sequence([item])


def test_a_dicom_header_is_read_by_content_not_by_name(tmp_path):
    content = dicom_bytes(
        rows=7,
        columns=5,
        bits=8,
        PatientID="D1-0001",
        PatientAge="044Y",
        ImageLaterality="L",
        ViewCodeSequence=_code("399368009", "medio-lateral oblique"),
        ImagerPixelSpacing=[0.0940909, 0.0940909],
        Manufacturer="",
        ManufacturerModelName="Senographe DS",
    )
    header = read_header(write_file(tmp_path / "000000", content))
    assert (header.rows, header.columns, header.bits, header.is_dicom) == (7, 5, 8, True)
    assert (header.laterality, header.view, header.age) == ("left", "MLO", 44)
    assert header.pixel_spacing_mm == pytest.approx(0.0940909)
    assert (header.manufacturer, header.detector) == (None, "Senographe DS")


@pytest.mark.parametrize(
    ("tags", "view"),
    [
        ({"ViewPosition": "CC"}, "CC"),
        ({"ViewCodeSequence": _code("399162004", "")}, "CC"),
        ({"ViewCodeSequence": _code("", "cranio-caudal")}, "CC"),
        ({"PatientOrientation": "MLO"}, "MLO"),
        ({"PatientOrientation": ["A", "R"]}, None),
        ({}, None),
    ],
)
def test_the_view_has_several_places(tmp_path, tags, view):
    assert read_header(write_file(tmp_path / "a.dcm", dicom_bytes(**tags))).view == view


@pytest.mark.parametrize("spacing", [[0.1, 0.2], [0.0, 0.0], [-1.0, -1.0], ["1e9", "1e9"]])
def test_an_implausible_spacing_is_unknown(tmp_path, spacing):
    content = dicom_bytes(ImagerPixelSpacing=spacing)
    assert read_header(write_file(tmp_path / "a.dcm", content)).pixel_spacing_mm is None


@pytest.mark.parametrize(
    ("mode", "dtype", "suffix", "bits"),
    [
        ("L", np.uint8, ".png", 8),
        ("I;16", np.uint16, ".png", 16),
        ("L", np.uint8, ".tif", 8),
        ("I;16", np.uint16, ".tif", 16),
        ("L", np.uint8, ".jpg", 8),
        ("L", np.uint8, ".pgm", 8),
    ],
)
def test_raster_headers(tmp_path, mode, dtype, suffix, bits):
    path = tmp_path / f"image{suffix}"
    Image.fromarray(np.zeros((6, 4), dtype)).save(path)
    header = read_header(path)
    assert (header.rows, header.columns, header.bits, header.is_dicom) == (6, 4, bits, False)
    assert mode


def test_colour_and_deep_raster_files(tmp_path):
    Image.new("RGBA", (4, 6)).save(tmp_path / "a.tif")
    assert read_header(tmp_path / "a.tif").bits == 8
    path = write_file(tmp_path / "a.pgm", b"P5\n# film\n4 6\n4095\n" + bytes(48))
    assert (read_header(path).bits, read_header(path).rows) == (12, 6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.dcm", b"", "empty"),
        ("a.dcm", b"hello", "not a readable"),
        ("a.dcm", bytes(128) + b"DICM" + b"\xff" * 100, "no image"),
        ("a.png", b"hello", "not a readable"),
        ("a.tif", b"II*\0\xff\xff\xff\xff", "damaged"),
        ("a.pgm", b"P5\n1024 1024\n255\n\0", "truncated"),
        ("a.jpg", b"\xff\xd8\xff", "no frame header"),
        ("a.png", b"GIF89a" + bytes(100), "not a readable"),
    ],
)
def test_what_is_no_image_is_unreadable(tmp_path, name, content, message):
    with pytest.raises(UnreadableImageError, match=message):
        read_header(write_file(tmp_path / name, content))


def test_a_dicom_file_cut_short_is_unreadable(tmp_path):
    content = dicom_bytes(rows=100, columns=100)
    with pytest.raises(UnreadableImageError, match="truncated"):
        read_header(write_file(tmp_path / "a.dcm", content[:-1000]))
    with pytest.raises(UnreadableImageError):
        read_header(write_file(tmp_path / "b.dcm", content[:200]))


def test_dicom_files_without_one_image_are_unreadable(tmp_path):
    with pytest.raises(UnreadableImageError, match="9 frames"):
        read_header(write_file(tmp_path / "a.dcm", dicom_bytes(NumberOfFrames=9)))
    report = pydicom.dcmread(io.BytesIO(dicom_bytes()))
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(report, keyword)
    report.save_as(tmp_path / "b.dcm")
    with pytest.raises(UnreadableImageError, match="no image"):
        read_header(tmp_path / "b.dcm")


def test_an_absurd_size_is_unreadable(tmp_path):
    content = bytearray(dicom_bytes(rows=3, columns=3))
    for tag in (b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x11\x00US\x02\x00"):
        offset = content.index(tag) + len(tag)
        content[offset : offset + 2] = b"\xff\xff"
    with pytest.raises(UnreadableImageError, match="more than the limit"):
        read_header(write_file(tmp_path / "a.dcm", bytes(content)))
    path = write_file(tmp_path / "a.pgm", b"P5\n99999 99999\n255\n\0")
    with pytest.raises(UnreadableImageError, match="more than the limit"):
        read_header(path)


def test_an_absurdly_long_value_is_not_read(tmp_path):
    content = dicom_bytes(SeriesDescription="x" * 60)
    start = content.index(b"\x08\x00\x3e\x10LO")
    # In place of the short description, one of 200,000 bytes with an explicit 32-bit length.
    long = b"\x08\x00\x3e\x10UT\0\0" + (200_000).to_bytes(4, "little") + b"y" * 200_000
    path = write_file(tmp_path / "a.dcm", content[:start] + long + content[start + 68 :])
    with pytest.raises(UnreadableImageError, match="absurdly long"):
        read_header(path)


def test_a_deflated_file_is_read_but_not_a_bomb(tmp_path, monkeypatch):
    dataset = pydicom.dcmread(io.BytesIO(dicom_bytes(rows=200, columns=200)))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = tmp_path / "a.dcm"
    dataset.save_as(path, implicit_vr=False, little_endian=True)
    assert len(zlib.compress(dataset.PixelData)) < path.stat().st_size
    assert read_header(path).rows == 200
    monkeypatch.setattr(dicom_file, "MAXIMUM_UNPACKED_BYTES", 10_000)
    with pytest.raises(UnreadableImageError, match="unpacks to more"):
        read_header(path)


def _meta_element(number: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


@pytest.mark.parametrize("padding", [10, 5000])
@pytest.mark.parametrize("stated_length", [0, 99])
def test_a_deflated_bomb_is_seen_whatever_its_meta_information_says(
    tmp_path, monkeypatch, padding, stated_length
):
    monkeypatch.setattr(dicom_file, "MAXIMUM_UNPACKED_BYTES", 10_000)
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    value = struct.pack("<HH2sHL", 9, 0x1010, b"OB", 0, 500_000) + bytes(500_000)
    content = (
        bytes(128)
        + b"DICM"
        + _meta_element(0, b"UL", struct.pack("<L", stated_length))
        + _meta_element(3, b"UI", b"1.2" + bytes(padding - 3))
        + _meta_element(16, b"UI", DeflatedExplicitVRLittleEndian.encode())
        + deflater.compress(value)
        + deflater.flush()
    )

    def refuse(*_, **__):
        raise AssertionError("the file was handed to the reader, which inflates all of it")

    monkeypatch.setattr(dicom_file, "_read_attributes", refuse)
    path = write_file(tmp_path / "a.dcm", content)
    with pytest.raises(UnreadableImageError, match=r"unpacks to more|meta information is unusual"):
        read_header(path)


def test_a_private_transfer_syntax_is_named_as_the_reason(tmp_path):
    syntax = ExplicitVRLittleEndian.encode()
    private = b"1.2.840.113619.5.2\0"
    content = dicom_bytes().replace(syntax + b"\0" * (len(syntax) % 2), private + b"\0")
    assert private in content
    with pytest.raises(UnreadableImageError, match=r"transfer syntax \(an unknown one"):
        read_header(write_file(tmp_path / "a.dcm", content))


@pytest.mark.parametrize("blank", [b" " * 3000, b" " * 40 + b"#" * 3000 + b"\n"])
def test_a_long_blank_in_a_pgm_header_takes_no_time(tmp_path, blank):
    path = write_file(tmp_path / "a.pgm", b"P5" + blank + b"4 6\n255\n" + bytes(24))
    start = time.process_time()
    assert read_header(path).rows == 6
    assert time.process_time() - start < 2.0


def test_the_message_never_quotes_the_header(tmp_path):
    content = dicom_bytes(PatientID="hospital-4711", NumberOfFrames=3)
    with pytest.raises(UnreadableImageError) as raised:
        read_header(write_file(tmp_path / "a.dcm", content))
    assert "4711" not in str(raised.value)
    assert "Doe" not in str(raised.value)


@pytest.mark.parametrize("syntax", [*LOSSLESS_SYNTAXES, DEFLATED])
def test_what_is_ingested_is_decoded_to_what_the_header_says(tmp_path, syntax):
    stored = np.arange(48 * 37, dtype=np.uint16).reshape(48, 37)
    path = write_dicom(tmp_path / "a.dcm", stored, bits=12, syntax=syntax)
    header, image = read_header(path), decode_image(path)
    assert (header.rows, header.columns) == image.pixels.shape
    assert header.bits == image.bits
    np.testing.assert_array_equal(image.pixels, stored)


@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": 0},
        {"BitsStored": 17},
        {"BitsAllocated": 32},
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"SamplesPerPixel": 2},
        {"Rows": 65_535, "Columns": 65_535},
        {"Rows": 9},
    ],
)
def test_what_cannot_be_decoded_is_not_ingested(tmp_path, attributes):
    stored = np.zeros((4, 3), np.uint16)
    path = write_dicom(tmp_path / "a.dcm", stored, **attributes)
    with pytest.raises(UnreadableImageError) as ingestion:
        read_header(path)
    with pytest.raises(UnreadableImageError) as decoding:
        decode_image(path)
    assert str(ingestion.value) == str(decoding.value)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_unreadable_and_nothing_else(tmp_path_factory, data):
    content = bytearray(
        dicom_bytes(PatientAge="044Y", ViewCodeSequence=_code("399162004", "cranio-caudal"))
    )
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "a.dcm"
    path.write_bytes(content[: data.draw(st.integers(132, len(content)))])
    try:
        header = read_header(path)
    except UnreadableImageError:
        return
    assert header.rows > 0
    assert header.columns > 0
