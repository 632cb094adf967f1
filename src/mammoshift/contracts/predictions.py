"""The prediction table: the logits of all runs of one arm on one domain of one study."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from mammoshift.contracts.parquet import read_table, write_table
from mammoshift.errors import TableError

PREDICTION_SCHEMA = pa.schema(
    [
        pa.field("arm", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("fold", pa.int16(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("subset", pa.string(), nullable=False),
        pa.field("case_id", pa.string(), nullable=False),
        pa.field("logit", pa.float64(), nullable=False),
    ]
)
"""Columns of a prediction table.

arm, seed, fold  the run that scored
subset           of the case in the run's own split: validation, test or out_of_fold on the domain
                 that the arm was trained on; elsewhere what the case is for any other model:
                 test, out_of_fold or target
case_id          of the domain's table of cases; the unit for a kind of arm that scores patients
logit            log-odds of the positive class; higher means more suspicious
"""


def write_predictions(predictions: pd.DataFrame, path: Path) -> None:
    """Write a prediction table as Parquet.

    Raises
    ------
    TableError
        If a logit is not finite, or a run has a case twice; the case is named.
    """
    wrong = predictions.loc[~predictions["logit"].abs().lt(float("inf")), "case_id"]
    if len(wrong):
        raise TableError(f"{path}: case {wrong.iloc[0]}: the logit is not finite")
    repeated = predictions["case_id"][predictions.duplicated(["arm", "seed", "fold", "case_id"])]
    if len(repeated):
        raise TableError(f"{path}: case {repeated.iloc[0]} occurs twice in a run")
    table = pa.Table.from_pandas(predictions, schema=PREDICTION_SCHEMA, preserve_index=False)
    write_table(table, path)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read a prediction table that `write_predictions` wrote.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    TableError
        If a column that no row may lack has a null.
    """
    table = read_table(path, PREDICTION_SCHEMA)
    for field in PREDICTION_SCHEMA:
        if not field.nullable and table.column(field.name).null_count:
            raise TableError(
                f"{path}: column {field.name}: has rows without a value; delete the table and "
                "score the images again"
            )
    return table.to_pandas()
