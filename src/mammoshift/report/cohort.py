"""The cohort table: who and what is in each domain and subset, one count or number per row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from mammoshift.contracts.cases import OUT_OF_FOLD, TEST, UNUSED
from mammoshift.files import atomic_path

NO_CASE = "no_case"
COHORT_COLUMNS = ("domain", "subset", "characteristic", "level", "count", "value")
"""Columns of the cohort table.

subset          train | validation | test | out_of_fold | target | unused, or `no_case` for images
                of the domain's datasets that are no case of it; empty for what is known of the
                whole domain only. Of a split with folds, where training cases of one fold are
                those of another's test, only out_of_fold, test and unused are described
characteristic  patients, images, cases (where they are parts of images), images_without_patient,
                positives, negatives, density, view, laterality, manufacturer, bits, age,
                pixel_spacing_mm, excluded
level           the value counted, `unknown` for a null; for numbers `median`, `q1`, `q3`, `min`,
                `max` or `unknown`; otherwise empty
count, value    exactly one of the two is given
"""

_CATEGORIES = ("density", "view", "laterality", "manufacturer", "bits")
_NUMBERS = {"age": ("median", "q1", "q3"), "pixel_spacing_mm": ("median", "min", "max")}
_QUANTILES = {"min": 0.0, "q1": 0.25, "median": 0.5, "q3": 0.75, "max": 1.0}


def describe_cohort(
    domain: str, manifest: pd.DataFrame, cases: pd.DataFrame, excluded: int = 0
) -> pd.DataFrame:
    """Return the cohort table of one domain.

    Parameters
    ----------
    domain
        Its name.
    manifest
        The manifests of its datasets, one row per usable image.
    cases
        Its table of cases.
    excluded
        How many files of its datasets the quality-control tables list.
    """
    keys = ["dataset", "image_id"]
    folds = len(cases["subsets"].iloc[0])
    described = cases.assign(subset=cases["subsets"]).explode("subset")
    described = described.drop_duplicates(["case_id", "subset"])
    if folds > 1:
        described = described[described["subset"].isin({OUT_OF_FOLD, TEST, UNUSED})]
    rows: list[tuple[str, str, str, str, float | None, float | None]] = []
    for subset, part in described.groupby("subset", sort=True):
        images = manifest.merge(part[keys].drop_duplicates(), on=keys, validate="1:1")
        rows += [(domain, str(subset), *row) for row in _describe(images, part)]
    known = manifest.merge(cases[keys].drop_duplicates(), on=keys, how="left", indicator=True)
    rest = known[known["_merge"] == "left_only"]
    if len(rest):
        rows += [(domain, NO_CASE, *row) for row in _describe(rest, cases.iloc[:0])]
    rows.append((domain, "", "excluded", "", excluded, None))
    table = pd.DataFrame(rows, columns=list(COHORT_COLUMNS))
    return table.astype({"count": "Int64", "value": "Float64"})


def write_cohort(cohort: pd.DataFrame, path: Path) -> None:
    """Write a cohort table as CSV; tables of several domains may be concatenated before."""
    with atomic_path(path) as temporary:
        cohort[list(COHORT_COLUMNS)].to_csv(temporary, index=False, float_format="%.6g")


def images_without_patient(cohort: pd.DataFrame) -> dict[str, int]:
    """Return how many images of cases have no patient, by domain, of those that have any."""
    rows = cohort[cohort["characteristic"] == "images_without_patient"]
    rows = rows[rows["subset"] != NO_CASE]
    counts = rows.groupby("domain", sort=False)["count"].sum()
    return {str(domain): int(count) for domain, count in counts.items() if count}


def _describe(
    part: pd.DataFrame, cases: pd.DataFrame
) -> Iterator[tuple[str, str, float | None, float | None]]:
    """Yield (characteristic, level, count, value) of the images and cases of one subset."""
    patients = part["dataset"] + "/" + part["patient_id"]
    yield "patients", "", patients.nunique(), None
    yield "images", "", len(part), None
    if len(cases) > len(part):
        yield "cases", "", len(cases), None
    yield "images_without_patient", "", int(part["patient_id"].isna().sum()), None
    yield "positives", "", int((cases["label"] == 1).sum()), None
    yield "negatives", "", int((cases["label"] == 0).sum()), None
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
