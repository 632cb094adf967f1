"""The prediction table: one row for each scored image of one study, arm, seed and target."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mammoshift.errors import TableError
from mammoshift.files import atomic_path

PREDICTION_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("patient_id", pa.string()),
        pa.field("laterality", pa.string()),
        pa.field("view", pa.string()),
        pa.field("density", pa.string()),
        pa.field("lesion_types", pa.string()),
        pa.field("subset", pa.string(), nullable=False),
        pa.field("label", pa.int8(), nullable=False),
        pa.field("logit", pa.float64(), nullable=False),
    ]
)
"""Columns of a prediction table.

density  a to d on the BI-RADS scale; the name of another scale stands before it (`mias_d`)
subset   `validation` and `test` for the source dataset, `target` for an external one
label    1 positive, 0 negative, as the study's task defines it
logit    log-odds of the positive class; higher means more suspicious
"""


def write_predictions(predictions: pd.DataFrame, path: Path) -> None:
    """Write a prediction table as Parquet.

    Raises
    ------
    TableError
        If a logit is not finite; the image is named.
    """
    wrong = predictions.loc[~predictions["logit"].abs().lt(float("inf")), "image_id"]
    if len(wrong):
        raise TableError(f"{path}: image {wrong.iloc[0]}: the logit is not finite")
    table = pa.Table.from_pandas(predictions, schema=PREDICTION_SCHEMA, preserve_index=False)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read a prediction table that `write_predictions` wrote.

    Raises
    ------
    TableError
        If a column that no row may lack has a null.
    """
    table = pq.read_table(path, schema=PREDICTION_SCHEMA)
    for field in PREDICTION_SCHEMA:
        if not field.nullable and table.column(field.name).null_count:
            raise TableError(
                f"{path}: column {field.name}: has rows without a value; delete the table and "
                "score the images again"
            )
    return table.to_pandas()
