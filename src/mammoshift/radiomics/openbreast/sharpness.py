"""Features of edges: gradient, Laplacian, and the wavelet details of the finest scale."""

from __future__ import annotations

import numpy as np
import pywt
from scipy import ndimage

from mammoshift.radiomics.openbreast.intensity import EPS
from mammoshift.radiomics.openbreast.region import Floats, Region

NAMES = ("sgra", "slap", "swas", "swav", "swar", "stev")
WAVELET, DEPTH = "db6", 3


def sharpness_features(region: Region) -> Floats:
    """Return the features of `NAMES`.

    Filters see the whole image, and their results are taken inside the mask: the step from the
    breast to its surroundings counts. The gradient is Sobel's without a scale.
    """
    image, mask = region.image, region.mask
    gradient = gradient_magnitude(image)[mask]
    laplacian = (_second_difference(image, 0) + _second_difference(image, 1))[mask]
    details = [np.abs(detail[mask]) for detail in finest_details(image)]
    power = sum(float((detail * detail).mean()) for detail in details)
    rough = sum(float(np.abs(level[mask]).mean()) for level in approximations(image))
    return np.array(
        [
            float(gradient.mean()),
            float(laplacian.mean()),
            sum(float(detail.mean()) for detail in details),
            sum(_variance(detail) for detail in details),
            (power + EPS) / (rough + EPS),
            float(np.sqrt(_variance(gradient))),
        ]
    )


def gradient_magnitude(image: Floats) -> Floats:
    """Return the length of Sobel's gradient, the border repeated."""
    return np.hypot(
        ndimage.sobel(image, axis=0, mode="nearest"), ndimage.sobel(image, axis=1, mode="nearest")
    )


def finest_details(image: Floats) -> tuple[Floats, ...]:
    """Return the horizontal, vertical and diagonal parts of the finest scale, in the image's size.

    The image is continued by reflection at its border.
    """
    _, (along, down, across) = pywt.dwt2(image, WAVELET)
    parts = ((along, None, None), (None, down, None), (None, None, across))
    return tuple(_cut(pywt.idwt2((None, part), WAVELET), image.shape) for part in parts)


def approximations(image: Floats) -> list[Floats]:
    """Return what is left without the finest 1, 2 and 3 scales, in the image's size."""
    found, shapes, part = [], [], image
    for _ in range(DEPTH):
        shapes.append(part.shape)
        part = pywt.dwt2(part, WAVELET)[0]
        whole = part
        for shape in reversed(shapes):
            whole = _cut(pywt.idwt2((whole, (None, None, None)), WAVELET), shape)
        found.append(whole)
    return found


def _second_difference(image: Floats, axis: int) -> Floats:
    return np.abs(ndimage.correlate1d(image, [-1.0, 2.0, -1.0], axis=axis, mode="nearest"))


def _cut(array: Floats, shape: tuple[int, ...]) -> Floats:
    """Return the array without the last row or column that an odd size has too many."""
    return array[: shape[0], : shape[1]]


def _variance(values: Floats) -> float:
    return float(values.var(ddof=1)) if values.size > 1 else 0.0
