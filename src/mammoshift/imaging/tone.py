"""The curves that tones are made of: stored pixel values to display intensities in [0, 1].

Every curve here is monotone and works on floating-point values in units of the stored pixel, so
that it can be applied after an image was averaged down: averaging before the tone curve is what
a detector or a digitiser with a coarser aperture does. The recipes themselves are the modules of
`mammoshift.imaging.tones`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.imaging.decoded import Pixels

LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5
"""Percentiles inside the breast that tones map to 0 and 1."""


def linear_range(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Map `low` to 0 and `high` to 1 and clip; with high <= low it is a step just above `low`."""
    if high <= low:
        return (values > low).astype(np.float32)
    scale = np.float32(1.0 / (high - low))
    return np.clip((values - np.float32(low)) * scale, 0.0, 1.0, dtype=np.float32)


def sigmoid_window(values: NDArray[np.float32], center: float, width: float) -> NDArray[np.float32]:
    """Return 1 / (1 + exp(-4 (x - c) / w)): DICOM PS3.3 C.11.2.1.3.1 with an output of 0 to 1."""
    steepness = np.float32(-4.0 / width)
    exponent = np.clip((values - np.float32(center)) * steepness, -80.0, 80.0)
    return (1.0 / (1.0 + np.exp(exponent))).astype(np.float32, copy=False)


def film_log(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Map the logarithm of the stored value linearly: log10(low) to 0, log10(high) to 1.

    A digitiser that is linear in transmitted light stores GL = 10**(a - b OD), so that log10(GL)
    runs against the optical density OD, which over the straight part of the film's
    characteristic curve is linear in log exposure. Values below 1 count as 1.
    """
    logarithms = np.log10(np.maximum(values, np.float32(1.0)))
    return linear_range(logarithms, float(np.log10(max(low, 1.0))), float(np.log10(max(high, 1.0))))


def look_up(values: NDArray[np.float32], table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Read `table`, one entry for each stored value, with linear interpolation between them."""
    below = np.clip(values.astype(np.intp), 0, table.size - 1)
    above = np.minimum(below + 1, table.size - 1)
    share = np.clip(values - below, 0.0, 1.0).astype(np.float32)
    return (table[below] + share * (table[above] - table[below])).astype(np.float32, copy=False)


def percentile_range(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Return the 0.5 and 99.5 percentiles of values that occur `counts` times, from 0."""
    return histogram_percentile(counts, LOW_PERCENT), histogram_percentile(counts, HIGH_PERCENT)


def histogram(pixels: Pixels, mask: NDArray[np.uint8] | None, bits: int) -> NDArray[np.int64]:
    """Count each value from 0 to 2**bits - 1 where `mask` is not zero: shape (2**bits,).

    Exact for up to 2**24 pixels.
    """
    size = 1 << bits
    # Ten times faster than a masked count: what lies outside is set to zero, then taken off.
    kept = pixels if mask is None else cv2.bitwise_and(pixels, pixels, mask=mask)
    counts = cv2.calcHist([kept], [0], None, [size], [0.0, float(size)]).ravel().astype(np.int64)
    if mask is not None:
        counts[0] -= mask.size - cv2.countNonZero(mask)
    return counts


def histogram_percentile(counts: NDArray[np.int64], percent: float) -> float:
    """Return the smallest value whose share of values at or below it reaches `percent` / 100."""
    cumulated = np.cumsum(counts)
    needed = max(percent / 100.0 * float(cumulated[-1]), 1.0)
    return float(np.searchsorted(cumulated, needed))


def to_uint16(intensities: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Store intensities in [0, 1] as 0 to 65535, rounded to the nearest."""
    return (intensities * np.float32(65535.0) + np.float32(0.5)).astype(np.uint16)
