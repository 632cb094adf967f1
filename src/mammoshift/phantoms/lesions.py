"""Masses and microcalcification clusters as maps of path length.

A malignant mass is larger, denser, irregular and spiculated; a benign one smooth and round. A
malignant cluster is linear or branching, with more and coarser, uneven calcifications in an
ill-defined density; a benign one round with few, even ones. The distributions overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammoshift.phantoms.patient import Lesion, View
from mammoshift.phantoms.streams import stream

FloatImage = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LesionMap:
    """Path lengths of one lesion on the part of the grid that it covers.

    `mass_mm` is the length of mass tissue and `calcification_mm` that of calcification along each
    ray, on the grid whose corner is (`top`, `left`). `density_ratio` is the attenuation of this
    mass relative to that of carcinoma.
    """

    top: int
    left: int
    mass_mm: FloatImage
    calcification_mm: FloatImage
    density_ratio: float

    @property
    def part(self) -> tuple[slice, slice]:
        """The rows and columns of the grid that the maps cover."""
        rows, columns = self.mass_mm.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + columns)


def map_lesion(
    seed: int,
    patient_number: int,
    lesion: Lesion,
    view: View,
    centre_mm: tuple[float, float],
    shape: tuple[int, int],
    pitch_mm: float,
) -> LesionMap:
    """Return the path lengths of `lesion` in one view.

    Parameters
    ----------
    centre_mm
        Row and column of the centre, in mm from the corner of the grid.
    shape, pitch_mm
        The grid; point (i, j) lies at (i, j) times the pitch.

    Notes
    -----
    Size, density and number of parts belong to the lesion and are equal in all views; the
    outline seen, and where the parts project to, are the view's.
    """
    reach = 2.6 * lesion.radius_mm + 2.0
    low = [max(0, int((centre - reach) / pitch_mm)) for centre in centre_mm]
    high = [
        min(size, int((centre + reach) / pitch_mm) + 2)
        for centre, size in zip(centre_mm, shape, strict=True)
    ]
    y = (np.arange(low[0], high[0]) * pitch_mm - centre_mm[0]).astype(np.float32)
    x = (np.arange(low[1], high[1]) * pitch_mm - centre_mm[1]).astype(np.float32)
    whole = stream(seed, "patient", patient_number, "lesion", lesion.number, "shape")
    seen = stream(seed, "patient", patient_number, "lesion", lesion.number, "shape", view)
    nothing = np.zeros((y.size, x.size), np.float32)
    if lesion.kind == "mass":
        mass, ratio = _mass(lesion, y, x, whole, seen)
        return LesionMap(low[0], low[1], mass, nothing, ratio)
    calcifications = _cluster(lesion, y, x, pitch_mm, whole, seen)
    density = _haze(lesion, y, x) if lesion.pathology == "malignant" else nothing
    return LesionMap(low[0], low[1], density, calcifications, 1.0)


def _mass(
    lesion: Lesion,
    y: FloatImage,
    x: FloatImage,
    whole: np.random.Generator,
    seen: np.random.Generator,
) -> tuple[FloatImage, float]:
    """Return path lengths in mm and the density ratio of a Gaussian random shape with spicules."""
    malignant = lesion.pathology == "malignant"
    ratio = float((1.08 if malignant else 1.0) + 0.03 * whole.standard_normal())
    spicules = int(whole.integers(9, 17)) if malignant and whole.random() < 0.8 else 0
    roughness = 0.11 if malignant else 0.05
    orders = np.arange(2, 10 if malignant else 4)
    waves = seen.standard_normal((2, orders.size)) * roughness / (orders - 1.0) ** 0.45

    distance = np.hypot(y[:, None], x[None, :])
    angle = np.arctan2(y[:, None], x[None, :])
    turns = np.linspace(-np.pi, np.pi, 361)
    outline = lesion.radius_mm * np.exp(
        waves[0] @ np.cos(orders[:, None] * turns) + waves[1] @ np.sin(orders[:, None] * turns)
    )
    radius = np.interp(angle, turns, outline).astype(np.float32)
    path = 2 * lesion.radius_mm * np.sqrt(np.maximum(1 - (distance / radius) ** 2, 0))

    spread = np.zeros_like(path)
    for turn in np.arange(spicules) * (2 * np.pi / max(spicules, 1)):
        direction = turn + 0.25 * seen.standard_normal()
        length = lesion.radius_mm * seen.uniform(1.5, 2.5)
        width = seen.uniform(0.5, 1.2)
        along = x[None, :] * np.cos(direction) + y[:, None] * np.sin(direction)
        across = x[None, :] * np.sin(direction) - y[:, None] * np.cos(direction)
        taper = np.clip(1 - along / length, 0, 1) * (along > 0)
        spread = np.maximum(spread, 4 * width * taper * np.exp(-0.5 * (across / width) ** 2))
    return np.maximum(path, spread).astype(np.float32), ratio


def _cluster(
    lesion: Lesion,
    y: FloatImage,
    x: FloatImage,
    pitch_mm: float,
    whole: np.random.Generator,
    seen: np.random.Generator,
) -> FloatImage:
    """Return path lengths in mm of 3 to 20 calcifications of 0.1 to 0.8 mm."""
    malignant = lesion.pathology == "malignant"
    count = int(whole.integers(11, 21)) if malignant else int(whole.integers(3, 12))
    scale, spread = (0.66, 0.25) if malignant else (0.32, 0.20)
    diameters = np.clip(scale * np.exp(spread * whole.standard_normal(count)), 0.1, 0.8)
    if malignant:
        places = _branching_places(lesion.radius_mm, count, seen)
    else:
        turns = seen.uniform(0, 2 * np.pi, count)
        radii = lesion.radius_mm * np.sqrt(seen.uniform(0, 1, count))
        places = np.column_stack([radii * np.sin(turns), radii * np.cos(turns)])
    path = np.zeros((y.size, x.size), np.float32)
    for (row_mm, column_mm), diameter in zip(places, diameters, strict=True):
        rods = int(seen.integers(2, 5)) if malignant else 1
        turn = seen.uniform(0, 2 * np.pi)
        for step in range(rods):
            offset = 0.8 * diameter * (step - (rods - 1) / 2)
            centre = (row_mm + offset * np.sin(turn), column_mm + offset * np.cos(turn))
            _add_grain(path, y, x, centre, diameter, pitch_mm)
    return path


def _haze(lesion: Lesion, y: FloatImage, x: FloatImage) -> FloatImage:
    """Return the path lengths in mm of the ill-defined density around a malignant cluster."""
    squared = np.add.outer(y**2, x**2) / np.float32(lesion.radius_mm**2)
    return (np.float32(1.8 * lesion.radius_mm) * np.exp(-squared)).astype(np.float32)


def _branching_places(
    radius_mm: float, count: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return places (row, column) in mm along a duct with two branches."""
    trunk = rng.uniform(0, 2 * np.pi)
    turns = trunk + np.array([0.0, np.pi - 0.5, np.pi + 0.5]) + 0.15 * rng.standard_normal(3)
    branch = rng.integers(0, 3, count)
    along = radius_mm * rng.uniform(0.05, 1.0, count)
    across = 0.08 * radius_mm * rng.standard_normal((2, count))
    rows = along * np.sin(turns[branch]) + across[0]
    columns = along * np.cos(turns[branch]) + across[1]
    return np.column_stack([rows, columns])


def _add_grain(
    path: FloatImage,
    y: FloatImage,
    x: FloatImage,
    centre_mm: tuple[float, float],
    diameter_mm: float,
    pitch_mm: float,
) -> None:
    """Add one round calcification in place, keeping its volume on grids coarser than itself.

    A Gaussian of standard deviation d / sqrt(12) has the volume and the peak path of a sphere of
    diameter d; the grid's own pitch widens it.
    """
    variance = (diameter_mm**2 + pitch_mm**2) / 12
    reach = 4 * np.sqrt(variance)
    rows = slice(*np.searchsorted(y, (centre_mm[0] - reach, centre_mm[0] + reach)))
    columns = slice(*np.searchsorted(x, (centre_mm[1] - reach, centre_mm[1] + reach)))
    profile_y = np.exp(-0.5 * (y[rows] - centre_mm[0]) ** 2 / variance)
    profile_x = np.exp(-0.5 * (x[columns] - centre_mm[1]) ** 2 / variance)
    volume = np.pi / 6 * diameter_mm**3
    total = profile_y.sum() * profile_x.sum() * pitch_mm**2
    if total > 0:
        path[rows, columns] += (volume / total) * np.outer(profile_y, profile_x)
