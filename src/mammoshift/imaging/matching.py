"""Histogram matching inside the breast: one distribution of intensities for every device.

The intensity of a pixel becomes that of the reference at the same quantile of the breast, so
that after it two vendors' images differ in texture and shape, and no longer in tone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.breast import locate_breast
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.levels import breast_counts
from mammoshift.imaging.tone import histogram_percentile, percentile_range
from mammoshift.imaging.tones import dicom_voi

QUANTILES = 33
"""Number of quantiles of a reference: every thirty-second, and both ends."""


def reference_quantiles(images: Iterable[DecodedImage]) -> tuple[float, ...]:
    """Return the mean distribution of intensities inside the breasts of a dataset's images.

    Each image counts alike: its intensities, by the tone `dicom_voi`, at `QUANTILES` equally
    spaced quantiles of its breast are averaged over the images.

    Raises
    ------
    UnreadableImageError
        If no image shows a breast.
    """
    tables = [table for image in images if (table := _quantiles_of(image)) is not None]
    if not tables:
        raise UnreadableImageError("no image shows a breast, so that there is no reference")
    mean = np.clip(np.mean(tables, axis=0), 0.0, 1.0)
    return tuple(round(float(value), 5) for value in np.maximum.accumulate(mean))


def matching_table(counts: NDArray[np.int64], reference: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the intensity of every stored value that gives the breast the reference's histogram.

    Parameters
    ----------
    counts
        How often each value from 0 occurs in the breast, shape (2**bits,).
    reference
        Intensities at equally spaced quantiles, not decreasing.

    Returns
    -------
    ndarray
        float32, shape of `counts`, not decreasing. Values below the breast's lowest fall
        linearly to zero; those above its highest have the reference's last intensity.
    """
    total = float(counts.sum())
    cumulated = np.cumsum(counts)
    # The middle of a value's own share: a value that fills the breast lands on the median.
    quantile = (cumulated - 0.5 * counts) / total
    levels = np.linspace(0.0, 1.0, len(reference))
    table = np.interp(quantile, levels, reference)
    lowest = int(np.flatnonzero(counts)[0])
    table[:lowest] = table[lowest] * np.arange(lowest) / max(lowest, 1)
    return table.astype(np.float32)


def _quantiles_of(image: DecodedImage) -> NDArray[np.float64] | None:
    region = locate_breast(image)
    if not region.found:
        return None
    counts = breast_counts(image.pixels, region, region.box, image.bits)
    values = [histogram_percentile(counts, 100.0 * q) for q in np.linspace(0.0, 1.0, QUANTILES)]
    stored = np.asarray(values, np.float32)
    return dicom_voi.curve(stored, image, percentile_range(counts)).astype(np.float64)
