"""Thin curved structures: ducts, vessels, Cooper's ligaments and folds of skin.

Every curve is a walk with a slowly turning direction. Ducts begin behind the nipple, branch and
fade; vessels cross the breast and taper; ligaments arch from the glandular tissue to the skin.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mammoshift.phantoms.outline import WINDOW_MM, Geometry
from mammoshift.phantoms.patient import Patient, Side
from mammoshift.phantoms.streams import stream

FloatImage = npt.NDArray[np.float32]

_SUBPIXEL_BITS = 4
_STEPS = 24
_SECTIONS = 5
_FIRST = 0.6
_SOFT_MM = 0.25
_FOLD_SHARE = 0.3


@dataclass(frozen=True)
class _Curve:
    """A curve from (row, column) in mm: direction, turning per mm, length, width and strength."""

    start: tuple[float, float]
    direction: float
    turning: float
    length_mm: float
    width_mm: float
    strength: float
    fading: float = 0.6

    def points(self, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Return points along the curve, shape (n, 2), rows and columns in mm."""
        step = self.length_mm / _STEPS
        turns = np.cumsum(rng.normal(0.0, self.turning * np.sqrt(step), _STEPS))
        angle = self.direction + turns
        moves = np.column_stack([np.sin(angle), np.cos(angle)]) * step
        return np.vstack([[self.start], self.start + np.cumsum(moves, axis=0)])


def draw_strands(patient: Patient, side: Side, geometry: Geometry, halvings: int) -> FloatImage:
    """Return ducts, vessels and ligaments in [0, 1] on the window's grid."""
    rng = stream(patient.seed, "patient", patient.number, "strands", side, geometry.view)
    canvas = _canvas(halvings)
    for curve in (*_ducts(geometry, rng), *_vessels(geometry, rng), *_ligaments(geometry, rng)):
        _draw(canvas, curve, rng, halvings)
    return _soft(canvas, halvings)


def draw_folds(patient: Patient, side: Side, geometry: Geometry, halvings: int) -> FloatImage:
    """Return folds of skin in [0, 1] on the window's grid; most breasts have none."""
    rng = stream(patient.seed, "patient", patient.number, "folds", side, geometry.view)
    canvas = _canvas(halvings)
    if rng.random() < _FOLD_SHARE:
        low = geometry.nipple_mm + 0.9 * geometry.half_height_mm
        for _ in range(int(rng.integers(1, 3))):
            start = (low - rng.uniform(0, 12), 0.0)
            curve = _Curve(start, rng.uniform(-0.5, 0.1), 0.03, rng.uniform(12, 40), 1.6, 255, 0.9)
            _draw(canvas, curve, rng, halvings)
        if geometry.view == "MLO":
            start = (rng.uniform(8, 40), geometry.axilla_mm)
            inward = np.pi + rng.uniform(-0.7, 0.1)
            curve = _Curve(start, inward, 0.02, rng.uniform(10, 30), 1.4, 220, 0.9)
            _draw(canvas, curve, rng, halvings)
    return _soft(canvas, halvings)


def _ducts(geometry: Geometry, rng: np.random.Generator) -> list[_Curve]:
    nipple = (geometry.nipple_mm, 0.95 * geometry.depth_mm)
    curves: list[_Curve] = []
    for _ in range(int(rng.integers(8, 15))):
        away = np.pi + rng.normal(0.0, 0.5)
        length = rng.uniform(0.2, 0.5) * geometry.depth_mm
        width, strength = rng.uniform(0.4, 0.9), rng.uniform(40, 120)
        curves.append(_Curve(nipple, away, 0.05, length, width, strength))
        fork = rng.uniform(0.3, 0.7) * length
        at = (nipple[0] + fork * np.sin(away), nipple[1] + fork * np.cos(away))
        turned = away + rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 0.7)
        curves.append(_Curve(at, turned, 0.06, 0.6 * length, 0.7 * width, 0.7 * strength))
    return curves


def _vessels(geometry: Geometry, rng: np.random.Generator) -> list[_Curve]:
    curves: list[_Curve] = []
    for _ in range(int(rng.integers(3, 7))):
        row = geometry.nipple_mm + rng.uniform(-0.8, 0.8) * geometry.half_height_mm
        column = rng.uniform(0.0, 0.5) * geometry.depth_mm
        towards = np.arctan2(geometry.nipple_mm - row, geometry.depth_mm - column)
        direction = 0.6 * towards + rng.normal(0.0, 0.4)
        length = rng.uniform(0.4, 0.8) * geometry.depth_mm
        width, strength = rng.uniform(0.7, 1.6), rng.uniform(50, 110)
        curves.append(_Curve((row, column), direction, 0.11, length, width, strength, 0.4))
        bent = direction + rng.choice([-0.6, 0.6])
        curves.append(_Curve((row, column), bent, 0.12, 0.6 * length, 0.6 * width, 0.7 * strength))
    return curves


def _ligaments(geometry: Geometry, rng: np.random.Generator) -> list[_Curve]:
    curves: list[_Curve] = []
    for _ in range(int(rng.integers(30, 50))):
        angle = rng.uniform(-1.45, 1.45)
        inside = rng.uniform(0.55, 0.9)
        row = geometry.nipple_mm + inside * geometry.half_height_mm * np.sin(angle)
        column = inside * geometry.depth_mm * np.cos(angle)
        outward = angle + rng.normal(0.0, 0.8)
        length, width = rng.uniform(5, 18), rng.uniform(0.25, 0.5)
        strength = rng.uniform(40, 110)
        curves.append(_Curve((row, column), outward, 0.2, length, width, strength, 0.3))
    return curves


def _canvas(halvings: int) -> npt.NDArray[np.uint8]:
    return np.zeros((WINDOW_MM[0] << halvings, WINDOW_MM[1] << halvings), np.uint8)


def _draw(
    canvas: npt.NDArray[np.uint8], curve: _Curve, rng: np.random.Generator, halvings: int
) -> None:
    """Draw one curve in place, in sections that grow thinner and fainter."""
    scale = 1 << halvings
    points = np.rint(curve.points(rng) * scale * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    sections = np.array_split(np.arange(len(points)), _SECTIONS)
    for place, own in enumerate(sections):
        faded = (1.0 - curve.fading * place / _SECTIONS) * (1.0 if place else _FIRST)
        width = max(1, round(curve.width_mm * faded * scale))
        # A line is at least one pixel wide; on a coarse grid it is fainter instead.
        thin = min(1.0, curve.width_mm * faded * scale)
        end = min(int(own[-1]) + 2, len(points))
        line = np.ascontiguousarray(points[own[0] : end, ::-1])
        colour = (float(curve.strength * faded * thin),)
        cv2.polylines(canvas, [line], False, colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def _soft(canvas: npt.NDArray[np.uint8], halvings: int) -> FloatImage:
    sigma = max(0.5, _SOFT_MM * (1 << halvings))
    blurred = cv2.GaussianBlur(canvas, (0, 0), sigma)
    return np.asarray(blurred.astype(np.float32) / np.float32(255), np.float32)
