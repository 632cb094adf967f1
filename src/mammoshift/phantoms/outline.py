"""The outline of a compressed breast in CC and MLO, the pectoral muscle's edge, and projections.

All lengths are in mm on a window of `WINDOW_MM` whose first column is the chest wall and whose
rows run from the lateral (CC) or the cranial (MLO) side; a right breast is the mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mammoshift.phantoms.patient import Lesion, Patient, Side, View
from mammoshift.phantoms.streams import stream

FloatImage = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.floating]

WINDOW_MM = (240, 160)

_OUTLINE_PITCH_MM = 1.0


@dataclass(frozen=True)
class Geometry:
    """Outline of one breast in one view.

    `nipple_mm` is the row of the nipple, `exponent` that of the superellipse, `pectoral_mm` the
    legs of the pectoral muscle along the top and the chest wall (zero in CC), `pectoral_power` and
    `pectoral_bulge_mm` the curve of its edge between them.
    """

    view: View
    depth_mm: float
    half_height_mm: float
    nipple_mm: float
    exponent: float
    axilla_mm: float
    pectoral_mm: tuple[float, float]
    pectoral_power: float = 1.15
    pectoral_bulge_mm: float = 0.0

    def pectoral_edge(self, row_mm: FloatArray) -> FloatArray:
        """Return the column of the muscle's edge at some rows, in mm; below 0 without muscle."""
        across, along = self.pectoral_mm
        if not along:
            return np.full(np.shape(row_mm), -20.0)
        share = np.maximum(row_mm, 0.0) / along
        straight = across * np.maximum(1.0 - share**self.pectoral_power, -0.2)
        return straight + self.pectoral_bulge_mm * np.sin(np.pi * np.clip(share, 0.0, 1.0))


@dataclass(frozen=True)
class LesionSite:
    """Where a lesion projects to: row and column in mm from the window's corner, and its radius."""

    lesion: Lesion
    row_mm: float
    column_mm: float
    radius_mm: float


def geometry_of(patient: Patient, side: Side, view: View) -> Geometry:
    """Return the outline of one breast; positioning varies a little from view to view."""
    rng = stream(patient.seed, "patient", patient.number, "positioning", side, view)
    jitter = rng.standard_normal(8)
    depth = patient.depth_mm * (1 + 0.03 * jitter[0])
    half_height = patient.half_height_mm * (1 + 0.03 * jitter[1])
    exponent = float(np.clip(2.2 + 0.12 * jitter[2], 1.9, 2.6))
    if view == "CC":
        nipple = WINDOW_MM[0] / 2 + 4 * jitter[3]
        return Geometry(view, depth, half_height, nipple, exponent, 0.0, (0.0, 0.0))
    return Geometry(
        view=view,
        depth_mm=depth,
        half_height_mm=0.92 * half_height,
        nipple_mm=WINDOW_MM[0] * 0.57 + 4 * jitter[3],
        exponent=exponent,
        axilla_mm=0.72 * depth,
        pectoral_mm=(
            float(np.clip(0.62 * depth + 6 * jitter[4], 28, 75)),
            float(np.clip(135 + 15 * jitter[5], 95, 170)),
        ),
        pectoral_power=float(np.clip(1.2 + 0.12 * jitter[6], 1.0, 1.5)),
        pectoral_bulge_mm=float(np.clip(0.5 + 1.2 * jitter[7], -1.5, 3.0)),
    )


def project_lesion(lesion: Lesion, geometry: Geometry) -> LesionSite:
    """Return where `lesion` lies in a view.

    The distance from the chest wall is the same in both views; the other coordinate is the
    lateral offset in CC and, for the 45 degrees of MLO, the sum of lateral and cranial offset
    over the square root of two.
    """
    offset = (
        lesion.lateral
        if geometry.view == "CC"
        else (lesion.lateral + lesion.cranial) / float(np.sqrt(2))
    )
    half_width = geometry.half_height_mm * (1 - lesion.depth**geometry.exponent) ** (
        1 / geometry.exponent
    )
    row = geometry.nipple_mm - 0.85 * offset * half_width
    return LesionSite(lesion, row, lesion.depth * geometry.depth_mm, lesion.radius_mm)


def signed_distance(geometry: Geometry) -> FloatImage:
    """Return the distance to the skin line in mm, positive inside, on a grid of 1 mm."""
    y = np.arange(WINDOW_MM[0]) * _OUTLINE_PITCH_MM
    x = np.arange(WINDOW_MM[1]) * _OUTLINE_PITCH_MM
    offset = np.abs(y - geometry.nipple_mm) / geometry.half_height_mm
    nipple = 5.0 * np.exp(-0.5 * ((y - geometry.nipple_mm) / 4.5) ** 2)
    depth = (geometry.depth_mm + nipple)[:, None]
    radius = np.power(
        np.power(offset, geometry.exponent)[:, None]
        + np.power(x[None, :] / depth, geometry.exponent),
        1 / geometry.exponent,
    )
    level = (1 - radius) * min(geometry.depth_mm, geometry.half_height_mm)
    if geometry.view == "MLO":
        slope = 0.45 * geometry.axilla_mm / geometry.nipple_mm
        edge = np.where(y < geometry.nipple_mm, geometry.axilla_mm - slope * y, -np.inf)
        below = (geometry.nipple_mm - y)[:, None]
        tail = np.minimum(edge[:, None] - x[None, :], below)
        # A smooth union leaves the concave curve between breast and armpit.
        level = 8.0 * np.logaddexp(level / 8.0, np.maximum(tail, -400) / 8.0) - 3.0
    mask = (np.concatenate([level[:, :0:-1], level], axis=1) > 0).astype(np.uint8)
    if geometry.view == "MLO":
        mask = np.concatenate([np.repeat(mask[:1], 40, axis=0), mask])
    distance = _distance_to_zero(mask) - _distance_to_zero(1 - mask)
    smooth = np.asarray(cv2.GaussianBlur(distance, (0, 0), 1.5), np.float32)
    return np.ascontiguousarray(smooth[-WINDOW_MM[0] :, -WINDOW_MM[1] :])


def _distance_to_zero(mask: npt.NDArray[np.uint8]) -> FloatImage:
    """Return the Euclidean distance of each pixel to the nearest zero, in pixels."""
    return cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float32)


def part_of_breast(geometry: Geometry, halvings: int) -> tuple[slice, slice]:
    """Return the rows and columns of the grid that the breast can reach."""
    margin = 10
    top = geometry.nipple_mm - geometry.half_height_mm - margin
    bottom = geometry.nipple_mm + geometry.half_height_mm + margin
    first = 0 if geometry.view == "MLO" else max(0, int(top))
    last = min(WINDOW_MM[0], int(bottom))
    width = min(WINDOW_MM[1], int(geometry.depth_mm + margin))
    return slice(first << halvings, last << halvings), slice(0, width << halvings)


def resample(coarse: FloatImage, halvings: int) -> FloatImage:
    """Return bilinear values of a grid of 1 mm at the points of a finer one."""
    if not halvings:
        return coarse
    for axis in (0, 1):
        size = coarse.shape[axis]
        points = np.minimum(np.arange(size << halvings) * 0.5**halvings, size - 1.0)
        lower = np.minimum(points.astype(np.intp), size - 2)
        weight = (points - lower).astype(np.float32)
        weight = weight[:, None] if axis == 0 else weight[None, :]
        coarse = coarse.take(lower, axis) * (1 - weight) + coarse.take(lower + 1, axis) * weight
    return coarse


def chord(inside: FloatImage, half_thickness_mm: float) -> FloatImage:
    """Return the path length through a slab whose free edge is rounded by half its thickness."""
    height = np.clip(inside, 0, half_thickness_mm)
    return 2 * np.sqrt(height * (2 * half_thickness_mm - height))


def smooth_step(value: npt.NDArray[np.floating]) -> FloatImage:
    """Return the cubic step from 0 at 0 to 1 at 1."""
    t = np.clip(value, 0, 1).astype(np.float32)
    return t * t * (3 - 2 * t)
