"""What a breast consists of along each ray: glandular tissue, fibrous strands, and muscle.

Glandular tissue is a soft threshold of a power-law field inside an irregular disc behind the
nipple. Fibres are ridges of a smoother field that is drawn out along the lines that meet in the
nipple, so that tissue looks combed towards it, as it does in mammograms.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import scipy.special

from mammoshift.phantoms.outline import WINDOW_MM, Geometry, smooth_step
from mammoshift.phantoms.patient import Density, Patient, Side
from mammoshift.phantoms.strands import draw_strands
from mammoshift.phantoms.texture import power_law_fields

FloatImage = npt.NDArray[np.float32]

GLANDULAR_SHARE: dict[Density, float] = {"a": 0.05, "b": 0.11, "c": 0.20, "d": 0.32}
_DISC_SIZE: dict[Density, float] = {"a": 0.80, "b": 0.88, "c": 0.96, "d": 1.04}

_BETA_OF_GLAND = -0.25
_BETA_OF_FIBRES = 3.8
_TEXTURE_ELONGATION = 1.3
_SLOPE = 1.0
_FIBRES_IN_FIELD = 1.2
_FIBRES_IN_FAT = 0.12
_RIDGE_WIDTH = 0.065
_RIDGE_LEVELS = ((0.0, 1.0), (-0.7, 0.8), (0.7, 0.8), (1.5, 0.7), (-1.5, 0.7))
_LARGEST_SHARE = 0.75
_STRAND_SHARE = 0.25
_MUSCLE_EDGE, _MUSCLE_DEEP, _MUSCLE_DEPTH_MM = 0.36, 0.24, 20.0


@dataclass(frozen=True)
class Grid:
    """The part `box` of the window's grid of 1 mm halved `halvings` times."""

    box: tuple[slice, slice]
    halvings: int

    @property
    def rows_mm(self) -> FloatImage:
        """Row of each point in mm, shape (n, 1)."""
        own = self.box[0]
        return (np.arange(own.start, own.stop, dtype=np.float32) * 0.5**self.halvings)[:, None]

    @property
    def columns_mm(self) -> FloatImage:
        """Column of each point in mm, shape (1, n)."""
        own = self.box[1]
        return (np.arange(own.start, own.stop, dtype=np.float32) * 0.5**self.halvings)[None, :]


def glandular_share(
    patient: Patient,
    side: Side,
    geometry: Geometry,
    inside: FloatImage,
    interior: FloatImage,
    grid: Grid,
) -> tuple[FloatImage, FloatImage]:
    """Return the glandular share along each ray, and the pectoral muscle's, both in [0, 1].

    The threshold of glandular tissue is set so that the mean share over the breast's volume is
    that of the density class (`GLANDULAR_SHARE`) times the patient's own factor. Muscle counts as
    tissue of a share that grows with its thickness, away from its edge and upwards.
    """
    y, x = grid.rows_mm, grid.columns_mm
    key = ("patient", patient.number, "texture", side, geometry.view)
    beta = patient.beta + _BETA_OF_GLAND + (0.06 if geometry.view == "MLO" else -0.06)
    fields = power_law_fields(
        patient.seed, key, beta, WINDOW_MM, grid.halvings, _TEXTURE_ELONGATION
    )
    field, second = (whole[grid.box] for whole in fields)
    fibres = _fibres(patient, side, geometry, grid)
    muscle, muscle_share = _muscle(geometry, y, x, field, second)
    disc_size = _DISC_SIZE[patient.density]
    disc = np.hypot(
        (x - 0.55 * geometry.depth_mm) / (0.50 * disc_size * geometry.depth_mm),
        (y - geometry.nipple_mm) / (0.72 * disc_size * geometry.half_height_mm),
    )
    envelope = scipy.special.expit((1 - disc - 0.2 * second) / 0.15)
    envelope *= smooth_step(inside / 14) * smooth_step((x + 6) / 22) * (1 - muscle)
    target = min(GLANDULAR_SHARE[patient.density] * patient.glandularity, 0.45)
    field = (field + np.float32(_FIBRES_IN_FIELD) * fibres).astype(np.float32)
    threshold = _threshold(field, envelope, interior * (1 - muscle), target, 2 << grid.halvings)
    gland = _LARGEST_SHARE * envelope * scipy.special.expit(_SLOPE * (field - threshold))
    strands = draw_strands(patient, side, geometry, grid.halvings)[grid.box]
    thin = _STRAND_SHARE * strands + _FIBRES_IN_FAT * np.maximum(fibres, 0)
    gland += smooth_step(inside / 5) * thin * (1 - gland)
    gland = gland * (1 - muscle) + muscle_share * muscle
    return np.clip(gland, 0, 1).astype(np.float32), muscle


def _muscle(
    geometry: Geometry, y: FloatImage, x: FloatImage, field: FloatImage, second: FloatImage
) -> tuple[FloatImage, FloatImage]:
    """Return how much of each ray is muscle's, and the glandular share that it counts as."""
    if geometry.view != "MLO":
        nothing = np.zeros_like(field)
        return nothing, nothing
    edge = geometry.pectoral_edge(y).astype(np.float32)
    muscle = scipy.special.expit((edge - x + 0.9 * second) / 1.4)
    deep = 1 - np.exp(-np.maximum(edge - x, 0) / _MUSCLE_DEPTH_MM)
    upwards = 1 - 0.45 * smooth_step(y / max(geometry.pectoral_mm[1], 1.0))
    share = _MUSCLE_EDGE + _MUSCLE_DEEP * deep * upwards + 0.03 * field
    return muscle.astype(np.float32), share.astype(np.float32)


def _fibres(patient: Patient, side: Side, geometry: Geometry, grid: Grid) -> FloatImage:
    """Return ridges about -0.5 to 1 that run towards the nipple, smooth below half the grid."""
    coarse = max(0, grid.halvings - 1)
    key = ("patient", patient.number, "fibres", side, geometry.view)
    fine, wide = power_law_fields(patient.seed, key, _BETA_OF_FIBRES, WINDOW_MM, coarse)
    pitch = 0.5**coarse
    rows, columns = fine.shape
    y = (np.arange(rows, dtype=np.float32) * pitch - geometry.nipple_mm)[:, None]
    x = (np.float32(1.15 * geometry.depth_mm) - np.arange(columns, dtype=np.float32) * pitch)[None]
    radius = np.sqrt(x * x + y * y)
    turn = np.arctan2(y, np.maximum(x, 1.0))
    down = (turn * 70.0 + 5.0 * wide) / pitch % rows
    along = (0.45 * radius + 4.0 * wide) / pitch % columns
    drawn = cv2.remap(
        fine,
        along.astype(np.float32),
        down.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    ridges = np.zeros_like(fine)
    for level, strength in _RIDGE_LEVELS:
        near = (np.asarray(drawn) - np.float32(level)) / np.float32(_RIDGE_WIDTH)
        np.maximum(ridges, np.float32(strength) * np.exp(-0.5 * near * near), out=ridges)
    # Fibres come in bundles: elsewhere there are hardly any.
    ridges *= scipy.special.expit(np.float32(2.0) * wide - np.float32(0.5))
    ridges -= np.float32(0.1)
    size = (WINDOW_MM[1] << grid.halvings, WINDOW_MM[0] << grid.halvings)
    if coarse != grid.halvings:
        ridges = cv2.resize(ridges, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(ridges, np.float32)[grid.box]


def _threshold(
    field: FloatImage, envelope: FloatImage, interior: FloatImage, target: float, step: int
) -> np.float32:
    """Return the threshold for which the volume-weighted mean share is `target`, by bisection."""
    field, envelope, interior = (a[::step, ::step] for a in (field, envelope, interior))
    weight = envelope * interior
    wanted = target * float(interior.sum()) / _LARGEST_SHARE
    low, high = -12.0, 12.0
    for _ in range(16):
        middle = (low + high) / 2
        share = scipy.special.expit(_SLOPE * (field - np.float32(middle)))
        if float((share * weight).sum()) > wanted:
            low = middle
        else:
            high = middle
    return np.float32((low + high) / 2)
