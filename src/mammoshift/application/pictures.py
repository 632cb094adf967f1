"""Heat maps over images, as files without anything that names a person."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.files import atomic_path

LEAST_HEIGHT = 512
LARGEST_HEIGHT = 1536
_GAP = 8
_STRONGEST = 0.6
"""Share of the colour where the heat is greatest."""


def overlay(
    array: NDArray[np.uint16], shown: NDArray[np.bool_] | None, heat: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return the model's input beside itself under its heat map, as (rows, columns, BGR).

    Parameters
    ----------
    array
        The model's input.
    shown
        What of it shows the breast; the rest is drawn black, since labels are burnt in there. The
        heat is drawn everywhere.
    heat
        From 0 to 1, shape of `array`.
    """
    grey = (array >> 8).astype(np.uint8)
    if shown is not None:
        grey = np.where(shown, grey, 0).astype(np.uint8)
    rows, columns = grey.shape
    height = min(max(rows, LEAST_HEIGHT), LARGEST_HEIGHT)
    size = (max(1, round(columns * height / rows)), height)
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC)
    wide = np.clip(cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR), 0.0, 1.0)
    plain = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    colours = cv2.applyColorMap(np.rint(255.0 * wide).astype(np.uint8), cv2.COLORMAP_INFERNO)
    share = (_STRONGEST * wide)[..., None]
    mixed = np.rint((1.0 - share) * plain + share * colours).astype(np.uint8)
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    return np.hstack([np.asarray(plain, np.uint8), gap, mixed])


def write_picture(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a picture as PNG; the file holds pixels and nothing else."""
    encoded = cv2.imencode(".png", picture)[1]
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.tobytes())
