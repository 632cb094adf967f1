"""Which patches, or images, hold a part of a marked region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.errors import TableError

BOX_COLUMNS = ("box_left", "box_top", "box_right", "box_bottom")
ItemBoxes = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Region:
    """A marked region: its corner points, shape (points, 2), and for a circle its radius."""

    shape: Literal["box", "polygon", "circle"]
    points: NDArray[np.float64]
    radius: float


def marked_images(items: pd.DataFrame, annotations: pd.DataFrame) -> NDArray[np.bool_]:
    """Return for each item whether its image has an annotation."""
    return items["image_id"].isin(annotations["image_id"]).to_numpy()


def marked_patches(items: pd.DataFrame, annotations: pd.DataFrame) -> NDArray[np.bool_]:
    """Return for each patch whether it holds a part of an annotation of its image.

    Parameters
    ----------
    items
        Patches: `image_id` and `BOX_COLUMNS`, ends excluded, in pixels of the stored image.
    annotations
        Columns of the contract of annotations. A point of a pixel (x, y) fills it; boxes are
        their first and last corner; of masks the corners of their box must be given.

    Raises
    ------
    TableError
        If an annotation has no points.
    """
    marked = np.zeros(len(items), bool)
    boxes = items[list(BOX_COLUMNS)].to_numpy(dtype=np.float64)
    positions_of = items.groupby("image_id", sort=False).indices
    rows: Any = annotations.itertuples(index=False)
    for row in rows:
        positions = positions_of.get(row.image_id)
        if positions is None:
            continue
        open_ones = positions[~marked[positions]]
        marked[open_ones] = _overlaps(_region(row), boxes[open_ones])
    return marked


def _region(row: Any) -> _Region:
    points = row.points
    if points is None or len(points) < 2:
        raise TableError(
            f"annotation {row.annotation_id} of image {row.image_id} has no points: patches "
            "cannot be labelled from it"
        )
    corners = np.asarray(points, np.float64).reshape(-1, 2)
    shape = "box" if row.shape == "mask" else row.shape
    radius = float(row.radius) if shape == "circle" else 0.0
    return _Region(shape, corners, radius)


def _overlaps(region: _Region, boxes: ItemBoxes) -> NDArray[np.bool_]:
    """Return which boxes (left, top, right, bottom; ends excluded) touch the region."""
    if region.shape == "circle":
        nearest = np.clip(region.points[0], boxes[:, :2], boxes[:, 2:] - 1.0)
        return ((nearest - region.points[0]) ** 2).sum(axis=1) <= region.radius**2
    low, high = region.points.min(axis=0), region.points.max(axis=0)
    touching = ((boxes[:, :2] <= high) & (boxes[:, 2:] - 1.0 >= low)).all(axis=1)
    if region.shape == "box":
        return touching
    inside = np.array([_polygon_meets(region.points, box) for box in boxes[touching]], bool)
    touching[touching] = inside
    return touching


def _polygon_meets(points: NDArray[np.float64], box: NDArray[np.float64]) -> bool:
    """Tell whether an edge of a polygon meets a box, or the box lies within the polygon."""
    start, step = points, np.roll(points, -1, axis=0) - points
    low, high = box[:2], box[2:] - 1.0
    # Liang and Barsky: the part of each edge, 0 to 1, that lies between the box's sides.
    with np.errstate(divide="ignore", invalid="ignore"):
        one, two = (low - start) / step, (high - start) / step
    still = step == 0.0
    between = (start >= low) & (start <= high)
    enter = np.where(still, np.where(between, 0.0, np.inf), np.minimum(one, two)).max(axis=1)
    leave = np.where(still, np.where(between, 1.0, -np.inf), np.maximum(one, two)).min(axis=1)
    if (np.maximum(enter, 0.0) <= np.minimum(leave, 1.0)).any():
        return True
    x, y = low
    crosses = (start[:, 1] > y) != (start[:, 1] + step[:, 1] > y)
    share = np.divide(y - start[:, 1], step[:, 1], out=np.zeros(len(start)), where=crosses)
    return bool((crosses & (start[:, 0] + share * step[:, 0] > x)).sum() % 2)
