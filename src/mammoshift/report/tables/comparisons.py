"""Tests between arms: the headline of each family, all methods, each seed."""

from __future__ import annotations

import pandas as pd

from mammoshift.configuration.judged import MEAN_OF, ReportSettings
from mammoshift.report.formatting import format_estimate, format_number, format_p, is_null
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.rows import (
    VERDICT_LIMITS,
    across_domains,
    class_counts,
    cohort_name,
    differences,
    first_of_each,
    headline,
    leading,
    of_checkpoints,
    places,
    verdict_limits,
)
from mammoshift.report.vocabulary import (
    COMPARISON_METHODS,
    CORRECTIONS,
    METRIC_LABELS,
    spoken,
    threshold_words,
)
from mammoshift.statistics.comparisons import BETWEEN_0_AND_1

MANY_DEGREES = 1000
NOTHING_FOUND = "no possible difference"
_SHOWN_APART = ("delong_paired", "omnibus")


def headline_comparison_table(data: ReportData) -> PublicationTable | None:
    """Return T3: the test that leads in each family."""
    return _comparison_table("comparisons", headline(data.comparisons), data.settings, method=False)


def combined_comparison_table(data: ReportData) -> PublicationTable | None:
    """Return every test that combines the seeds or the domains, the headline method first."""
    rows = differences(data.comparisons)
    rows = rows[~rows["method"].isin(_SHOWN_APART)]
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
    rows = data.comparisons
    rows = rows[(rows["from_domain"] != "") & (rows["reference"] != "")]
    return _comparison_table("transfer_drop_difference", rows, data.settings, method=True)


def operating_point_comparison_table(data: ReportData) -> PublicationTable | None:
    """Return the tests of arms' sensitivity and specificity at the study's operating point."""
    rows = differences(data.comparisons, ("sensitivity", "specificity"))
    return _measure_table("comparisons_operation", rows, data.settings)


def proper_score_comparison_table(data: ReportData) -> PublicationTable | None:
    """Return the tests of arms' Brier score, likelihood and calibration error."""
    rows = differences(data.comparisons, ("brier", "nll", "squared_calibration_error"))
    return _measure_table("comparisons_calibration", rows, data.settings)


def subgroup_comparison_table(data: ReportData) -> PublicationTable | None:
    """Return the difference of each arm to its reference inside every subgroup."""
    rows = differences(data.comparisons, subgroup="any")
    return _measure_table("subgroup_differences", rows, data.settings)


def _measure_table(
    key: str, rows: pd.DataFrame, settings: ReportSettings
) -> PublicationTable | None:
    """Return tests with what they are of, and the same with the models held fixed in a column."""
    first = first_of_each(rows)
    if first.empty:
        return None
    records = []
    for _, row in comparisons_in_order(first, settings).iterrows():
        record = _comparison_record(row, method=False, seeds=False)
        if is_null(row["estimate"]):
            said = ("Statistic", "p", "p adj.", "p adj., all families")
            record |= dict.fromkeys(said, "")
        fixed = of_checkpoints(rows, row)
        of: dict[str, str] = {}
        if row["subgroup"] != "all":
            of = {"Subgroup": spoken(row["subgroup"]), "Value": row["subgroup_value"]}
        else:
            of = {"Measure": METRIC_LABELS[row["metric"]]}
        at = (row["criterion"], row["threshold_from"])
        of["Threshold"] = threshold_words(*at) if row["threshold_from"] else ""
        names = ("Family", "Domain", "Arm minus reference")
        records.append(
            {name: record[name] for name in names}
            | of
            | {"Difference (95% CI)": record["Difference (95% CI)"]}
            | {"These models alone (95% CI)": "" if fixed.empty else _difference(fixed.iloc[0])}
            | {name: cell for name, cell in record.items() if name not in names}
        )
    text = frozenset({"Measure", "Subgroup", "Value", "Threshold", "Note"})
    return PublicationTable(key, _without_empty(records), row_headers=3, text_columns=text)


def domain_difference_table(data: ReportData) -> PublicationTable | None:
    """Return the tests of arms that learned from, and are judged on, a domain each."""
    return _measure_table("domain_differences", across_domains(data.comparisons), data.settings)


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
    text = frozenset({"Method", "Verdict", "Note"})
    return PublicationTable(key, _without_empty(records), row_headers=3, text_columns=text)


def _without_empty(records: list[dict[str, str]]) -> pd.DataFrame:
    cells = pd.DataFrame(records)
    return cells.drop(columns=[name for name in cells if (cells[name] == "").all()])


def _comparison_record(row: pd.Series, method: bool, seeds: bool) -> dict[str, str]:
    note = row["note"]
    correction = CORRECTIONS.get(row["correction"], row["correction"])
    record = {
        "Family": spoken(row["family"]),
        "Domain": spoken(row["domain"])
        if row["domain"] == "all_targets"
        else cohort_name(row["domain"], row["subset"]),
        "Arm minus reference": compared(row),
    }
    if seeds:
        record["Seed"] = row["seed"]
    if method:
        record["Method"] = COMPARISON_METHODS.get(row["method"], spoken(row["method"]))
    record |= {
        "Difference (95% CI)": _difference(row),
        "Statistic": format_number(row["statistic"], 2, note),
        "df": _degrees_of_freedom(row["df"]),
        "p": format_p(row["p"], note),
        "p adj.": adjusted_cell(row, "p_adjusted"),
        "Correction, m": f"{correction}, {row['family_size'] or 'unknown'}",
        "p adj., all families": adjusted_cell(row, "p_adjusted_all"),
        "Detectable with 80% power": detectable(row),
        "Margin": "" if is_null(row["margin"]) else format_number(row["margin"]),
        VERDICT_LIMITS: verdict_limits(row),
        "Verdict": row["verdict"],
        "Pos. / neg.": class_counts(row),
        "Note": "" if is_null(row["p"]) or is_null(row["estimate"]) else note,
    }
    return record


def compared(row: pd.Series) -> str:
    """Return what a difference is between, with the reference's own domain where it has one."""
    if not is_null(row["pairs"]):
        arm, reference = (spoken(row[name].removeprefix(MEAN_OF)) for name in ("arm", "reference"))
        return f"mean of {row['pairs']:.0f} pairs: {arm} - {reference}"
    elsewhere = f" on {row['reference_domain']}" if row["reference_domain"] else ""
    return f"{row['arm']} - {row['reference']}{elsewhere}"


def _difference(row: pd.Series) -> str:
    return format_estimate(
        row["estimate"], row["ci_low"], row["ci_high"], signed=True, reason=row["note"]
    )


def detectable(row: pd.Series) -> str:
    """Return the difference that the test would have found; a share cannot differ by 1 or more."""
    value = row["detectable_difference"]
    if is_null(value):
        return ""
    if value >= 1.0 and row["metric"] in BETWEEN_0_AND_1:
        return NOTHING_FOUND
    return format_number(value)


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
    leads = set(leading(rows).index)
    methods = list(COMPARISON_METHODS)
    keys = pd.DataFrame(
        {
            "family": places(rows["family"], families),
            "domain": places(rows["domain"], settings.domain_names),
            "arm": places(rows["arm"], settings.arm_names),
            "headline": [index not in leads for index in rows.index],
            "subgroup": rows["subgroup"] + " " + rows["subgroup_value"],
            "metric": places(rows["metric"], METRIC_LABELS),
            "threshold": rows["threshold_from"],
            "method": places(rows["method"], methods),
            "seed": places(rows["seed"], [str(seed) for seed in settings.seeds]),
        },
        index=rows.index,
    )
    return rows.loc[keys.sort_values(list(keys.columns), kind="stable").index]
