"""The pectoral muscle in an oblique view: the bright triangle at the top of the chest wall.

LIBRA (Keller et al., Medical Physics 39:4903, 2012) looks for straight edges of 40 to 80 degrees
in the upper half of the breast on the chest-wall side. Here each line from the top border to the
chest wall is judged by the step across it: muscle is brighter than what borders on it along
nearly the whole line, which edges inside glandular tissue are not. Brightness counts by its rank
within the breast, so that the tone of the image does not matter. What the best line cuts off must
look like a muscle as a whole; else nothing is called one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.imaging.decoded import Pixels

FloatArray = NDArray[np.float32]
Mask = NDArray[np.uint8]

VIEWS_WITH_PECTORAL = frozenset({"MLO", "ML", "LM", "AT", "XCCL"})
"""Views in which the muscle is expected."""

LEAST_STEP, LEAST_STEP_UNKNOWN_VIEW = 0.015, 0.05
"""Lower quartile of the step across a line, in ranks of 0 to 1, above which it is the muscle's."""

_LINES = 48
_POINTS = 48
_OFFSET_SHARE = 0.012
_STEEPEST, _FLATTEST = 0.9, 6.0
_LOWEST = 0.85
_LARGEST_SHARE = 0.45
_LARGEST_SPREAD = 0.32
_LEAST_DIFFERENCE = 0.05


def pectoral_muscle(small: Pixels, breast: Mask, chest_wall: str, least_step: float) -> Mask:
    """Find the pectoral muscle.

    Parameters
    ----------
    small
        The reduced image, shape (rows, columns).
    breast
        uint8 of the same shape, not zero inside the breast.
    chest_wall
        ``left`` or ``right``.
    least_step
        `LEAST_STEP`, or `LEAST_STEP_UNKNOWN_VIEW` where the view may be another.

    Returns
    -------
    ndarray
        uint8, 255 inside the muscle; zero everywhere when there is none, or when what the best
        line cuts off is too large, is not of one brightness, or is not brighter than the breast
        beside it.
    """
    if chest_wall == "right":
        flipped = pectoral_muscle(small[:, ::-1], breast[:, ::-1], "left", least_step)
        return np.ascontiguousarray(flipped[:, ::-1])
    muscle = np.zeros_like(breast)
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(breast))
    if width < 16 or height < 16:
        return muscle
    part = breast[top : top + height, left : left + width]
    ranks = _ranks(small[top : top + height, left : left + width], part)
    found = _best_line(ranks, part, least_step)
    if found is None:
        return muscle
    across, down = found
    corner = np.array([[left, top], [left + across, top], [left, top + down]], np.int32)
    cv2.fillPoly(muscle, [corner], 255)
    muscle = np.asarray(cv2.bitwise_and(muscle, breast), np.uint8)
    inside = muscle[top : top + height, left : left + width]
    return muscle if _is_like_muscle(inside, part, ranks, down) else np.zeros_like(breast)


def _is_like_muscle(muscle: Mask, breast: Mask, ranks: FloatArray, down: int) -> bool:
    """Tell whether a triangle that reaches `down` rows is a muscle by its size and brightness."""
    size = int(np.count_nonzero(muscle))
    if not size or size > _LARGEST_SHARE * np.count_nonzero(breast):
        return False
    # Along its edge the smoothed muscle is as dark as what borders on it.
    core = cv2.erode(muscle, np.ones((5, 5), np.uint8)) > 0
    low, high = np.quantile(ranks[core if core.any() else muscle > 0], (0.25, 0.75))
    if high - low > _LARGEST_SPREAD:
        return False
    beside = (breast[:down] > 0) & (muscle[:down] == 0)
    if not beside.any():
        return True
    return bool(ranks[muscle > 0].mean() - ranks[:down][beside].mean() > _LEAST_DIFFERENCE)


def _ranks(pixels: Pixels, mask: Mask) -> FloatArray:
    """Return the share of the breast that is darker than each pixel, smoothed."""
    smooth = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), 2.0)
    inside = np.sort(smooth[mask > 0])
    return (np.searchsorted(inside, smooth) / inside.size).astype(np.float32)


def _best_line(ranks: FloatArray, mask: Mask, least_step: float) -> tuple[int, int] | None:
    """Return where the best line meets the top border and the chest wall, in pixels."""
    height, width = mask.shape
    first_row = np.flatnonzero(mask[min(3, height - 1)])
    reach = float(first_row[-1] + 1) if first_row.size else 0.0
    across = np.linspace(0.15, 1.0, _LINES) * reach
    down = np.linspace(0.12, _LOWEST, _LINES) * height
    lines = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    slope = lines[:, 1] / np.maximum(lines[:, 0], 1e-6)
    lines = lines[(slope >= _STEEPEST) & (slope <= _FLATTEST) & (lines[:, 0] >= 0.08 * width)]
    if not lines.size:
        return None
    steps = _steps_across(ranks, lines, _OFFSET_SHARE * height)
    quartile = np.quantile(steps, 0.25, axis=1)
    # Of two lines with an equal step the longer one bounds more of what is certainly muscle.
    merit = quartile * np.hypot(*lines.T) ** 0.25
    best = int(np.argmax(merit))
    if quartile[best] <= least_step:
        return None
    return round(float(lines[best, 0])), round(float(lines[best, 1]))


def _steps_across(ranks: FloatArray, lines: NDArray[np.float64], offset: float) -> FloatArray:
    """Return the rank on the chest-wall side minus that beyond, along each line."""
    t = np.linspace(0.04, 0.9, _POINTS)
    x = lines[:, :1] * (1.0 - t)
    y = lines[:, 1:] * t
    length = np.hypot(lines[:, 0], lines[:, 1])[:, None]
    normal_x, normal_y = lines[:, 1:] / length, lines[:, :1] / length

    def at(shift: float) -> FloatArray:
        return cv2.remap(
            ranks,
            (x + shift * normal_x).astype(np.float32),
            (y + shift * normal_y).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.float32, copy=False)

    near, far = at(-offset) + at(-2.0 * offset), at(offset) + at(2.0 * offset)
    return ((near - far) / 2.0).astype(np.float32)
