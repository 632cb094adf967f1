"""Drawn images with the grey values of a processed digital mammogram in 16 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def presented(seed: int, shape: tuple[int, int] = (1152, 896)) -> NDArray[np.uint16]:
    """Return a breast at the left edge: an even interior with texture, a thin dark rim, specks."""
    rng = np.random.default_rng(seed)
    rows, columns = shape
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    depth = 1.0 - (x / (0.55 * columns)) ** 2 - ((y - rows / 2) / (0.42 * rows)) ** 2
    texture = sum(
        ndimage.gaussian_filter(rng.normal(size=shape), scale) * scale * height
        for scale, height in ((1.0, 3000.0), (6.0, 4500.0), (25.0, 5500.0))
    )
    rim = 1.0 - np.exp(-np.clip(depth, 0.0, None) / 0.012)
    breast = rim * (42500.0 + texture) + rng.normal(0.0, 250.0, shape)
    specks = np.zeros(shape)
    places = rng.integers((rows // 4, columns // 18), (2 * rows // 3, columns // 3), (12, 2))
    specks[tuple(places.T)] = 1.1e5
    image = np.where(depth > 0.0, breast, 0.0) + ndimage.gaussian_filter(specks, 1.2)
    return image.clip(0, 65535).astype(np.uint16)
