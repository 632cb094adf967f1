"""The features of a dataset's images, and the scores that one arm lends to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mammoshift.contracts.parquet import read_table, write_table
from mammoshift.errors import TableError

DATASET = "dataset"
_IDENTITY = (
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("pixel_hash", pa.string(), nullable=False),
    pa.field("spacing_mm", pa.float64()),
)
IDENTITY = tuple(field.name for field in _IDENTITY)
"""Columns of a table of features beside the features themselves.

item_id     as in the pixel store, by which the table is sorted
pixel_hash  of the stored array that the features are of
spacing_mm  of the stored array, the mean of both directions; null when unknown
"""

SCORES_SCHEMA = pa.schema(
    [
        pa.field("arm", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("case_id", pa.string(), nullable=False),
        pa.field("logit", pa.float64(), nullable=False),
    ]
)
"""What an arm says of the cases of a domain, for another arm to read; nothing is judged by it.

The logits of the arm's folds are averaged: none of them has seen a case of the domain.
"""


def write_features(table: pd.DataFrame, names: Sequence[str], dataset: str, path: Path) -> None:
    """Write the features `names` of a dataset's images; NaN is null: not defined, or no breast.

    Raises
    ------
    TableError
        If an image occurs twice, or a feature is infinite.
    """
    repeated = table["item_id"][table["item_id"].duplicated()]
    if len(repeated):
        raise TableError(f"{path}: image {repeated.iloc[0]} occurs twice")
    infinite = np.argwhere(np.isinf(table[list(names)].to_numpy(dtype=np.float64)))
    if len(infinite):
        row, column = infinite[0]
        raise TableError(f"{path}: {table['item_id'].iloc[row]}: {names[column]} is infinite")
    fields = [*_IDENTITY, *(pa.field(name, pa.float64()) for name in names)]
    schema = pa.schema(fields, metadata={DATASET: dataset})
    ordered = table.sort_values("item_id")[schema.names]
    write_table(pa.Table.from_pandas(ordered, schema=schema, preserve_index=False), path)


def read_features(path: Path) -> tuple[str, pd.DataFrame]:
    """Return the dataset, and its features with `item_id` as index, that `write_features` wrote.

    Raises
    ------
    TableError
        If the table is not one of features.
    """
    table = read_table(path)
    metadata = table.schema.metadata or {}
    if DATASET.encode() not in metadata or table.schema.names[: len(IDENTITY)] != list(IDENTITY):
        raise TableError(f"{path}: not a table of features; delete it and run again")
    dataset = metadata[DATASET.encode()].decode()
    return dataset, pd.DataFrame(table.to_pandas(ignore_metadata=True)).set_index("item_id")


def features_by_dataset(paths: Iterable[str | Path]) -> dict[str, pd.DataFrame]:
    """Return tables of features, without their `IDENTITY`, by the dataset that each names.

    Raises
    ------
    TableError
        If two are of one dataset, or their features differ.
    """
    found: dict[str, pd.DataFrame] = {}
    for path in map(Path, paths):
        dataset, table = read_features(path)
        own = table.drop(columns=[name for name in IDENTITY if name in table.columns])
        if dataset in found:
            raise TableError(f"{path}: another table of features of {dataset}")
        if any(list(other.columns) != list(own.columns) for other in found.values()):
            raise TableError(f"{path}: other features than those of the other datasets")
        found[dataset] = own
    return found


def features_of_cases(tables: Mapping[str, pd.DataFrame], cases: pd.DataFrame) -> pd.DataFrame:
    """Return the features of those cases whose image has a row, with `case_id` as index.

    Raises
    ------
    TableError
        If a dataset of a case has no table.
    """
    absent = set(cases["dataset"]) - set(tables)
    if absent:
        raise TableError(f"there is no table of features of the dataset {sorted(absent)[0]}")
    parts = []
    for dataset, own in cases.groupby("dataset", sort=True):
        table = tables[str(dataset)]
        known = own[own["item_id"].isin(table.index)]
        found = table.loc[known["item_id"]]
        parts.append(found.set_axis(pd.Index(known["case_id"], name="case_id"), axis=0))
    return pd.concat(parts).sort_index()


def write_scores(scores: pd.DataFrame, path: Path) -> None:
    """Write what an arm says of the cases of a domain.

    Raises
    ------
    TableError
        If a logit is not finite, or a seed has a case twice.
    """
    wrong = scores.loc[~scores["logit"].abs().lt(float("inf")), "case_id"]
    if len(wrong):
        raise TableError(f"{path}: case {wrong.iloc[0]}: the logit is not finite")
    repeated = scores["case_id"][scores.duplicated(["seed", "case_id"])]
    if len(repeated):
        raise TableError(f"{path}: case {repeated.iloc[0]} occurs twice for a seed")
    write_table(pa.Table.from_pandas(scores, schema=SCORES_SCHEMA, preserve_index=False), path)


def read_scores(paths: Iterable[str | Path], domain: str, seed: int) -> pd.DataFrame:
    """Return the logits of one seed, a column for each arm and `case_id` as index.

    Raises
    ------
    TableError
        If a table is of another domain, of several arms, or of an arm that has another table, or
        lacks the seed.
    """
    columns: dict[str, pd.Series] = {}
    for path in map(Path, paths):
        table = read_table(path, SCORES_SCHEMA).to_pandas()
        arms, domains = set(table["arm"]), set(table["domain"])
        if domains != {domain} or len(arms) != 1 or arms & set(columns):
            raise TableError(f"{path}: not the scores of one arm on {domain}; delete it")
        own = table[table["seed"] == seed]
        if own.empty:
            raise TableError(f"{path}: has no scores of seed {seed}; delete it and run again")
        columns[arms.pop()] = own.set_index("case_id")["logit"]
    return pd.DataFrame(columns).sort_index()
