"""Tests between arms: the headline of each family, all methods, each seed."""

from __future__ import annotations

import pandas as pd

from mammoshift.configuration.judged import ReportSettings
from mammoshift.report.formatting import format_estimate, format_number, format_p, is_null
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.rows import class_counts, cohort_name, headline, places
from mammoshift.report.vocabulary import COMPARISON_METHODS, CORRECTIONS, spoken

MANY_DEGREES = 1000
_SHOWN_APART = ("delong_paired", "omnibus", "difference_of_drops")


def headline_comparison_table(data: ReportData) -> PublicationTable | None:
    """Return T3: the test that leads in each family."""
    return _comparison_table("comparisons", headline(data.comparisons), data.settings, method=False)


def combined_comparison_table(data: ReportData) -> PublicationTable | None:
    """Return every test that combines the seeds or the domains, the headline method first."""
    rows = data.comparisons[~data.comparisons["method"].isin(_SHOWN_APART)]
    return _comparison_table("comparisons_all_methods", rows, data.settings, method=True)


def omnibus_table(data: ReportData) -> PublicationTable | None:
    """Return the tests that all arms of a family have the same AUC on a domain."""
    rows = data.comparisons[data.comparisons["method"] == "omnibus"]
    if rows.empty:
        return None
    rows = comparisons_in_order(rows, data.settings)
    records = [
        {
            "Family": spoken(row["family"]),
            "Domain": cohort_name(row["domain"], row["subset"]),
            "Reference": row["reference"],
            "Chi-squared": format_number(row["statistic"], 2, row["note"]),
            "df": format_number(row["df"], 0, row["note"]),
            "p": format_p(row["p"], row["note"]),
            "p adj.": adjusted_cell(row, "p_adjusted"),
            "Pos. / neg.": class_counts(row),
        }
        for _, row in rows.iterrows()
    ]
    return PublicationTable("omnibus", pd.DataFrame(records), row_headers=3)


def drop_difference_table(data: ReportData) -> PublicationTable | None:
    """Return the drop of each arm minus the drop of its reference, domain by domain."""
    rows = data.comparisons[data.comparisons["method"] == "difference_of_drops"]
    return _comparison_table("transfer_drop_difference", rows, data.settings, method=False)


def per_seed_comparison_table(data: ReportData) -> PublicationTable | None:
    """Return the paired DeLong test of each seed."""
    rows = data.comparisons
    return _comparison_table(
        "comparisons_per_seed",
        rows[rows["method"] == "delong_paired"],
        data.settings,
        method=False,
        seeds=True,
    )


def _comparison_table(
    key: str, rows: pd.DataFrame, settings: ReportSettings, *, method: bool, seeds: bool = False
) -> PublicationTable | None:
    if rows.empty:
        return None
    rows = comparisons_in_order(rows, settings)
    records = [_comparison_record(row, method, seeds) for _, row in rows.iterrows()]
    cells = pd.DataFrame(records)
    empty = [name for name in cells if (cells[name] == "").all()]
    cells = cells.drop(columns=empty)
    text = frozenset({"Method", "Note"})
    return PublicationTable(key, cells, row_headers=3, text_columns=text)


def _comparison_record(row: pd.Series, method: bool, seeds: bool) -> dict[str, str]:
    note = row["note"]
    correction = CORRECTIONS.get(row["correction"], row["correction"])
    record = {
        "Family": spoken(row["family"]),
        "Domain": spoken(row["domain"])
        if row["domain"] == "all_targets"
        else cohort_name(row["domain"], row["subset"]),
        "Arm minus reference": f"{row['arm']} - {row['reference']}",
    }
    if seeds:
        record["Seed"] = row["seed"]
    if method:
        record["Method"] = COMPARISON_METHODS.get(row["method"], spoken(row["method"]))
    record |= {
        "Difference (95% CI)": format_estimate(
            row["estimate"], row["ci_low"], row["ci_high"], signed=True, reason=note
        ),
        "Statistic": format_number(row["statistic"], 2, note),
        "df": _degrees_of_freedom(row["df"]),
        "p": format_p(row["p"], note),
        "p adj.": adjusted_cell(row, "p_adjusted"),
        "Correction, m": f"{correction}, {row['family_size'] or 'unknown'}",
        "p adj., all families": adjusted_cell(row, "p_adjusted_all"),
        "Detectable with 80% power": ""
        if is_null(row["detectable_difference"])
        else format_number(row["detectable_difference"]),
        "Pos. / neg.": class_counts(row),
        "Note": "" if is_null(row["p"]) or is_null(row["estimate"]) else note,
    }
    return record


def _degrees_of_freedom(df: float | None) -> str:
    """Return degrees of freedom, as a bound where t is the normal distribution to all digits."""
    if df is None or is_null(df):
        return ""
    return f">{MANY_DEGREES}" if df > MANY_DEGREES else format_number(df, 1)


def adjusted_cell(row: pd.Series, column: str) -> str:
    """Return an adjusted p value; a test outside every family has none."""
    if is_null(row[column]) and not is_null(row["p"]):
        return "not adjusted"
    return format_p(row[column], row["note"])


def comparisons_in_order(rows: pd.DataFrame, settings: ReportSettings) -> pd.DataFrame:
    """Sort by family, domain, arm, method (the headline first) and seed."""
    families = [family.family for family in settings.families]
    leads = set(headline(rows).index)
    methods = list(COMPARISON_METHODS)
    keys = pd.DataFrame(
        {
            "family": places(rows["family"], families),
            "domain": places(rows["domain"], settings.domain_names),
            "arm": places(rows["arm"], settings.arm_names),
            "headline": [index not in leads for index in rows.index],
            "method": places(rows["method"], methods),
            "seed": places(rows["seed"], [str(seed) for seed in settings.seeds]),
        },
        index=rows.index,
    )
    return rows.loc[keys.sort_values(list(keys.columns), kind="stable").index]
