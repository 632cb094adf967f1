"""The annotations: one row for each region on an image, where an archive has them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from mammoshift.contracts.parquet import read_table, write_table
from mammoshift.contracts.vocabulary import BIRADS, LESION_TYPES, PATHOLOGIES, SHAPES
from mammoshift.errors import TableError

ANNOTATIONS_SCHEMA = pa.schema(
    [
        pa.field("annotation_id", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("shape", pa.string(), nullable=False),
        pa.field("points", pa.list_(pa.float64()), nullable=False),
        pa.field("radius", pa.float64()),
        pa.field("lesion_type", pa.string()),
        pa.field("pathology", pa.string()),
        pa.field("birads", pa.string()),
        pa.field("mask_path", pa.string()),
        pa.field("source", pa.string()),
    ]
)
"""Columns of the annotations.

annotation_id  unique within the dataset: the image's id, `-r` and a number from 1
image_id       the image in the manifest of the same dataset
dataset        the dataset's name in the configuration
shape          box | polygon | circle | mask
points         x, y, x, y, ...: of a box the corner of least x and y and the opposite one, of a
               polygon its corners in order, of a circle its centre; of a mask the box around it
               where the archive gives one, else nothing
radius         of a circle, above 0
lesion_type    one of `LESION_TYPES`; null when the archive does not say
pathology      normal | benign | malignant of the region; null when the archive does not say
birads         assessment category of the region
mask_path      the file whose bright pixels are the region, relative to the archive's root, with
               forward slashes; a mask that is not as large as its image is to be scaled to it.
               Other shapes may have one too
source         the file of the archive that gives the region, relative to its root

Coordinates are pixels of the stored image as decoded, before any crop, flip or resize: x runs
along a row, from the left, y down a column, from the top, and the centres of the pixels lie at
whole numbers, the first at (0, 0).
"""

_SAFE_ID = "[A-Za-z0-9_.-]{1,210}"


@dataclass(frozen=True)
class Box:
    """An upright rectangle in the coordinates of the annotations."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle, as (x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2


def bounding_box(
    shape: str, points: Sequence[float] | npt.NDArray[np.float64], radius: float | None = None
) -> Box | None:
    """Return the smallest upright box around a region; None for a mask that states no box.

    Parameters
    ----------
    shape, points, radius
        As in the columns of the annotations. No file is read.
    """
    if shape == "circle":
        x, y, r = float(points[0]), float(points[1]), float(radius or 0.0)
        return Box(x - r, y - r, x + r, y + r)
    if len(points) == 0:
        return None
    xs, ys = [float(x) for x in points[0::2]], [float(y) for y in points[1::2]]
    return Box(min(xs), min(ys), max(xs), max(ys))


def empty_annotations() -> pd.DataFrame:
    """Return a table without a row."""
    return ANNOTATIONS_SCHEMA.empty_table().to_pandas()


def write_annotations(annotations: pd.DataFrame, path: Path) -> None:
    """Check `annotations` against the contract and write them as Parquet.

    Raises
    ------
    TableError
        See `check_annotations`.
    """
    check_annotations(annotations, path)
    table = pa.Table.from_pandas(annotations, schema=ANNOTATIONS_SCHEMA, preserve_index=False)
    write_table(table, path)


def read_annotations(path: Path) -> pd.DataFrame:
    """Read a table that `write_annotations` wrote; `points` holds arrays."""
    return read_table(path, ANNOTATIONS_SCHEMA).to_pandas()


def check_annotations(annotations: pd.DataFrame, where: Path) -> None:
    """Raise `TableError` when `annotations` break the contract; `where` is named in the message.

    Raises
    ------
    TableError
        If a column is missing or unknown, an id occurs twice or is unsafe, a word lies outside
        its vocabulary, or a row's points, radius or mask do not fit its shape.
    """
    wanted, found = set(ANNOTATIONS_SCHEMA.names), set(annotations.columns)
    if wanted != found:
        raise TableError(
            f"{where}: columns missing {sorted(wanted - found)}, unknown {sorted(found - wanted)}"
        )
    repeated = annotations["annotation_id"][annotations["annotation_id"].duplicated()]
    if len(repeated):
        raise TableError(f"{where}: annotation_id {repeated.iloc[0]!r} occurs more than once")
    vocabularies = {
        "shape": SHAPES,
        "lesion_type": LESION_TYPES,
        "pathology": PATHOLOGIES,
        "birads": BIRADS,
    }
    for row in annotations.to_dict("records"):
        name = str(row["annotation_id"])
        if not re.fullmatch(_SAFE_ID, name, re.ASCII):
            raise TableError(
                f"{where}: annotation_id {name[:80]!r} must be 1 to 210 of the characters "
                "A-Z a-z 0-9 _ . -"
            )
        for column, allowed in vocabularies.items():
            value = row[column]
            if not _is_missing(value) and value not in allowed:
                raise TableError(
                    f"{where}: annotation {name}: {column} is {value!r}; allowed: "
                    f"{', '.join(allowed)}"
                )
        problem = _problem_of_shape(row["shape"], row["points"], row["radius"], row["mask_path"])
        if problem:
            raise TableError(f"{where}: annotation {name}: {problem}")


def _problem_of_shape(
    shape: object, points: Sequence[float], radius: float | None, mask_path: str | None
) -> str | None:
    """Return what is wrong with the geometry of one row, or None."""
    values = [float(value) for value in points]
    if not all(math.isfinite(value) for value in values):
        return "a coordinate is not a finite number"
    least = {"box": 4, "polygon": 6, "circle": 2, "mask": 0}[str(shape)]
    exact = {"box": (4,), "circle": (2,), "mask": (0, 4)}.get(str(shape))
    if len(values) % 2 or len(values) < least or (exact and len(values) not in exact):
        return f"a {shape} cannot have {len(values)} numbers as points"
    if len(values) == 4 and shape != "polygon" and not _is_ordered(values):
        return "the second corner of a box must not lie left of or above the first"
    if (shape == "circle") == _is_missing(radius) or (shape == "circle" and not _above_0(radius)):
        return "a circle, and nothing else, has a radius above 0"
    if shape == "mask" and _is_missing(mask_path):
        return "a mask needs mask_path"
    if not _is_missing(mask_path):
        path = PurePosixPath(str(mask_path))
        if path.is_absolute() or ".." in path.parts:
            return "mask_path must lie below the archive's root"
    return None


def _is_ordered(corners: Sequence[float]) -> bool:
    return corners[0] <= corners[2] and corners[1] <= corners[3]


def _above_0(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def annotations_by_dataset(
    paths: Iterable[str | Path], datasets: Iterable[str]
) -> dict[str, pd.DataFrame]:
    """Return tables of annotations by the dataset that each names; one without rows names none."""
    found = {name: empty_annotations() for name in datasets}
    for path in map(Path, paths):
        table = read_annotations(path)
        if len(table):
            found[str(table["dataset"].iloc[0])] = table
    return found
