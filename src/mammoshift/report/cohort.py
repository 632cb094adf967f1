"""The cohort table: who and what is in each dataset and subset, one count or number per row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from mammoshift.files import atomic_path

COHORT_COLUMNS = ("dataset", "subset", "characteristic", "level", "count", "value")
"""Columns of the cohort table.

subset          train | validation | test | target, or `unlabelled` for images without a label;
                empty for what is known of the whole dataset only
characteristic  patients, images, images_without_patient, positives, negatives, density, view,
                laterality, manufacturer, bits, age, pixel_spacing_mm, excluded
level           the value counted, `unknown` for a null; for numbers `median`, `q1`, `q3`, `min`,
                `max` or `unknown`; otherwise empty
count, value    exactly one of the two is given
"""

_CATEGORIES = ("density", "view", "laterality", "manufacturer", "bits")
_NUMBERS = {"age": ("median", "q1", "q3"), "pixel_spacing_mm": ("median", "min", "max")}
_QUANTILES = {"min": 0.0, "q1": 0.25, "median": 0.5, "q3": 0.75, "max": 1.0}


def describe_cohort(
    manifest: pd.DataFrame, assigned: pd.DataFrame, excluded: int = 0
) -> pd.DataFrame:
    """Return the cohort table of one dataset.

    Parameters
    ----------
    manifest
        The dataset's manifest, one row per usable image.
    assigned
        Columns `image_id`, `subset` and `label` (1 positive, 0 negative) of the labelled images.
    excluded
        How many files the quality-control tables list.
    """
    images = manifest.merge(
        assigned[["image_id", "subset", "label"]], on="image_id", how="left", validate="1:1"
    )
    images["subset"] = images["subset"].fillna("unlabelled")
    rows: list[tuple[str, str, str, str, float | None, float | None]] = []
    for dataset, of_dataset in images.groupby("dataset", sort=True):
        for subset, part in of_dataset.groupby("subset", sort=True):
            rows += [(str(dataset), str(subset), *row) for row in _describe(part)]
        rows.append((str(dataset), "", "excluded", "", excluded, None))
    table = pd.DataFrame(rows, columns=list(COHORT_COLUMNS))
    return table.astype({"count": "Int64", "value": "Float64"})


def write_cohort(cohort: pd.DataFrame, path: Path) -> None:
    """Write a cohort table as CSV; tables of several datasets may be concatenated before."""
    with atomic_path(path) as temporary:
        cohort[list(COHORT_COLUMNS)].to_csv(temporary, index=False, float_format="%.6g")


def _describe(part: pd.DataFrame) -> Iterator[tuple[str, str, float | None, float | None]]:
    """Yield (characteristic, level, count, value) of the images of one subset."""
    yield "patients", "", part["patient_id"].nunique(), None
    yield "images", "", len(part), None
    yield "images_without_patient", "", int(part["patient_id"].isna().sum()), None
    yield "positives", "", int((part["label"] == 1).sum()), None
    yield "negatives", "", int((part["label"] == 0).sum()), None
    for column in _CATEGORIES:
        levels = _levels(part, column)
        for level, count in levels.value_counts().sort_index().items():
            yield column, str(level), int(count), None
    for column, statistics in _NUMBERS.items():
        numbers = part[column].dropna().astype(float)
        if len(numbers):
            for statistic in statistics:
                yield column, statistic, None, float(numbers.quantile(_QUANTILES[statistic]))
        yield column, "unknown", len(part) - len(numbers), None


def _levels(part: pd.DataFrame, column: str) -> pd.Series:
    """Return a categorical column as text, the density with its scale in front."""
    values = part[column]
    text = values.astype("Int64").astype("string") if column == "bits" else values.astype("string")
    if column == "density":
        text = part["density_scale"].astype("string") + " " + text
    return text.fillna("unknown")
