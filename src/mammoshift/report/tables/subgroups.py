"""AUC in subgroups, and tests of interaction."""

from __future__ import annotations

import pandas as pd

from mammoshift.contracts.cases import JUDGED_SUBSETS
from mammoshift.report.formatting import format_p, is_null
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.rows import (
    class_counts,
    cohort_name,
    estimate_cell,
    in_study_order,
    summarised,
)
from mammoshift.report.vocabulary import spoken

MINIMUM_PER_CLASS = 10
"""A subgroup's AUC is hidden when it has fewer positives or negatives than this."""


def subgroup_table(data: ReportData) -> PublicationTable | None:
    """Return the AUC in each subgroup; hidden where one class has fewer than ten cases."""
    settings = data.settings
    rows = data.metrics[(data.metrics["metric"] == "auc") & (data.metrics["subgroup"] != "all")]
    rows = rows[rows["subset"].isin(JUDGED_SUBSETS)]
    records = []
    keys = ["subgroup", "domain", "subset", "arm", "subgroup_value"]
    ordered = in_study_order(rows, settings).sort_values("subgroup", kind="stable")
    for _, part in ordered.groupby(keys, sort=False):
        row = summarised(part).iloc[0]
        records.append(
            {
                "Subgroup": spoken(row["subgroup"]),
                "Domain": cohort_name(row["domain"], row["subset"]),
                "Arm": row["arm"],
                "Value": row["subgroup_value"],
                "Pos. / neg.": class_counts(row),
                "AUC (95% CI)": hidden_reason(row) or estimate_cell(row),
            }
        )
    if not records:
        return None
    return PublicationTable("subgroups", pd.DataFrame(records), row_headers=4)


def hidden_reason(row: pd.Series) -> str:
    """Return why the AUC of a subgroup is not shown, or an empty text when it is."""
    smallest = min(row["n_pos"], row["n_neg"])
    if is_null(smallest) or smallest < MINIMUM_PER_CLASS:
        return f"not shown: fewer than {MINIMUM_PER_CLASS} cases in a class"
    return ""


def interaction_table(data: ReportData) -> PublicationTable | None:
    """Return the p values of the subgroup interactions."""
    settings = data.settings
    rows = data.metrics[data.metrics["metric"] == "interaction_p"]
    rows = rows[rows["subset"].isin(JUDGED_SUBSETS)]
    records = []
    keys = ["subgroup", "domain", "subset", "arm", "reference", "subgroup_value"]
    ordered = in_study_order(rows, settings).sort_values("subgroup", kind="stable")
    for _, part in ordered.groupby(keys, sort=False):
        row = summarised(part).iloc[0]
        against = f"difference to {row['reference']}" if row["reference"] else "AUC"
        value = row["subgroup_value"]
        records.append(
            {
                "Subgroup": spoken(row["subgroup"]),
                "Domain": cohort_name(row["domain"], row["subset"]),
                "Arm": row["arm"],
                "Is the same": against,
                "Over": "all values" if value == "all" else f"{value} against the rest",
                "Interaction p": format_p(row["value"], row["note"]),
                "Note": "" if is_null(row["value"]) else row["note"],
            }
        )
    if not records:
        return None
    cells = pd.DataFrame(records)
    if (cells["Note"] == "").all():
        cells = cells.drop(columns="Note")
    text = frozenset({"Is the same", "Over", "Note"})
    return PublicationTable("interactions", cells, row_headers=3, text_columns=text)
