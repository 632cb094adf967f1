"""The cases of a domain: what is trained on or judged, one row for each image or patch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from mammoshift.contracts.parquet import read_table, write_table
from mammoshift.errors import TableError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
OUT_OF_FOLD, TARGET, UNUSED = "out_of_fold", "target", "unused"
SUBSETS = (TRAIN, VALIDATION, TEST)
ALL_SUBSETS = (*SUBSETS, OUT_OF_FOLD, TARGET, UNUSED)
JUDGED_SUBSETS = (TEST, OUT_OF_FOLD, TARGET)
"""Subsets that results are reported for; models were fitted and chosen on other patients."""

CASES_SCHEMA = pa.schema(
    [
        pa.field("case_id", pa.string(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("box_left", pa.int32()),
        pa.field("box_top", pa.int32()),
        pa.field("box_right", pa.int32()),
        pa.field("box_bottom", pa.int32()),
        pa.field("patient_id", pa.string()),
        pa.field("pair_id", pa.string()),
        pa.field("exam_id", pa.string()),
        pa.field("unit_id", pa.string(), nullable=False),
        pa.field("label", pa.int8(), nullable=False),
        pa.field("unit_label", pa.int8(), nullable=False),
        pa.field("subsets", pa.list_(pa.string()), nullable=False),
        pa.field("laterality", pa.string()),
        pa.field("view", pa.string()),
        pa.field("pathology", pa.string()),
        pa.field("density", pa.string()),
        pa.field("birads", pa.string()),
        pa.field("lesion_types", pa.string()),
        pa.field("age", pa.int16()),
        pa.field("official_split", pa.string()),
        pa.field("manufacturer", pa.string()),
        pa.field("detector", pa.string()),
        pa.field("pixel_spacing_mm", pa.float32()),
        pa.field("site", pa.string()),
    ]
)
"""Columns of a table of cases, sorted by `case_id`.

case_id     unique within the domain: `item_id`, in a domain of several datasets with
            `<dataset>/` before it
image_id    the image that the case is, or is a part of
item_id     the case in the pixel store: the image, or a patch of it
box_*       of a patch, in pixels of the stored image, ends excluded; null for a whole image
patient_id  as in the manifest, in a domain of several datasets with `<dataset>/` before it; null
            when the archive does not say
pair_id     matched cases and controls share it; in a domain of several datasets as patient_id
unit_id     what is judged: the case itself, or the breast or patient that it belongs to
label       1 positive, 0 negative: what the domain's task says of the case
unit_label  the same of the unit; an image of the healthy breast of a patient with cancer may be
            negative in a positive unit
subsets     one for each fold of the domain's split (one for a split without folds): train,
            validation, out_of_fold (the fold's own part), test, target (a domain without a
            split) or unused
density     a to d on the BI-RADS scale; the name of another scale stands before it (`mias_d`),
            since `d` is dense there and extremely dense here
the rest    as in the manifest
"""


def write_cases(cases: pd.DataFrame, path: Path) -> None:
    """Check a table of cases against the contract and write it as Parquet.

    Raises
    ------
    TableError
        If a case occurs twice, a subset is unknown, or rows differ in their number of folds.
    """
    check_cases(cases, path)
    table = pa.Table.from_pandas(cases, schema=CASES_SCHEMA, preserve_index=False)
    write_table(table, path)


def read_cases(path: Path) -> pd.DataFrame:
    """Read a table of cases that `write_cases` wrote; `subsets` holds tuples."""
    table = read_table(path, CASES_SCHEMA).to_pandas()
    table["subsets"] = [tuple(subsets) for subsets in table["subsets"]]
    return table


def check_cases(cases: pd.DataFrame, where: Path) -> None:
    """Raise `TableError` when a table of cases breaks the contract."""
    repeated = cases["case_id"][cases["case_id"].duplicated()]
    if len(repeated):
        raise TableError(f"{where}: case {repeated.iloc[0]} occurs more than once")
    if len({len(subsets) for subsets in cases["subsets"]}) > 1:
        raise TableError(f"{where}: the cases differ in their number of folds")
    unknown = {s for subsets in cases["subsets"] for s in subsets} - set(ALL_SUBSETS)
    if unknown:
        raise TableError(f"{where}: unknown subset {sorted(unknown)[0]!r}")


def subset_of(cases: pd.DataFrame, fold: int) -> pd.Series[str]:
    """Return the subset of each case in one fold."""
    values = [subsets[fold] for subsets in cases["subsets"]]
    return pd.Series(values, index=cases.index, dtype="str")


def learned_cases(cases: pd.DataFrame, fold: int) -> pd.DataFrame:
    """Return the cases that a run of a fold may learn from, with their `subset`."""
    table = cases.assign(subset=subset_of(cases, fold))
    return table[table["subset"].isin([TRAIN, VALIDATION])]


def cases_digest(cases: pd.DataFrame) -> str:
    """Return a hash of which cases a run may learn from: columns `case_id` and `subset`."""
    rows = sorted(zip(cases["case_id"], cases["subset"], strict=True))
    text = "\n".join(f"{name}\0{subset}" for name, subset in rows)
    return hashlib.sha256(text.encode()).hexdigest()


def patient_keys(cases: pd.DataFrame) -> pd.Series[str]:
    """Return what identifies each case's patient; a case of unknown patient is its own.

    In a domain of several datasets, whose cases begin with the name of their dataset, an image
    does so too: two archives may give the same name to different images.
    """
    known = cases["patient_id"].notna()
    named = "patient " + cases["patient_id"].astype("string")
    image = cases["image_id"].astype("string")
    prefixed = cases["dataset"].astype("string") + "/"
    several = cases["case_id"].astype("string") == prefixed + cases["item_id"].astype("string")
    alone = "image " + (prefixed + image).where(several, image)
    return named.where(known, alone).astype("str")


def cases_by_domain(paths: Iterable[str | Path]) -> dict[str, pd.DataFrame]:
    """Return tables of cases by the domain that each names.

    Raises
    ------
    TableError
        If a table is empty or two are of one domain.
    """
    found: dict[str, pd.DataFrame] = {}
    for path in map(Path, paths):
        table = read_cases(path)
        names = table["domain"].unique()
        if len(names) != 1 or names[0] in found:
            raise TableError(f"{path}: not the only table of cases of one domain; make it again")
        found[str(names[0])] = table
    return found
