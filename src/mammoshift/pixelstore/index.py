"""The index of a shard: one row for each stored image, in the order of the array file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mammoshift.errors import TableError
from mammoshift.files import atomic_path

FINE_HASH_BYTES = 64
ARRAY_FILE = "shard.npy"
INDEX_FILE = "index.parquet"
EXCLUSIONS_FILE = "exclusions.csv"

LEAST_FILLED_SHARE = 0.1
"""Share of its range that an array's breast should fill; below it the image is named."""

INDEX_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("std", pa.float64(), nullable=False),
        pa.field("min", pa.int32(), nullable=False),
        pa.field("max", pa.int32(), nullable=False),
        pa.field("pixel_hash", pa.string(), nullable=False),
        pa.field("perceptual_hash", pa.uint64(), nullable=False),
        pa.field("fine_hash", pa.binary(FINE_HASH_BYTES), nullable=False),
        pa.field("crop_top", pa.int32(), nullable=False),
        pa.field("crop_left", pa.int32(), nullable=False),
        pa.field("crop_bottom", pa.int32(), nullable=False),
        pa.field("crop_right", pa.int32(), nullable=False),
        pa.field("flipped", pa.bool_(), nullable=False),
        pa.field("breast_found", pa.bool_(), nullable=False),
        pa.field("certainty", pa.float32(), nullable=False),
        pa.field("filled_share", pa.float32(), nullable=False),
        pa.field("pixel_spacing_down_mm", pa.float32()),
        pa.field("pixel_spacing_along_mm", pa.float32()),
        pa.field("box_left", pa.int32()),
        pa.field("box_top", pa.int32()),
        pa.field("box_right", pa.int32()),
        pa.field("box_bottom", pa.int32()),
    ]
)
"""Columns of `index.parquet`.

item_id                 unique in a store: the image, or the image and the number of a patch of it
row                     position in `shard.npy`
mean, std, min, max     of the stored array, 0 to 65535, padding included
pixel_hash              see `mammoshift.pixelstore.fingerprints.pixel_hash`
perceptual_hash         difference hash (64 bits) of the array without its padding
fine_hash               finer difference hash (512 bits) of the same
crop_*                  what of the decoded image was used, in its pixels; ends excluded
flipped                 left and right were exchanged
certainty               of the breast's mask: see `mammoshift.imaging.breast.BreastRegion`
filled_share            share of the range of intensities that the breast fills
breast_found            false where no breast was found and the whole image was used
box_*                   of a patch, in pixels of the decoded image; ends excluded; null for an image
pixel_spacing_*_mm      of the stored array, down a column and along a row; null when unknown
"""


def write_index(rows: list[dict[str, object]], path: Path) -> None:
    """Write the rows of an index, which have the columns of `INDEX_SCHEMA`, as Parquet."""
    table = pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def read_index(folder: Path) -> pd.DataFrame:
    """Read the index of the shard in `folder`.

    Raises
    ------
    TableError
        If the index is missing or is not what this version writes.
    """
    path = folder / INDEX_FILE
    try:
        table = pq.read_table(path)
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise TableError(f"{path}: no readable index; preprocess this shard again") from error
    if table.schema.names != INDEX_SCHEMA.names:
        raise TableError(f"{path}: the columns are not those of the contract; make it again")
    return table.cast(INDEX_SCHEMA).to_pandas()
