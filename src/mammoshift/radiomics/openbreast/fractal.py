"""The fractal dimension of the surface of grey values, by box counting (Li et al. 2007)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mammoshift.radiomics.openbreast.region import Floats, Region

NAMES = ("fdim",)
LARGEST_STEP = 7
_HALF = 128.0 / 255.0


def fractal_features(region: Region) -> Floats:
    """Return the slope of the logarithm of the surface against that of the box, turned round.

    Boxes are 1, 2, 4, ... 128 pixels wide, as far as two of them and more fit four times; the
    surface is of the image reduced by as much (bicubic, without aliasing). NaN for an image of
    less than eight pixels, which has one scale only.
    """
    mask = _eroded(region.mask)
    steps = min(LARGEST_STEP, int(np.log2(max(mask.shape))) - 2)
    if steps < 1:
        return np.array([np.nan])
    sizes = region.spacing_mm * 2.0 ** np.arange(steps + 1)
    surfaces = [
        size * size + size * _total_difference(region.image, mask, 0.5**n)
        for n, size in enumerate(sizes)
    ]
    return np.array([-np.polyfit(np.log(sizes), np.log(surfaces), 1)[0]])


def reduced(array: Floats, shape: tuple[int, int], scale: tuple[float, float]) -> Floats:
    """Return an array resized as MATLAB's `imresize` does: bicubic, widened where it shrinks."""
    down, along = (
        _weights(old, new, own) for old, new, own in zip(array.shape, shape, scale, strict=True)
    )
    return (along @ (down @ array).T).T


def _total_difference(image: Floats, mask: NDArray[np.bool_], scale: float) -> float:
    """Return the sum of differences to the right and down, of the reduced image in the mask."""
    if scale < 1.0:
        rows, columns = (int(np.ceil(scale * length)) for length in image.shape)
        own = (rows / image.shape[0], columns / image.shape[1])
        image = reduced(image, (rows, columns), (scale, scale))
        mask = reduced(mask.astype(np.float64), (rows, columns), own) > _HALF
    total = np.zeros(image.shape)
    total[:, :-1] += np.abs(np.diff(image, axis=1))
    total[:-1] += np.abs(np.diff(image, axis=0))
    return float(total[mask].sum())


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels whose right, lower and lower right neighbours are in the mask too."""
    found = mask.copy()
    found[:-1] &= mask[1:]
    found[:, :-1] &= found[:, 1:].copy()
    return found


def _weights(old: int, new: int, scale: float) -> sparse.csr_array:
    """Return the matrix [new, old] of a resize along one axis; each row sums to 1."""
    centre = (np.arange(new) + 0.5) / scale - 0.5
    width = 4.0 / min(scale, 1.0)
    first = np.floor(centre - width / 2.0).astype(np.intp)
    place = first[:, None] + np.arange(int(np.ceil(width)) + 2)[None, :]
    distance = (centre[:, None] - place) * min(scale, 1.0)
    weight = _cubic(distance.astype(np.float64))
    weight /= weight.sum(axis=1, keepdims=True)
    # Beyond its ends the array is continued by reflection.
    folded = place % (2 * old)
    folded = np.where(folded < old, folded, 2 * old - 1 - folded)
    rows = np.broadcast_to(np.arange(new)[:, None], place.shape)
    kept = weight != 0.0
    return sparse.csr_array((weight[kept], (rows[kept], folded[kept])), shape=(new, old))


def _cubic(x: Floats) -> Floats:
    """Return Keys' cubic kernel with a = -1/2."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1.0
    far = -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0
    return np.where(x <= 1.0, near, np.where(x <= 2.0, far, 0.0))
