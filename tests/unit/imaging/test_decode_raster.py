from __future__ import annotations

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mammoshift.configuration.model import InputRecipe
from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.header import read_header
from mammoshift.imaging.preprocess import preprocess_image


def noise(largest: int, shape: tuple[int, ...] = (40, 31)) -> np.ndarray:
    values = np.random.default_rng(5).integers(0, largest + 1, shape)
    return values.astype(np.uint8 if largest < 256 else np.uint16)


@pytest.mark.parametrize(("maximum", "bits"), [(255, 8), (200, 8), (1023, 10), (65535, 16)])
@pytest.mark.parametrize("kind", ["P5", "P2"])
def test_pgm(tmp_path: Path, maximum: int, bits: int, kind: str) -> None:
    pixels = noise(maximum)
    header = f"{kind}\n# scanned\n31 40 # size\n{maximum}\n".encode()
    if kind == "P5":
        body = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    else:
        body = "\n".join(" ".join(map(str, row)) for row in pixels.tolist()).encode()
    path = tmp_path / "a.pgm"
    path.write_bytes(header + body)
    image = decode_image(path)
    assert image.bits == bits
    np.testing.assert_array_equal(image.pixels, pixels)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"P5\n4 4\n255\n" + 15 * b"a", "truncated: 15 of 16"),
        (b"P5\n4 4\n100\n" + 16 * b"\xff", "exceeds the declared maximum"),
        (b"P2\n2 2\n9\n1 2 3", "truncated: 3 of 4"),
        (b"P2\n2 2\n9\n1 2 3 -4", "not a whole number"),
        (b"P2\n2 2\n9\n1 2 3 \xd9\xa4", "not a whole number"),
        (b"P5\n99999 99999\n255\n", "limit"),
        (b"P5\n0 4\n255\n", "no pixels"),
        (b"P5\n4 4\n70000\n" + 32 * b"a", "maximum is 70000"),
        (b"P5\n4 4\n", "header"),
        (b"P5 99999999999999999999 1 255 ", "header"),
    ],
)
def test_damaged_pgm(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=reason):
        decode_image(path)


@pytest.mark.parametrize("largest", [255, 65535])
def test_png_of_grey_and_of_colour(tmp_path: Path, largest: int) -> None:
    pixels = noise(largest)
    path = tmp_path / "wrong_name.dcm"
    path.write_bytes(imagecodecs.png_encode(pixels))
    np.testing.assert_array_equal(decode_image(path).pixels, pixels)
    with_alpha = np.dstack([pixels, pixels, pixels, noise(largest)[::-1]])
    path.write_bytes(imagecodecs.png_encode(with_alpha))
    image = decode_image(path)
    assert image.bits == 8 * pixels.dtype.itemsize
    np.testing.assert_array_equal(image.pixels, pixels)


def test_jpeg_of_grey_and_of_colour(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(noise(255, (64, 48)), (0, 0), 4)
    for channels in (smooth, np.dstack(3 * [smooth])):
        path = tmp_path / "a.jpg"
        path.write_bytes(imagecodecs.jpeg8_encode(channels, level=95))
        image = decode_image(path)
        assert image.bits == 8
        assert np.abs(image.pixels.astype(int) - smooth).max() <= 4


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits"])
@pytest.mark.parametrize("largest", [255, 65535])
def test_tiff(tmp_path: Path, compression: str | None, largest: int) -> None:
    pixels = noise(largest)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, compression=compression)
    np.testing.assert_array_equal(decode_image(path).pixels, pixels)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff_with_transparency_keeps_grey(tmp_path: Path, planar: str) -> None:
    pixels = noise(255)
    channels = np.dstack([pixels, pixels, pixels, noise(255)[::-1]])
    path = tmp_path / "a.tif"
    if planar == "separate":
        channels = np.moveaxis(channels, -1, 0)
    tifffile.imwrite(
        path, channels, photometric="rgb", planarconfig=planar, extrasamples=["unassalpha"]
    )
    np.testing.assert_array_equal(decode_image(path).pixels, pixels)


def test_tiff_where_zero_is_white_is_inverted(tmp_path: Path) -> None:
    pixels = noise(65535)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="miniswhite")
    image = decode_image(path)
    assert image.inverted
    np.testing.assert_array_equal(image.pixels, 65535 - pixels)


@pytest.mark.parametrize("tone", ["dicom_voi", "percentile", "image_range", "min_max"])
def test_twelve_bits_where_zero_is_white_are_shown_as_where_it_is_black(
    tmp_path: Path, tone: str
) -> None:
    rows, columns = np.mgrid[:200, :160]
    inside = (columns / 120.0) ** 2 + ((rows - 100) / 90.0) ** 2 < 1.0
    grey = np.where(inside, 1800 + 900 * np.sin(columns / 12.0), 60).astype(np.uint16)
    shown = []
    for photometric, pixels in (("minisblack", grey), ("miniswhite", 4095 - grey)):
        path = tmp_path / f"{photometric}.tif"
        tifffile.imwrite(path, pixels, photometric=photometric)
        recipe = InputRecipe(size=(96, 64), tone=tone)
        shown.append(preprocess_image(decode_image(path), recipe).array.astype(int))
    assert np.abs(shown[0] - shown[1]).max() <= 65


@pytest.mark.parametrize("bits", [2, 4, 12])
def test_tiff_of_other_depths_is_refused(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "a.tif"
    pixels = noise(2**bits - 1).astype(np.uint16 if bits > 8 else np.uint8)
    tifffile.imwrite(path, pixels, bitspersample=bits, photometric="minisblack")
    with pytest.raises(UnreadableImageError, match="8-bit or 16-bit"):
        decode_image(path)


@pytest.mark.parametrize(("mode", "photometric"), [("CMYK", 5), ("YCbCr", 6), ("LAB", 8), ("P", 3)])
def test_tiff_of_other_colours_is_refused(tmp_path: Path, mode: str, photometric: int) -> None:
    path = tmp_path / "a.tif"
    Image.new(mode, (31, 40)).save(path)
    with tifffile.TiffFile(path) as file:
        assert file.pages.first.photometric == photometric
    with pytest.raises(UnreadableImageError, match="neither grey nor RGB"):
        decode_image(path)


def test_tiff_of_several_pages_or_floats_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(255, (3, 40, 31)), photometric="minisblack")
    with pytest.raises(UnreadableImageError, match="3 pages"):
        decode_image(path)
    tifffile.imwrite(path, noise(255).astype(np.float32))
    with pytest.raises(UnreadableImageError, match="8-bit or 16-bit"):
        decode_image(path)


def encoded(kind: str, folder: Path) -> bytes:
    pixels = cv2.GaussianBlur(noise(255, (32, 24)), (3, 3), 1)
    if kind == "png":
        return imagecodecs.png_encode(pixels)
    if kind == "jpeg":
        return imagecodecs.jpeg8_encode(pixels)
    if kind == "pgm":
        return b"P5\n24 32\n255\n" + pixels.tobytes()
    path = folder / "whole.tif"
    tifffile.imwrite(path, pixels, compression=kind.removeprefix("tiff") or None)
    return path.read_bytes()


KINDS = ("png", "jpeg", "pgm", "tiff", "tifflzw", "tiffdeflate", "tiffjpeg")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.95])
def test_truncated_files_are_refused(tmp_path: Path, kind: str, share: float) -> None:
    content = encoded(kind, tmp_path)
    path = tmp_path / "cut"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnreadableImageError):
        decode_image(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_rasters_never_do_more_than_be_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(encoded(data.draw(st.sampled_from(KINDS)), folder))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = folder / "damaged"
    path.write_bytes(content)
    try:
        pixels = decode_image(path).pixels
        assert (read_header(path).rows, read_header(path).columns) == pixels.shape
    except UnreadableImageError as error:
        assert str(error)


STARTS = (
    b"",
    b"P5",
    b"P2 3 3 9 ",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\0",
    128 * b"\0" + b"DICM",
)


@settings(max_examples=80, deadline=None)
@given(
    start=st.sampled_from(STARTS),
    rest=st.binary(max_size=400),
)
def test_garbage_is_refused(
    start: bytes, rest: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("garbage") / "x"
    path.write_bytes(start + rest)
    try:
        assert decode_image(path).pixels.size
    except UnreadableImageError as error:
        assert str(error)


def test_reasons_for_what_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="does not exist"):
        decode_image(tmp_path / "none.dcm")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(UnreadableImageError, match="empty"):
        decode_image(tmp_path / "empty")
    (tmp_path / "text").write_text("patient,label\n")
    with pytest.raises(UnreadableImageError, match="not a readable"):
        decode_image(tmp_path / "text")
    with pytest.raises(UnreadableImageError, match="no file"):
        decode_image(tmp_path)


def test_huge_png_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    content = bytearray(imagecodecs.png_encode(noise(255)))
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match="limit"):
        decode_image(path)
