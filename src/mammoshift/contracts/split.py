"""The split: which subset each labelled image of the source dataset belongs to."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mammoshift.files import atomic_path

SUBSETS = ("train", "validation", "test")

SPLIT_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("patient_id", pa.string()),
        pa.field("label", pa.int8(), nullable=False),
        pa.field("subset", pa.string(), nullable=False),
    ]
)


def write_split(split: pd.DataFrame, path: Path) -> None:
    """Write a split as Parquet."""
    table = pa.Table.from_pandas(split, schema=SPLIT_SCHEMA, preserve_index=False)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def read_split(path: Path) -> pd.DataFrame:
    """Read a split that `write_split` wrote."""
    return pq.read_table(path, schema=SPLIT_SCHEMA).to_pandas()
