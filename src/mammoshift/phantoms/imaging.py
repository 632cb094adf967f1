"""One patient before one scanner."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mammoshift.phantoms.anatomy import project_breast
from mammoshift.phantoms.marker import put_border, put_marker
from mammoshift.phantoms.outline import LesionSite
from mammoshift.phantoms.patient import Patient, Side, View
from mammoshift.phantoms.scanner import ScannerModel, develop, expose
from mammoshift.phantoms.streams import stream

FloatImage = npt.NDArray[np.float32]


def image_breast(
    patient: Patient,
    side: Side,
    view: View,
    scanner: ScannerModel,
    lesion_contrast: float = 1.0,
) -> tuple[FloatImage, tuple[LesionSite, ...]]:
    """Return one mammogram as it hangs on the light box, and where its lesions are.

    Returns
    -------
    image : float32 array of shape ``scanner.shape``, in [0, 1]
        Chest wall at the left edge for a left breast, at the right edge for a right one.
    sites
        In the anatomy's frame; see `mammoshift.phantoms.scanner.detector_position`.
    """
    key = ("patient", patient.number, "image", side, view)
    projection = project_breast(patient, side, view, scanner.halvings, lesion_contrast)
    exposure = expose(projection, scanner, stream(patient.seed, *key, "quanta"))
    if side == "right":
        exposure = np.ascontiguousarray(exposure[:, ::-1])
    marker = stream(patient.seed, *key, "marker")
    if marker.random() < scanner.label_share:
        put_marker(exposure, (side[0].upper(), view), scanner.pitch_mm, marker)
    border = stream(patient.seed, *key, "border")
    if border.random() < scanner.border_share:
        put_border(exposure, scanner.pitch_mm, border)
    return develop(exposure, scanner, stream(patient.seed, *key, "film")), projection.sites
