"""The table of regions: what is refused, and the box around any shape."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from mammoshift.contracts.annotations import (
    ANNOTATIONS_SCHEMA,
    Box,
    bounding_box,
    empty_annotations,
    read_annotations,
    write_annotations,
)
from mammoshift.errors import TableError

CIRCLE = {
    "annotation_id": "a-r1",
    "image_id": "a",
    "dataset": "d",
    "shape": "circle",
    "points": [10.0, 20.0],
    "radius": 3.0,
    "lesion_type": "mass",
    "pathology": "benign",
    "birads": "4a",
    "mask_path": None,
    "source": "Info.txt",
}
NO_CIRCLE = CIRCLE | {"radius": None}
BOX = NO_CIRCLE | {"annotation_id": "a-r2", "shape": "box", "points": [1.0, 2.0, 3.0, 2.0]}
POLYGON = NO_CIRCLE | {
    "annotation_id": "a-r3",
    "shape": "polygon",
    "points": [1.0, 5.0, 4.0, 2.0, 7.0, 9.0],
}
MASK = NO_CIRCLE | {"annotation_id": "a-r4", "shape": "mask", "points": [], "mask_path": "m/1.dcm"}


def _table(*rows):
    return pd.DataFrame(list(rows), columns=list(ANNOTATIONS_SCHEMA.names))


def test_annotations_survive_writing_and_reading(tmp_path):
    rows = (CIRCLE, BOX, POLYGON, MASK)
    write_annotations(_table(*rows), tmp_path / "a.parquet")
    read = read_annotations(tmp_path / "a.parquet")
    assert [list(points) for points in read["points"]] == [row["points"] for row in rows]
    assert read["shape"].tolist() == ["circle", "box", "polygon", "mask"]
    write_annotations(read, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "a.parquet").read_bytes()


def test_a_table_may_be_empty(tmp_path):
    write_annotations(empty_annotations(), tmp_path / "a.parquet")
    assert read_annotations(tmp_path / "a.parquet").empty


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (CIRCLE | {"annotation_id": "../a"}, "characters"),
        (CIRCLE | {"shape": "ellipse"}, "shape is 'ellipse'; allowed: box, polygon, circle, mask"),
        (CIRCLE | {"lesion_type": "lump"}, "lesion_type is 'lump'"),
        (CIRCLE | {"pathology": "B"}, "pathology is 'B'"),
        (CIRCLE | {"birads": "7"}, "birads is '7'"),
        (CIRCLE | {"points": [1.0, 2.0, 3.0]}, "a circle cannot have 3 numbers"),
        (CIRCLE | {"points": [1.0, math.nan]}, "not a finite number"),
        (CIRCLE | {"radius": None}, "radius above 0"),
        (CIRCLE | {"radius": 0.0}, "radius above 0"),
        (BOX | {"radius": 2.0}, "radius above 0"),
        (BOX | {"points": [3.0, 2.0, 1.0, 4.0]}, "second corner"),
        (BOX | {"points": [1.0, 2.0]}, "a box cannot have 2 numbers"),
        (POLYGON | {"points": [1.0, 2.0, 3.0, 4.0]}, "a polygon cannot have 4 numbers"),
        (MASK | {"mask_path": None}, "needs mask_path"),
        (MASK | {"mask_path": "../secret.png"}, "below the archive's root"),
        (MASK | {"mask_path": "/secret.png"}, "below the archive's root"),
    ],
)
def test_what_breaks_the_contract_is_refused(tmp_path, row, message):
    with pytest.raises(TableError, match=message):
        write_annotations(_table(row), tmp_path / "a.parquet")
    assert not (tmp_path / "a.parquet").exists()


def test_columns_and_ids_are_checked(tmp_path):
    with pytest.raises(TableError, match=r"columns missing \['source'\]"):
        write_annotations(_table(CIRCLE).drop(columns="source"), tmp_path / "a.parquet")
    with pytest.raises(TableError, match="'a-r1' occurs more than once"):
        write_annotations(_table(CIRCLE, CIRCLE), tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("row", "box"),
    [
        (CIRCLE, Box(7.0, 17.0, 13.0, 23.0)),
        (BOX, Box(1.0, 2.0, 3.0, 2.0)),
        (POLYGON, Box(1.0, 2.0, 7.0, 9.0)),
        (MASK, None),
        (MASK | {"points": [1.0, 2.0, 5.0, 6.0]}, Box(1.0, 2.0, 5.0, 6.0)),
    ],
)
def test_the_box_around_a_region(row, box):
    assert bounding_box(row["shape"], row["points"], row["radius"]) == box


def test_the_middle_of_a_box():
    assert Box(1.0, 2.0, 4.0, 8.0).centre == (2.5, 5.0)
