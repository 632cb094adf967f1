from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.imaging.decoded import DecodedImage, VoiWindow
from mammoshift.imaging.tone import (
    film_log,
    histogram,
    histogram_percentile,
    linear_range,
    look_up,
    percentile_range,
    to_uint16,
)
from mammoshift.imaging.tones import dicom_voi

CURVES = {
    "dicom_voi": dicom_voi.curve,
    "linear": lambda values, _image, ends: linear_range(values, *ends),
    "film_log": lambda values, _image, ends: film_log(values, *ends),
}


def image(bits: int = 12, **fields: object) -> DecodedImage:
    return DecodedImage(np.zeros((2, 2), np.uint16), bits, **fields)  # type: ignore[arg-type]


def test_dicom_voi_without_voi_is_the_full_range() -> None:
    values = np.array([0.0, 2047.5, 4095.0], np.float32)
    np.testing.assert_allclose(dicom_voi.curve(values, image()), [0.0, 0.5, 1.0])


def test_sigmoid_has_its_published_values() -> None:
    window = VoiWindow(center=128.0, width=256.0, sigmoid=True)
    values = np.array([128.0, 256.0, 0.0], np.float32)
    expected = [0.5, 1.0 / (1.0 + np.exp(-2.0)), 1.0 / (1.0 + np.exp(2.0))]
    np.testing.assert_allclose(
        dicom_voi.curve(values, image(8, window=window)), expected, rtol=1e-6
    )


def test_window_of_no_width_is_a_step() -> None:
    step = image(window=VoiWindow(center=100.0, width=0.0))
    toned = dicom_voi.curve(np.array([99.0, 100.0, 101.0], np.float32), step)
    assert toned.tolist() == [0.0, 0.0, 1.0]


def test_film_log_is_linear_in_optical_density() -> None:
    density = np.linspace(0.2, 3.2, 31)
    stored = 10.0 ** (4.8 - 1.07 * density)
    toned = film_log(stored.astype(np.float32), stored[-1], stored[0])
    np.testing.assert_allclose(toned, (3.2 - density) / 3.0, atol=2e-5)


def test_look_up_interpolates_between_entries() -> None:
    table = np.array([0.0, 0.2, 1.0], np.float32)
    values = np.array([0.0, 0.5, 1.25, 2.0, 9.0], np.float32)
    np.testing.assert_allclose(look_up(values, table), [0.0, 0.1, 0.4, 1.0, 1.0], atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_recipe_is_monotone_and_in_range(data: st.DataObject) -> None:
    curve = data.draw(st.sampled_from(list(CURVES.values())))
    window = VoiWindow(
        data.draw(st.floats(-5000, 70000)),
        data.draw(st.floats(0.01, 70000)),
        data.draw(st.booleans()),
    )
    low = data.draw(st.floats(0, 65535))
    high = data.draw(st.floats(0, 65535))
    values = np.sort(np.random.default_rng(1).uniform(0, 65535, 200)).astype(np.float32)
    toned = curve(values, image(16, window=window), (low, high))
    assert toned.dtype == np.float32
    assert toned.min() >= 0.0
    assert toned.max() <= 1.0
    assert (np.diff(toned) >= 0.0).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), bits=st.sampled_from([8, 12, 16]), percent=st.floats(0, 100))
def test_histogram_percentile_agrees_with_numpy(seed: int, bits: int, percent: float) -> None:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 1 << bits, (23, 19)).astype(np.uint8 if bits == 8 else np.uint16)
    mask = (generator.random(pixels.shape) < 0.5).astype(np.uint8) * 255
    counts = histogram(pixels, mask, bits)
    np.testing.assert_array_equal(counts, np.bincount(pixels[mask > 0], minlength=1 << bits))
    expected = np.percentile(pixels[mask > 0], percent, method="inverted_cdf")
    assert histogram_percentile(counts, percent) == expected


def test_range_is_that_of_the_breast_alone() -> None:
    pixels = np.zeros((100, 100), np.uint16)
    pixels[:, :50] = np.arange(1000, 6000).reshape(100, 50)
    pixels[:, 80:] = 65535
    mask = np.zeros((100, 100), np.uint8)
    mask[:, :50] = 255
    assert percentile_range(histogram(pixels, mask, 16)) == (1024.0, 5974.0)
    assert percentile_range(histogram(pixels, None, 16)) == (0.0, 65535.0)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_breast_that_fills_its_bits_is_shown_in_their_range(bits: int) -> None:
    largest = (1 << bits) - 1
    values = np.array([0.0, 0.3 * largest, largest], np.float32)
    breast = (0.02 * largest, 0.3 * largest)
    shown = dicom_voi.curve(values, DecodedImage(np.zeros((1, 1), np.uint16), bits), breast)
    np.testing.assert_allclose(shown, [0.0, 0.3, 1.0], atol=1e-6)


@pytest.mark.parametrize(
    ("bits", "offset"), [(16, 0.0), (16, 61440.0), (16, 32768.0), (14, 12288.0)]
)
def test_twelve_bits_in_a_larger_container_are_not_of_one_grey(bits: int, offset: float) -> None:
    values = np.array([200.0, 2000.0, 3800.0], np.float32) + np.float32(offset)
    breast = (offset + 200.0, offset + 3800.0)
    shown = dicom_voi.curve(values, DecodedImage(np.zeros((1, 1), np.uint16), bits), breast)
    np.testing.assert_allclose(shown, [0.0, 0.5, 1.0], atol=1e-6)


def test_a_display_of_few_greys_stays_as_it_was_chosen() -> None:
    shown = dicom_voi.curve(np.array([120.0], np.float32), image(8), (100.0, 150.0))
    np.testing.assert_allclose(shown, 120.0 / 255.0, atol=1e-6)


def test_storing_keeps_the_ends_and_rounds() -> None:
    intensities = np.array([0.0, 0.5, 1.0, 1.4 / 65535], np.float32)
    assert to_uint16(intensities).tolist() == [0, 32768, 65535, 1]


def test_degenerate_range_is_a_step() -> None:
    values = np.array([6.9, 7.0, 7.1], np.float32)
    assert linear_range(values, 7.0, 7.0).tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("name", CURVES)
def test_constant_black_stays_black(name: str) -> None:
    toned = CURVES[name](np.zeros((3, 3), np.float32), image(), (0.0, 0.0))
    assert (toned == 0.0).all()
