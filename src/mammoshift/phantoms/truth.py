"""Where breast and pectoral muscle lie in the images of a twin: what masks are judged by.

The truth stands beside an archive, in a folder `<archive>.truth` with a PNG for each image, of its
shape and in the orientation that it is stored in, named like it with `.png` added.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.outline import WINDOW_MM, geometry_of, resample, signed_distance
from mammoshift.phantoms.patient import Patient, Side, View
from mammoshift.phantoms.scanner import ScannerModel, sample

Truth = npt.NDArray[np.uint8]

AIR, BREAST, MUSCLE = 0, 128, 255
"""Values of a truth: beside the breast, in it, and in its pectoral muscle."""

SUFFIX = ".truth"


def truth_of(patient: Patient, side: Side, view: View, scanner: ScannerModel) -> Truth:
    """Return what each pixel of `mammoshift.phantoms.imaging.image_breast` shows.

    A pixel is breast where its centre lies within the skin line, whether or not the image is
    bright enough to show it; muscle where the centre is also within the muscle's edge.
    """
    geometry = geometry_of(patient, side, view)
    pitch = 0.5**scanner.halvings
    inside = sample(resample(signed_distance(geometry), scanner.halvings), pitch, scanner) > 0
    rows, columns = scanner.shape
    top = (WINDOW_MM[0] - rows * scanner.pitch_mm) / 2
    y = top + (np.arange(rows) + 0.5) * scanner.pitch_mm
    x = (np.arange(columns) + 0.5) * scanner.pitch_mm
    muscle = x[None, :] < geometry.pectoral_edge(y)[:, None]
    truth = np.where(inside, np.where(muscle, np.uint8(MUSCLE), np.uint8(BREAST)), np.uint8(AIR))
    return np.ascontiguousarray(truth[:, ::-1] if side == "right" else truth)


def keep_truth(
    twin: Twin,
    root: Path,
    image: Path,
    drawn: tuple[Patient, Side, View, ScannerModel],
    stored: Callable[[Truth], Truth] = np.asarray,
) -> None:
    """Write the truth of the file `image` below `root` where the twin asks for it.

    Parameters
    ----------
    drawn
        What the image shows, as `truth_of` takes it.
    stored
        What the layout does to an image of a scanner before it stores it.
    """
    if not twin.truth:
        return
    path = folder_of(root) / f"{image.relative_to(root).as_posix()}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), stored(truth_of(*drawn)))


def folder_of(root: Path) -> Path:
    """Return the folder of the truth of the archive `root`."""
    return root.with_name(root.name + SUFFIX)
