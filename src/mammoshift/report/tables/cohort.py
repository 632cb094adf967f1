"""Who and what was studied: cohorts and the files that were left out."""

from __future__ import annotations

import pandas as pd

from mammoshift.contracts.cases import ALL_SUBSETS
from mammoshift.report.cohort import NO_CASE
from mammoshift.report.formatting import (
    format_count,
    format_estimate,
    format_number,
    format_share,
)
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.rows import cohort_name

_CATEGORY_HEADS = {
    "density": "Breast density",
    "view": "View",
    "laterality": "Laterality",
    "manufacturer": "Manufacturer",
    "bits": "Significant bits",
}
_MANUFACTURERS_SHOWN = 8


def cohort_table(data: ReportData) -> PublicationTable | None:
    """Return T1: what each domain and subset holds, one cohort per column."""
    cohort = data.cohort
    heads: list[tuple[str, str, str]] = []
    for domain in data.settings.domain_names:
        present = set(cohort.loc[cohort["domain"] == domain, "subset"])
        subsets = (name for name in (*ALL_SUBSETS, NO_CASE) if name in present)
        heads += [(domain, subset, cohort_name(domain, subset)) for subset in subsets]
    if not heads:
        return None
    columns = [_cohort_column(cohort, domain, subset) for domain, subset, _ in heads]
    rows: dict[tuple[str, str], None] = {}
    for group in _cohort_groups():
        found = {key for column in columns for key in column if key[0] == group}
        rows.update(dict.fromkeys(sorted(found, key=_level_order)))
    cells = pd.DataFrame(
        [[*row, *(column.get(row, _absent(row)) for column in columns)] for row in rows],
        columns=["Characteristic", "Level", *(head for _, _, head in heads)],
    )
    return PublicationTable("cohort", cells, row_headers=2)


def _cohort_groups() -> tuple[str, ...]:
    numbers = ("Age, years", "Pixel spacing, mm", "Files left out of the dataset")
    return ("Patients", "Images", "Cases", *_CATEGORY_HEADS.values(), *numbers)


_LEVEL_ORDER = (
    "all",
    "positive",
    "negative",
    "without a patient id",
    "median (quartiles)",
    "median (range)",
)


def _level_order(row: tuple[str, str]) -> tuple[bool, int, str]:
    """Sort known levels as listed, others by name, `others` and `unknown` last."""
    _, level = row
    place = _LEVEL_ORDER.index(level) if level in _LEVEL_ORDER else len(_LEVEL_ORDER)
    return level in {"unknown", "others"}, place, level


def _absent(row: tuple[str, str]) -> str:
    """Return the cell of a cohort that has no such row: labels are of images, or of cases."""
    characteristic, level = row
    return "" if characteristic == "Cases" or level in ("positive", "negative") else "0"


def _cohort_column(cohort: pd.DataFrame, domain: str, subset: str) -> dict[tuple[str, str], str]:
    """Return {(characteristic, level): cell} of one cohort."""
    of_domain = cohort[cohort["domain"] == domain]
    part = of_domain[of_domain["subset"] == subset]
    counts = part.dropna(subset=["count"]).groupby("characteristic")
    known = {str(name): rows.set_index("level")["count"] for name, rows in counts}
    images = int(known["images"].iloc[0]) if "images" in known else 0

    def single(name: str) -> int:
        return int(known[name].iloc[0]) if name in known else 0

    patients = single("patients")
    unknown = images > 0 and single("images_without_patient") == images
    cells = {
        ("Patients", "all"): "not named" if unknown else f"{patients:,}",
        ("Images", "all"): f"{images:,}",
    }
    of_cases, total = "Images", images
    if single("cases"):
        of_cases, total = "Cases", single("cases")
        cells["Cases", "all"] = f"{total:,}"
    labels = {"positives": "positive", "negatives": "negative"} if subset != NO_CASE else {}
    for name, level in labels.items():
        cells[of_cases, level] = format_share(single(name), total)
    if single("images_without_patient"):
        without = format_share(single("images_without_patient"), images)
        cells["Images", "without a patient id"] = without
    for name, head in _CATEGORY_HEADS.items():
        levels = known.get(name, pd.Series(dtype=float)).astype(int)
        if name == "manufacturer" and len(levels) > _MANUFACTURERS_SHOWN:
            levels = levels.sort_values(ascending=False, kind="stable")
            others = int(levels.iloc[_MANUFACTURERS_SHOWN:].sum())
            levels = pd.concat([levels.iloc[:_MANUFACTURERS_SHOWN], pd.Series({"others": others})])
        for level, count in levels.items():
            cells[head, str(level)] = format_share(int(count), images)
    cells |= _cohort_numbers(part)
    left_out = of_domain.loc[of_domain["characteristic"] == "excluded", "count"]
    if len(left_out):
        cells["Files left out of the dataset", "all"] = format_count(left_out.iloc[0])
    return cells


def _cohort_numbers(part: pd.DataFrame) -> dict[tuple[str, str], str]:
    cells: dict[tuple[str, str], str] = {}
    for name, head, low, high, level, decimals in (
        ("age", "Age, years", "q1", "q3", "median (quartiles)", 0),
        ("pixel_spacing_mm", "Pixel spacing, mm", "min", "max", "median (range)", 3),
    ):
        rows = part[part["characteristic"] == name]
        value = rows.dropna(subset=["value"]).set_index("level")["value"]
        if {"median", low, high} <= set(value.index):
            middle, lowest, highest = (float(value[limit]) for limit in ("median", low, high))
            constant = lowest == highest
            cells[head, level] = (
                format_number(middle, decimals)
                if constant
                else format_estimate(middle, lowest, highest, decimals=decimals)
            )
        else:
            cells[head, level] = "not recorded"
        unknown = rows.loc[rows["level"] == "unknown", "count"]
        if len(unknown) and unknown.iloc[0]:
            cells[head, "unknown"] = format_count(unknown.iloc[0])
    return cells


def exclusion_table(data: ReportData) -> PublicationTable | None:
    """Return how many files were left out, by dataset, stage and reason; paths are not shown."""
    counts = data.exclusions
    if counts.empty:
        return None
    cells = pd.DataFrame(
        {
            "Dataset": counts["dataset"],
            "Stage": counts["stage"],
            "Reason": counts["reason"],
            "Files": counts["files"].map(format_count),
        }
    )
    return PublicationTable("exclusions", cells, row_headers=3)
