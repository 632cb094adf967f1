"""The features of one 1152 x 896 image against one Gaussian filter of it.

Run `python benchmarks/radiomics.py`. Every time is processor time of one thread, the median over
repetitions that alternate with those of the floor; the ratio carries over to other machines.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammoshift.radiomics.breast import breast_region
from mammoshift.radiomics.sets import openbreast32, openbreast33

SHAPE = (1152, 896)
REPETITIONS = 7
LIMIT_S = 1.0


def main() -> None:
    """Print the floor, and the time and ratio of each set of features."""
    cv2.setNumThreads(1)
    array = mammogram()
    pixels = array.astype(np.float64)
    functions: dict[str, Callable[[], object]] = {
        "floor": lambda: ndimage.gaussian_filter(pixels, 4.0),
        "openbreast32": lambda: openbreast32.compute(found_in(array)),
        "openbreast33": lambda: openbreast33.compute(found_in(array)),
    }
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for repetition in range(REPETITIONS + 1):
        for name, function in functions.items():
            start = time.process_time()
            function()
            if repetition:
                taken[name].append(time.process_time() - start)
    seconds = {name: statistics.median(values) for name, values in taken.items()}
    floor = seconds.pop("floor")
    print(f"floor: one Gaussian filter of {SHAPE[0]} x {SHAPE[1]} pixels: {floor:.3f} s")
    for name, own in seconds.items():
        print(f"{name}: {own:.3f} s with its mask, {own / floor:.1f} x floor (limit {LIMIT_S:g} s)")


def found_in(array: NDArray[np.uint16]) -> openbreast32.Region:
    """Return the breast, which must be there."""
    region = breast_region(array, 0.1)
    assert region is not None
    return region


def mammogram() -> NDArray[np.uint16]:
    """Return a textured half-ellipse that fills half of the image."""
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]].astype(np.float64)
    inside = (x / 650.0) ** 2 + ((y - SHAPE[0] / 2) / 520.0) ** 2 < 1.0
    noise = np.random.default_rng(0).normal(size=SHAPE)
    tissue = 40000.0 + 40000.0 * ndimage.gaussian_filter(noise, 3.0) + 500.0 * noise
    return np.where(inside, tissue, 800.0).clip(0, 65535).astype(np.uint16)


if __name__ == "__main__":
    main()
