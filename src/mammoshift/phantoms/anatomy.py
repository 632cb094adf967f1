"""The compressed breast as a map of X-ray attenuation, in CC and MLO.

All lengths are in mm on a window of `WINDOW_MM` whose first column is the chest wall and whose
rows run from the lateral (CC) or the cranial (MLO) side; a right breast is the mirror image.

Attenuation coefficients are those of Johns and Yaffe (Phys. Med. Biol. 32:675, 1987) for fat,
fibroglandular tissue and infiltrating duct carcinoma at 20 keV.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import scipy.special

from mammoshift.phantoms.lesions import LesionMap, map_lesion
from mammoshift.phantoms.patient import Density, Lesion, Patient, Side, View
from mammoshift.phantoms.streams import stream
from mammoshift.phantoms.texture import power_law_fields

FloatImage = npt.NDArray[np.float32]

WINDOW_MM = (240, 160)

FAT_PER_MM = 0.0456
GLAND_PER_MM = 0.0802
CARCINOMA_PER_MM = 0.0844
CALCIFICATION_PER_MM = 2.07

SKIN_MM = 1.5
GLANDULAR_SHARE: dict[Density, float] = {"a": 0.05, "b": 0.11, "c": 0.20, "d": 0.32}
_DISC_SIZE: dict[Density, float] = {"a": 0.80, "b": 0.88, "c": 0.96, "d": 1.04}

_OUTLINE_PITCH_MM = 1.0
_TEXTURE_ELONGATION = 1.3
_SLOPE = 1.2
_LARGEST_SHARE = 0.65
_STRAND_SHARE = 0.13
_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Geometry:
    """Outline of one breast in one view.

    `nipple_mm` is the row of the nipple, `exponent` that of the superellipse, `pectoral_mm` the
    legs of the pectoral triangle along the top and the chest wall (zero in CC).
    """

    view: View
    depth_mm: float
    half_height_mm: float
    nipple_mm: float
    exponent: float
    axilla_mm: float
    pectoral_mm: tuple[float, float]


@dataclass(frozen=True)
class LesionSite:
    """Where a lesion projects to: row and column in mm from the window's corner, and its radius."""

    lesion: Lesion
    row_mm: float
    column_mm: float
    radius_mm: float


@dataclass(frozen=True)
class Projection:
    """What the beam meets.

    `optical_depth` is the line integral of the attenuation coefficient (dimensionless, float32)
    at points (i, j) times `pitch_mm`; `reference` its mean over the inner breast without lesions,
    which automatic exposure control sets the exposure by.
    """

    optical_depth: FloatImage
    pitch_mm: float
    reference: float
    sites: tuple[LesionSite, ...]


@dataclass(frozen=True, eq=False)
class Breast:
    """One compressed breast in one view, before any beam.

    All maps are float32 on the part `box` of the window's grid of `pitch_mm`: `inside` the
    distance to the skin line in mm, `chord` and `interior` the path lengths in mm with and without
    skin, `gland` the glandular share along each ray and `muscle` the pectoral muscle's. `lesions`
    are where they project to, each with its map on the part.
    """

    window: tuple[int, int]
    box: tuple[slice, slice]
    pitch_mm: float
    inside: FloatImage
    chord: FloatImage
    interior: FloatImage
    gland: FloatImage
    muscle: FloatImage
    lesions: tuple[tuple[LesionSite, LesionMap], ...]

    def whole(self, part: FloatImage) -> FloatImage:
        """Return a map of the part as one of the window, zero elsewhere."""
        whole = np.zeros(self.window, np.float32)
        whole[self.box] = part
        return whole


def compose_breast(patient: Patient, side: Side, view: View, halvings: int) -> Breast:
    """Return the anatomy of one breast in one view on a grid of 1 mm halved `halvings` times."""
    pitch = 0.5**halvings
    geometry = geometry_of(patient, side, view)
    whole = _resample(_signed_distance(geometry), halvings)
    rows, columns = box = _box(geometry, halvings)
    inside = whole[box]
    chord = _chord(inside, patient.thickness_mm / 2)
    interior = _chord(inside - SKIN_MM, patient.thickness_mm / 2 - SKIN_MM)
    gland, muscle = _glandular_share(patient, side, geometry, inside, interior, box, halvings)
    lesions: list[tuple[LesionSite, LesionMap]] = []
    for lesion in patient.lesions_of(side):
        site = project_lesion(lesion, geometry)
        corner = (site.row_mm - rows.start * pitch, site.column_mm - columns.start * pitch)
        found = map_lesion(patient.seed, patient.number, lesion, view, corner, inside.shape, pitch)
        lesions.append((site, found))
    return Breast(whole.shape, box, pitch, inside, chord, interior, gland, muscle, tuple(lesions))


def project_breast(
    patient: Patient, side: Side, view: View, halvings: int, lesion_contrast: float = 1.0
) -> Projection:
    """Return the attenuation of one breast in one view.

    Parameters
    ----------
    halvings
        The grid's pitch is 1 mm halved this often.
    lesion_contrast
        Scales the attenuation that lesions add; 0 removes them.
    """
    return attenuation_of(compose_breast(patient, side, view, halvings), lesion_contrast)


def attenuation_of(breast: Breast, lesion_contrast: float = 1.0) -> Projection:
    """Return what a beam meets in a breast; see `project_breast`."""
    mixture = FAT_PER_MM + (GLAND_PER_MM - FAT_PER_MM) * breast.gland
    depth = breast.interior * mixture + (breast.chord - breast.interior) * GLAND_PER_MM
    reference = float(depth[(breast.inside > 12) & (breast.muscle < 0.5)].mean())
    for _, found in breast.lesions:
        part = found.part
        # A mass displaces tissue, so that it stands out from fat more than from gland.
        room = np.minimum(found.mass_mm, breast.interior[part])
        added = room * (CARCINOMA_PER_MM * found.density_ratio - mixture[part])
        added += found.calcification_mm * (CALCIFICATION_PER_MM - FAT_PER_MM)
        depth[part] += np.float32(lesion_contrast) * added
    sites = tuple(site for site, _ in breast.lesions)
    return Projection(
        breast.whole(depth.astype(np.float32, copy=False)), breast.pitch_mm, reference, sites
    )


def geometry_of(patient: Patient, side: Side, view: View) -> Geometry:
    """Return the outline of one breast; positioning varies a little from view to view."""
    rng = stream(patient.seed, "patient", patient.number, "positioning", side, view)
    jitter = rng.standard_normal(6)
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


def _signed_distance(geometry: Geometry) -> FloatImage:
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


def _box(geometry: Geometry, halvings: int) -> tuple[slice, slice]:
    """Return the rows and columns of the grid that the breast can reach."""
    margin = 10
    top = geometry.nipple_mm - geometry.half_height_mm - margin
    bottom = geometry.nipple_mm + geometry.half_height_mm + margin
    first = 0 if geometry.view == "MLO" else max(0, int(top))
    last = min(WINDOW_MM[0], int(bottom))
    width = min(WINDOW_MM[1], int(geometry.depth_mm + margin))
    return slice(first << halvings, last << halvings), slice(0, width << halvings)


def _resample(coarse: FloatImage, halvings: int) -> FloatImage:
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


def _chord(inside: FloatImage, half_thickness_mm: float) -> FloatImage:
    """Return the path length through a slab whose free edge is rounded by half its thickness."""
    height = np.clip(inside, 0, half_thickness_mm)
    return 2 * np.sqrt(height * (2 * half_thickness_mm - height))


def _glandular_share(
    patient: Patient,
    side: Side,
    geometry: Geometry,
    inside: FloatImage,
    interior: FloatImage,
    box: tuple[slice, slice],
    halvings: int,
) -> tuple[FloatImage, FloatImage]:
    """Return the glandular share along each ray, and the pectoral muscle's, both in [0, 1].

    The share is a soft threshold of a power-law field inside the fibroglandular disc. The
    threshold is set so that the mean share over the breast's volume is that of the density class
    (`GLANDULAR_SHARE`) times the patient's own factor.
    """
    pitch = 0.5**halvings
    rows, columns = box
    y = (np.arange(rows.start, rows.stop, dtype=np.float32) * pitch)[:, None]
    x = (np.arange(columns.start, columns.stop, dtype=np.float32) * pitch)[None, :]
    fields = power_law_fields(
        patient.seed,
        ("patient", patient.number, "texture", side, geometry.view),
        patient.beta + (0.06 if geometry.view == "MLO" else -0.06),
        WINDOW_MM,
        halvings,
        _TEXTURE_ELONGATION,
    )
    field, second = (whole[box] for whole in fields)
    muscle = np.zeros_like(field)
    if geometry.view == "MLO":
        across, along = geometry.pectoral_mm
        edge = across * np.maximum(1 - (y / along) ** 1.15, -0.2)
        muscle = scipy.special.expit((edge - x + 0.6 * second) / 1.2)
    size = _DISC_SIZE[patient.density]
    disc = np.hypot(
        (x - 0.55 * geometry.depth_mm) / (0.50 * size * geometry.depth_mm),
        (y - geometry.nipple_mm) / (0.72 * size * geometry.half_height_mm),
    )
    envelope = scipy.special.expit((1 - disc - 0.15 * second) / 0.12)
    envelope *= _smooth_step(inside / 14) * _smooth_step((x + 6) / 22) * (1 - muscle)
    target = min(GLANDULAR_SHARE[patient.density] * patient.glandularity, 0.45)
    threshold = _threshold(field, envelope, interior * (1 - muscle), target, 2 << halvings)
    gland = _LARGEST_SHARE * envelope * scipy.special.expit(_SLOPE * (field - threshold))
    strands = _strands(patient, side, geometry, halvings)[box]
    gland += _STRAND_SHARE * _smooth_step(inside / 8) * strands * (1 - gland)
    gland = gland * (1 - muscle) + (0.50 + 0.04 * field) * muscle
    return np.clip(gland, 0, 1).astype(np.float32), muscle.astype(np.float32)


def _strands(patient: Patient, side: Side, geometry: Geometry, halvings: int) -> FloatImage:
    """Return ligaments, ducts and vessels in [0, 1]: thin curves that run towards the nipple."""
    rng = stream(patient.seed, "patient", patient.number, "strands", side, geometry.view)
    count = int(rng.integers(45, 75))
    starts = np.column_stack(
        [
            rng.uniform(0, 0.75, count) * geometry.depth_mm,
            geometry.nipple_mm + rng.uniform(-0.95, 0.95, count) * geometry.half_height_mm,
        ]
    )
    nipple = np.array([0.97 * geometry.depth_mm, geometry.nipple_mm])
    run = rng.uniform(0.25, 0.8, count)[:, None]
    ends = starts + run * (nipple - starts)
    bends = (starts + ends) / 2 + 7 * rng.standard_normal((count, 2))
    t = np.linspace(0, 1, 13)[None, :, None]
    curves = (
        (1 - t) ** 2 * starts[:, None] + 2 * t * (1 - t) * bends[:, None] + t**2 * ends[:, None]
    )
    scale = 1 << halvings
    drawn = np.zeros((WINDOW_MM[0] * scale, WINDOW_MM[1] * scale), np.uint8)
    points = np.rint(curves * scale * 16).astype(np.int32)
    widths = np.maximum(1, np.rint(rng.uniform(0.3, 1.0, count) * scale)).astype(int)
    for curve, width, strength in zip(points, widths, rng.uniform(60, 255, count), strict=True):
        cv2.polylines(
            drawn, [curve], False, (float(strength),), int(width), cv2.LINE_AA, _SUBPIXEL_BITS
        )
    blurred = cv2.GaussianBlur(drawn.astype(np.float32) / 255, (0, 0), 0.35 * scale)
    return np.asarray(blurred, np.float32)


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


def _smooth_step(value: npt.NDArray[np.floating]) -> FloatImage:
    """Return the cubic step from 0 at 0 to 1 at 1."""
    t = np.clip(value, 0, 1).astype(np.float32)
    return t * t * (3 - 2 * t)
