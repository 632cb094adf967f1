"""Films of the twin of mini-MIAS beside the real ones: texture, grey values and edges.

Run `python benchmarks/twins_beside_films.py FOLDER [OUT.md]`, FOLDER holding the real films as they
are distributed. Every number is of the breast without the pectoral muscle and a rim of 4 mm, from
the stored 8-bit pixels. Of each quantity the quartiles over the real films are printed, and the
median over the twin's, which should lie between them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pywt
from numpy.typing import NDArray
from scipy.stats import kurtosis

from mammoshift.configuration.dataset import Twin
from mammoshift.imaging.breast import full_mask, locate_breast, without_pectoral
from mammoshift.imaging.decode import decode_image
from mammoshift.phantoms.texture import spectral_exponent
from mammoshift.phantoms.twin import write_twin

PATIENTS = 40
PITCH_MM = 0.2
WINDOW = 128
RIM_PIXELS = 20
WAVELET, LEVELS = "db4", 4

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]


def main(films: Path, out: Path | None) -> None:
    """Print, and write where asked, the table of both collections."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(2) as pool:
        write_twin("mias", Twin(patients=PATIENTS, seed=21), Path(folder) / "twin", workers=2)
        real, twin = (
            _columns(pool.map(describe, sorted(root.glob("*.pgm")), chunksize=4))
            for root in (films, Path(folder) / "twin")
        )
    text = "\n".join(table(real, twin)) + "\n"
    print(text)
    if out is not None:
        out.write_text(text, encoding="utf-8")


def describe(path: Path) -> dict[str, float]:
    """Return the statistics of one film, empty where too little of it is breast."""
    image = decode_image(path)
    region = without_pectoral(image, locate_breast(image), "MLO")
    inside = cv2.erode(full_mask(region), np.ones((3, 3), np.uint8), iterations=RIM_PIXELS) > 0
    grey = image.pixels.astype(np.float32) / np.float32(255)
    if inside.sum() < 4 * WINDOW**2:
        return {}
    return {
        **_spectrum(grey, inside),
        **_wavelets(grey, inside),
        **_levels(grey, inside),
        **_gradients(grey, inside),
    }


def _spectrum(grey: FloatImage, inside: Mask) -> dict[str, float]:
    """Return the exponent of the power spectrum, the mean over windows inside the breast."""
    half = WINDOW // 2
    found = [
        spectral_exponent(tile, PITCH_MM, window=WINDOW)
        for top in range(0, grey.shape[0] - WINDOW + 1, half)
        for left in range(0, grey.shape[1] - WINDOW + 1, half)
        if inside[top : top + WINDOW, left : left + WINDOW].all()
        and (tile := grey[top : top + WINDOW, left : left + WINDOW]).std() > 0
    ]
    return {"spectral exponent": float(np.mean(found))} if found else {}


def _wavelets(grey: FloatImage, inside: Mask) -> dict[str, float]:
    """Return the kurtosis (0 for a Gaussian) of the detail coefficients of each level."""
    smooth = np.where(inside, grey, float(grey[inside].mean()))
    details = pywt.wavedec2(smooth, WAVELET, level=LEVELS)[1:]
    values: dict[str, float] = {}
    for level, parts in zip(range(LEVELS, 0, -1), details, strict=True):
        shape = parts[0].shape
        share = cv2.resize(inside.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
        deep = cv2.erode((share > 0.999).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        if level > 1 and deep.sum() > 200:
            values[f"wavelet kurtosis, level {level}"] = float(
                np.mean([kurtosis(part[deep]) for part in parts])
            )
    return values


def _levels(grey: FloatImage, inside: Mask) -> dict[str, float]:
    percents = (5, 25, 50, 75, 95)
    levels = np.percentile(grey[inside], percents)
    return {
        f"grey value, {percent}%": float(level)
        for percent, level in zip(percents, levels, strict=True)
    }


def _gradients(grey: FloatImage, inside: Mask) -> dict[str, float]:
    """Return mean and 95th percentile of the gradient in grey values (0 to 1) per mm."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    down, along = np.gradient(smooth, PITCH_MM)
    size = np.hypot(down, along)[inside]
    return {"gradient, mean": float(size.mean()), "gradient, 95%": float(np.percentile(size, 95))}


def _columns(rows: Iterator[dict[str, float]]) -> dict[str, NDArray[np.float64]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def table(
    real: dict[str, NDArray[np.float64]], twin: dict[str, NDArray[np.float64]]
) -> Iterator[str]:
    """Yield the lines of the table in Markdown."""
    yield "| quantity | real: lower quartile | median | upper quartile | twin: median | inside |"
    yield "|---|---|---|---|---|---|"
    for name, values in real.items():
        low, middle, high = np.percentile(values, (25, 50, 75))
        own = float(np.median(twin[name])) if name in twin else float("nan")
        inside = "yes" if low <= own <= high else "no"
        yield f"| {name} | {low:.3f} | {middle:.3f} | {high:.3f} | {own:.3f} | {inside} |"
    count = max((len(values) for values in twin.values()), default=0)
    yield ""
    yield f"{max(map(len, real.values()))} real films, {count} of the twin."


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
