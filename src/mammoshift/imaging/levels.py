"""The levels of breast and air in one image: what tones and backgrounds are set by."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.imaging.breast import Box, BreastRegion, mask_in_box, thinned
from mammoshift.imaging.decoded import Pixels
from mammoshift.imaging.tone import histogram

_STATISTICS_LENGTH = 2048
_LEAST_AIR_SHARE = 0.005


def breast_counts(
    pixels: Pixels, region: BreastRegion | None, crop: Box, bits: int
) -> NDArray[np.int64]:
    """Count the stored values of the breast in a crop, from at most about four megapixels.

    Parameters
    ----------
    pixels
        The whole image, shape (rows, columns), values below 2**bits.
    region
        Where the breast is; None for the whole crop.
    crop
        What of the image counts.
    bits
        Significant bits of a pixel, 1 to 16.

    Returns
    -------
    ndarray
        Shape (2**bits,); all pixels of the crop where none of them is breast.
    """
    part = crop.of(pixels)
    step = 1 + max(part.shape) // _STATISTICS_LENGTH
    sampled = thinned(part, step)
    mask = mask_in_box(region, crop, *sampled.shape) if region else None
    counts = histogram(sampled, mask, bits)
    return counts if counts.any() else histogram(sampled, None, bits)


def filled_share(toned: NDArray[np.uint16], mask: NDArray[np.uint8] | None) -> float:
    """Return the share of 0 to 65535 between the 0.5 and the 99.5 percentile of the breast."""
    inside = toned[::4, ::4] if mask is None else toned[::4, ::4][mask[::4, ::4] > 0]
    if not inside.size:
        return 0.0
    low, high = np.percentile(inside, (0.5, 99.5))
    return float(high - low) / 65535.0


def air_level(toned: NDArray[np.uint16], mask: NDArray[np.uint8]) -> int | None:
    """Return the median intensity of the air in a toned crop; None where hardly any shows.

    `mask` is uint8 of the same shape, not zero inside the breast. What borders on the breast is
    left out: blur and skin make it brighter than air.
    """
    size = max(3, max(mask.shape) // 50)
    apart = cv2.dilate(mask, np.ones((size, size), np.uint8)) == 0
    if np.count_nonzero(apart) < _LEAST_AIR_SHARE * mask.size:
        return None
    return int(np.median(toned[apart]))


def take_off(toned: NDArray[np.uint16], level: int) -> NDArray[np.uint16]:
    """Map `level` and what is darker to 0, and 65535 to itself, linearly between."""
    if not 0 < level < 65535:
        return toned
    scale = 65535.0 / (65535 - level)
    shifted = (toned.astype(np.float32) - np.float32(level)) * np.float32(scale)
    return np.clip(shifted + np.float32(0.5), 0.0, 65535.0).astype(np.uint16)
