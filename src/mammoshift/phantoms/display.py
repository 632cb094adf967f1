"""What a digital unit does to an image before it is displayed.

Vendors' processing is secret; its two visible effects are modelled. The periphery, where the
breast is thin, is lifted towards the level of the middle, so that skin and subcutaneous fat can
be seen in one window with dense tissue (Byng, Critten and Yaffe, Radiology 203:564, 1997). Edges
are enhanced by unsharp masking.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]

_THICKNESS_MM, _EDGE_MM = 5.0, 0.7
_COARSE_MM = 2.0
_LEAST_CONTRAST = 0.35
_SKIN = 0.25


def process_for_display(
    depth: FloatImage, pitch_mm: float, equalisation: float, enhancement: float
) -> FloatImage:
    """Return optical depth after equalisation of the thickness and enhancement of edges.

    Parameters
    ----------
    depth
        Optical depth relative to that of the mean breast, air being the lowest.
    pitch_mm
        Pitch of its pixels.
    equalisation
        0 leaves the thickness, 1 takes it out.
    enhancement
        What is finer than some mm is multiplied by one more than this.
    """
    if equalisation:
        depth = _equalised(depth, pitch_mm, equalisation)
    if enhancement:
        sigma = max(_EDGE_MM / pitch_mm, 0.8)
        blurred = np.asarray(cv2.GaussianBlur(depth, (0, 0), sigma), np.float32)
        depth = (depth + np.float32(enhancement) * (depth - blurred)).astype(np.float32)
    return np.asarray(depth, np.float32)


def _equalised(depth: FloatImage, pitch_mm: float, strength: float) -> FloatImage:
    """Lift what lies below the mean breast by the share of thickness that is missing there."""
    step = max(1, round(_COARSE_MM / pitch_mm))
    size = (max(1, depth.shape[1] // step), max(1, depth.shape[0] // step))
    coarse = cv2.resize(depth, size, interpolation=cv2.INTER_AREA)
    air = float(np.percentile(coarse, 2))
    if air > -_LEAST_CONTRAST:
        return depth
    sigma = max(_THICKNESS_MM / (pitch_mm * step), 0.6)
    smooth = cv2.GaussianBlur(coarse, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    thick = cv2.resize(smooth, depth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    missing = 1 - np.clip(1 - np.asarray(thick) / np.float32(air), 0, 1)
    tissue = np.clip((depth - np.float32(air)) / np.float32(_SKIN) - 0.3, 0, 1)
    return (depth - np.float32(strength * air) * missing * tissue).astype(np.float32)
