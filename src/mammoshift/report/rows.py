"""Choosing rows of the tidy tables, and writing them as cells."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from mammoshift.configuration.judged import ReportSettings
from mammoshift.contracts.cases import TARGET
from mammoshift.report.formatting import (
    format_count,
    format_estimate,
    format_number,
    is_null,
    missing,
)
from mammoshift.report.vocabulary import THRESHOLDS, spoken

SUMMARIES = ("mean", "ensemble")
"""Values of `seed` that stand for all seeds, the preferred one first."""

NOT_EVALUATED = "not evaluated"
NOT_JUDGED = "not judged"
FIXED = "checkpoints_fixed"
VERDICT_LIMITS = "Limits of the verdict, corrected"
TESTED = (
    "family",
    "domain",
    "subset",
    "from_domain",
    "arm",
    "reference",
    "reference_domain",
    "subgroup",
    "subgroup_value",
    "metric",
    "criterion",
    "threshold_from",
)
"""Columns that name what a row tests; the others say how, and what came out."""


def cohort_name(domain: str, subset: str) -> str:
    """Return how the cases of a domain's subset are called in the report."""
    return domain if subset == TARGET else f"{domain} ({spoken(subset)})"


def headline(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of arms' AUC by the methods that the report leads with."""
    return leading(differences(comparisons))


def leading(tests: pd.DataFrame) -> pd.DataFrame:
    """Return those tests whose method the report leads with; none of a declared leak is."""
    return tests[tests["headline"].str.lower().isin({"true", "1"})]


def differences(
    comparisons: pd.DataFrame, metric: str | Iterable[str] = "auc", subgroup: str = "all"
) -> pd.DataFrame:
    """Return the tests of arms against their references on a domain; `any` is every subgroup."""
    on_one = (comparisons["from_domain"] == "") & (comparisons["reference_domain"] == "")
    rows = _of_metric(comparisons[on_one], metric)
    if subgroup == "any":
        return rows[rows["subgroup"] != "all"]
    return rows[rows["subgroup"] == subgroup]


def across_domains(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return the tests of arms against references that are judged on another domain."""
    return comparisons[comparisons["reference_domain"] != ""]


def means_of_pairs(tests: pd.DataFrame) -> pd.DataFrame:
    """Return those tests that are of the mean over a factor's pairs."""
    return tests[tests["pairs"].notna()]


def single_pairs(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the tests of one arm against its reference."""
    return tests[tests["pairs"].isna()]


def drops(comparisons: pd.DataFrame, metric: str | Iterable[str] = "auc") -> pd.DataFrame:
    """Return what arms lose from their own domain to another, without a reference."""
    rows = comparisons[(comparisons["from_domain"] != "") & (comparisons["reference"] == "")]
    return _of_metric(rows, metric)


def first_of_each(tests: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each thing that is tested: the leading method, which stands first."""
    return tests.drop_duplicates(list(TESTED))


def of_checkpoints(tests: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    """Return the row that holds the checkpoints fixed of what `row` tests with seeds as random."""
    if row["method"] == FIXED:
        return tests.iloc[:0]
    same = tests["method"] == FIXED
    for column in TESTED:
        same &= tests[column] == row[column]
    return tests[same]


def _of_metric(rows: pd.DataFrame, metric: str | Iterable[str]) -> pd.DataFrame:
    return rows[rows["metric"].isin([metric] if isinstance(metric, str) else list(metric))]


def select(metrics: pd.DataFrame, **values: str | Iterable[str]) -> pd.DataFrame:
    """Return the rows whose columns have the given value, or one of the given values.

    Rows of subgroups, and of maps of single folds, are left out unless `subgroup`, or `fold`, is
    among the given columns.
    """
    keep = np.ones(len(metrics), dtype=bool)
    for column, wanted in ({"subgroup": "all", "fold": ""} | values).items():
        allowed = [wanted] if isinstance(wanted, str) else list(wanted)
        keep &= metrics[column].isin(allowed).to_numpy()
    return metrics[keep]


def at_thresholds(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of operating points whose threshold needed no draw of local patients."""
    known = metrics["threshold_from"].isin(THRESHOLDS)
    return metrics[known & metrics["labelled_patients"].isna()]


def summarised(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that stand for all seeds: the mean, else the ensemble, else an only seed.

    Where several seeds have no summary there is none to print, and no row is returned.
    """
    for summary in SUMMARIES:
        chosen = rows[rows["seed"] == summary]
        if len(chosen):
            return chosen
    return rows if len(set(rows["seed"])) == 1 else rows.iloc[:0]


def of_arm(rows: pd.DataFrame, domain: str, subset: str, arm: str) -> pd.DataFrame:
    """Return the rows of one arm on one domain and subset."""
    return rows[(rows["domain"] == domain) & (rows["subset"] == subset) & (rows["arm"] == arm)]


def places(names: pd.Series, order: Iterable[str]) -> list[int]:
    """Return the position of each name in `order`; unknown names come last."""
    place = {name: i for i, name in enumerate(order)}
    return [place.get(name, len(place)) for name in names]


def in_study_order(rows: pd.DataFrame, settings: ReportSettings) -> pd.DataFrame:
    """Sort by domain and arm as the study lists them, keeping the order of the rest."""
    keys = pd.DataFrame(
        {
            "domain": places(rows["domain"], settings.domain_names),
            "arm": places(rows["arm"], settings.arm_names),
        },
        index=rows.index,
    )
    return rows.loc[keys.sort_values(["domain", "arm"], kind="stable").index]


def estimate_cell(row: pd.Series, decimals: int = 3, signed: bool = False) -> str:
    """Return the value of a row with its interval, or the reason in its note."""
    return format_estimate(
        row["value"],
        row["ci_low"],
        row["ci_high"],
        decimals=decimals,
        signed=signed,
        reason=row["note"],
    )


def first_estimate(rows: pd.DataFrame, decimals: int = 3, signed: bool = False) -> str:
    """Return the cell of the first row, or that nothing was evaluated."""
    if rows.empty:
        return missing(NOT_EVALUATED)
    return estimate_cell(rows.iloc[0], decimals, signed)


def first_number(rows: pd.DataFrame, decimals: int = 3) -> str:
    """Return the value of the first row without an interval, or why there is none."""
    if rows.empty:
        return missing(NOT_EVALUATED)
    return format_number(rows.iloc[0]["value"], decimals, rows.iloc[0]["note"])


def seed_values(rows: pd.DataFrame) -> str:
    """Return the values of the single seeds, in the order of the rows."""
    seeds = rows[~rows["seed"].isin(SUMMARIES)]
    values = [format_number(row["value"], 3, row["note"]) for _, row in seeds.iterrows()]
    return ", ".join(values) if values else missing(NOT_EVALUATED)


def spread_cell(rows: pd.DataFrame, decimals: int = 3) -> str:
    """Return the value over all seeds, with its interval or else the range of the seeds.

    A range is written in square brackets, so that it is not taken for an interval.
    """
    if rows.empty:
        return missing(NOT_EVALUATED)
    summary = summarised(rows)
    if summary.empty:
        return missing("no summary over the seeds")
    row = summary.iloc[0]
    if is_null(row["value"]) or not is_null(row["ci_low"]):
        return estimate_cell(row, decimals)
    text = format_number(row["value"], decimals)
    seeds = rows.loc[~rows["seed"].isin(SUMMARIES), "value"].dropna()
    if len(seeds) < 2:
        return text
    low, high = format_number(seeds.min(), decimals), format_number(seeds.max(), decimals)
    to = " to " if low.startswith("-") else "-"
    return f"{text} [{low}{to}{high}]"


def null_band_cell(rows: pd.DataFrame) -> str:
    """Return the mean and the upper limit of what a calibrated model would show."""
    rows = summarised(rows)
    if rows.empty:
        return missing(NOT_EVALUATED)
    row = rows.iloc[0]
    if is_null(row["value"]) or is_null(row["ci_high"]):
        return missing(row["note"])
    return f"{format_number(row['value'])}; {format_number(row['ci_high'])}"


def verdict_limits(row: pd.Series) -> str:
    """Return the limits that a verdict is read from, corrected for the number of tests."""
    if is_null(row["verdict_low"]) or is_null(row["verdict_high"]):
        return ""
    low, high = (format_number(row[f"verdict_{side}"]) for side in ("low", "high"))
    return f"{low} to {high}"


def class_counts(row: pd.Series) -> str:
    """Return how many positives and negatives a row rests on."""
    return f"{format_count(row['n_pos'])} / {format_count(row['n_neg'])}"
