"""The manifest: one row for each usable image of a dataset, and the table of those left out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from mammoshift.contracts.exclusion import QC_COLUMNS, Exclusion
from mammoshift.contracts.parquet import read_table, write_table
from mammoshift.contracts.vocabulary import (
    BIRADS,
    DENSITIES,
    DENSITY_SCALES,
    LATERALITIES,
    OFFICIAL_SPLITS,
    PATHOLOGIES,
    VIEWS,
)
from mammoshift.errors import TableError
from mammoshift.files import atomic_path

MANIFEST_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("patient_id", pa.string(), nullable=True),
        pa.field("exam_id", pa.string()),
        pa.field("pair_id", pa.string()),
        pa.field("site", pa.string()),
        pa.field("laterality", pa.string()),
        pa.field("view", pa.string()),
        pa.field("pathology", pa.string()),
        pa.field("patient_pathology", pa.string()),
        pa.field("density", pa.string()),
        pa.field("density_scale", pa.string()),
        pa.field("birads", pa.string()),
        pa.field("lesion_types", pa.string()),
        pa.field("age", pa.int16()),
        pa.field("official_split", pa.string()),
        pa.field("manufacturer", pa.string()),
        pa.field("detector", pa.string()),
        pa.field("pixel_spacing_mm", pa.float32()),
        pa.field("bits", pa.int16()),
        pa.field("rows", pa.int32()),
        pa.field("columns", pa.int32()),
        pa.field("path", pa.string(), nullable=False),
        pa.field("content_key", pa.string(), nullable=False),
    ]
)
"""Columns of the manifest.

image_id          unique within the dataset, made of safe characters only: A-Z a-z 0-9 _ . -
dataset           the dataset's name in the configuration
patient_id        the unit of grouping and clustering; null when the archive does not say
exam_id           null when unknown
pair_id           matched case-control pair: shared by the patients of one pair; null without one
site              where the image was made, for archives of several places; null when unknown
laterality        left | right
view              a word of `mammoshift.contracts.vocabulary`, as are the following
pathology         normal | benign | malignant, of this image; null when the archive gives no label
patient_pathology normal | benign | malignant, of the patient; given only where the archive says
                  it of the patient: an image of the healthy side of a patient with cancer is
                  normal itself
density           a..d on the BI-RADS scale, f | g | d on the MIAS scale
density_scale     birads | mias
birads            assessment category as text: 0 1 2 3 4 4a 4b 4c 5 6, the highest where several
lesion_types      sorted, joined by "+", each of `LESION_TYPES`; null when there is no lesion
age               years
official_split    train | test | both (an image in two parts) where the archive has parts
manufacturer, detector
pixel_spacing_mm  at the detector or on the film; null when unknown, never guessed
bits              significant bits of a stored pixel
rows, columns     of the stored image; null where only decoding would tell
path              relative to the archive's root, with forward slashes
content_key       key of the file's content: see `mammoshift.archives.listing.content_key`
"""

_SAFE_ID = "[A-Za-z0-9_.-]{1,200}"


def write_manifest(manifest: pd.DataFrame, path: Path) -> None:
    """Check `manifest` against the contract and write it as Parquet.

    Raises
    ------
    TableError
        If a column is missing or unknown, an `image_id` occurs twice or is not made of safe
        characters, or a value lies outside its vocabulary.
    """
    check_manifest(manifest, path)
    table = pa.Table.from_pandas(manifest, schema=MANIFEST_SCHEMA, preserve_index=False)
    write_table(table, path)


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a manifest that `write_manifest` wrote."""
    return read_table(path, MANIFEST_SCHEMA).to_pandas()


def check_manifest(manifest: pd.DataFrame, where: Path) -> None:
    """Raise `TableError` when `manifest` breaks the contract; `where` is named in the message."""
    wanted, found = set(MANIFEST_SCHEMA.names), set(manifest.columns)
    if wanted != found:
        raise TableError(
            f"{where}: columns missing {sorted(wanted - found)}, unknown {sorted(found - wanted)}"
        )
    repeated = manifest["image_id"][manifest["image_id"].duplicated()]
    if len(repeated):
        raise TableError(f"{where}: image_id {repeated.iloc[0]!r} occurs more than once")
    ids = manifest["image_id"].astype("string")
    unsafe = manifest["image_id"][~ids.str.fullmatch(_SAFE_ID).fillna(False).astype(bool)]
    if len(unsafe):
        raise TableError(
            f"{where}: image_id {unsafe.iloc[0]!r} must be 1 to 200 of the characters "
            "A-Z a-z 0-9 _ . -"
        )
    vocabularies = {
        "laterality": LATERALITIES,
        "view": VIEWS,
        "pathology": PATHOLOGIES,
        "patient_pathology": PATHOLOGIES,
        "density": DENSITIES,
        "density_scale": DENSITY_SCALES,
        "birads": BIRADS,
        "official_split": OFFICIAL_SPLITS,
    }
    for column, allowed in vocabularies.items():
        given = manifest[column].dropna()
        wrong = given[~given.isin(allowed)]
        if len(wrong):
            row = manifest.loc[wrong.index[0], "image_id"]
            raise TableError(
                f"{where}: image {row}: {column} is {wrong.iloc[0]!r}; "
                f"allowed: {', '.join(allowed)}"
            )


def write_exclusions(exclusions: list[Exclusion], path: Path) -> None:
    """Write the quality-control table as CSV, one line for each exclusion, sorted by path."""
    rows = sorted((e.dataset, e.path, e.stage, e.reason, e.code) for e in exclusions)
    with atomic_path(path) as temporary:
        pd.DataFrame(rows, columns=list(QC_COLUMNS)).to_csv(temporary, index=False)


def read_exclusions(path: Path) -> list[Exclusion]:
    """Read a quality-control table that `write_exclusions` wrote."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return [Exclusion(*row) for row in table[list(QC_COLUMNS)].itertuples(index=False)]
