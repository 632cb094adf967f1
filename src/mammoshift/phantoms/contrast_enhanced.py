"""Subtracted contrast-enhanced mammograms: what is left of a breast when its tissue cancels.

grey = level + thickness + iodine + residual + noise

`iodine` is the areal density of contrast agent: in glandular tissue (background parenchymal
enhancement, one level for each patient), in masses, malignant ones mostly and often at the rim,
and around malignant calcifications. `thickness` is the plateau of the compressed part inside a
darker rim; `residual` the fine structure that the weights of the two energies do not cancel, of
either sign. The amounts are plausible values set by eye against published images.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mammoshift.phantoms.anatomy import Breast, compose_breast
from mammoshift.phantoms.lesions import LesionMap
from mammoshift.phantoms.outline import LesionSite
from mammoshift.phantoms.patient import Lesion, Patient, Side, View
from mammoshift.phantoms.scanner import ScannerModel, sample
from mammoshift.phantoms.streams import stream

FloatImage = npt.NDArray[np.float32]

_LEVEL, _PLATEAU, _RIM = 0.16, 0.07, 0.30
_PER_MM_OF_GLAND, _PER_MM_OF_MASS, _RESIDUAL = 0.014, 0.020, 4.0
_NOISE = 0.025
_STRONG_SHARE = {"malignant": 0.9, "benign": 0.3}
_RIM_SHARE = 0.3


def subtract_image(
    patient: Patient,
    side: Side,
    view: View,
    scanner: ScannerModel,
    lesion_contrast: float = 1.0,
) -> tuple[FloatImage, tuple[LesionSite, ...]]:
    """Return the subtracted image of one breast, of the anatomy that `image_breast` shows.

    Returns
    -------
    image : float32 array of shape ``scanner.shape``, in [0, 1]
        Air is 0. Chest wall at the left edge for a left breast, at the right for a right one.
    sites
        Where the lesions are, in the anatomy's frame.
    """
    breast = compose_breast(patient, side, view, scanner.halvings)
    rng = stream(patient.seed, "patient", patient.number, "enhancement", side, view)
    background = float(stream(patient.seed, "patient", patient.number, "bpe").lognormal(-0.4, 0.6))
    sign = 1.0 if rng.random() < 0.5 else -1.0
    signal = _thickness(breast)
    signal += np.float32(_PER_MM_OF_GLAND * background) * breast.gland * breast.interior / 10
    signal += np.float32(sign * _RESIDUAL) * _fine_structure(breast)
    for site, found in breast.lesions:
        taken_up = lesion_contrast * _uptake(patient, site.lesion)
        signal[found.part] += np.float32(taken_up) * _enhanced_mm(patient, site.lesion, found)
    edge = np.clip(breast.inside / 0.6, 0, 1).astype(np.float32)
    shown, skin = (
        sample(breast.whole(part), breast.pitch_mm, scanner) for part in (signal * edge, edge)
    )
    noise = rng.standard_normal(shown.shape, np.float32)
    shown += np.float32(_NOISE) * noise * np.clip(skin, 0, 1)
    if side == "right":
        shown = shown[:, ::-1]
    sites = tuple(site for site, _ in breast.lesions)
    return np.clip(np.ascontiguousarray(shown), 0, 1), sites


def is_enhancing(patient: Patient, lesion: Lesion) -> bool:
    """Tell whether a lesion takes up much contrast agent."""
    drawn = stream(patient.seed, "patient", patient.number, "uptake", lesion.number).random()
    return bool(drawn < _STRONG_SHARE[lesion.pathology])


def _uptake(patient: Patient, lesion: Lesion) -> float:
    rng = stream(patient.seed, "patient", patient.number, "uptake level", lesion.number)
    strong = is_enhancing(patient, lesion)
    return float(_PER_MM_OF_MASS * rng.lognormal(0.0 if strong else -2.0, 0.3))


def _enhanced_mm(patient: Patient, lesion: Lesion, found: LesionMap) -> FloatImage:
    """Return the path length in mm through what takes up contrast agent."""
    mass = found.mass_mm
    rng = stream(patient.seed, "patient", patient.number, "rim", lesion.number)
    peak = float(mass.max(initial=0.0))
    if lesion.kind == "mass" and rng.random() < _RIM_SHARE and peak > 0:
        return (mass * (1.3 - 0.9 * (mass / peak) ** 2)).astype(np.float32)
    return mass


def _thickness(breast: Breast) -> FloatImage:
    """Return the level of cancelled tissue: a plateau within a rim, bright at the skin itself."""
    inside = np.maximum(breast.inside, 0)
    plateau = 1 / (1 + np.exp(-(inside - 16.0) / 2.5))
    skin = np.exp(-0.5 * ((inside - 0.8) / 0.7) ** 2)
    fading = np.exp(-np.maximum(inside - 18.0, 0) / 30.0)
    level = _LEVEL + _PLATEAU * plateau * (0.3 + fading) + 0.5 * _RIM * skin
    return np.where(breast.inside > 0, level, 0).astype(np.float32)


def _fine_structure(breast: Breast) -> FloatImage:
    """Return the glandular share less its local mean over some 3 mm."""
    local = cv2.GaussianBlur(breast.gland, (0, 0), max(1.0, 1.5 / breast.pitch_mm))
    return np.asarray((breast.gland - local) * 0.12, np.float32)
