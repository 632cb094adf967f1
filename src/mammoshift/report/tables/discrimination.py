"""AUC by arm and dataset, and what it loses at transfer."""

from __future__ import annotations

import pandas as pd

from mammoshift.report.formatting import format_count
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.rows import (
    class_counts,
    cohort_name,
    evaluated_cohorts,
    first_estimate,
    first_number,
    of_arm,
    seed_values,
    select,
    summarised,
)


def auc_table(data: ReportData) -> PublicationTable | None:
    """Return T2: the AUC of every arm (rows) on every dataset (columns), mean over the seeds."""
    facts = data.facts
    rows = select(data.metrics, metric="auc", variant="")
    if rows.empty:
        return None
    cells = pd.DataFrame({"Arm": facts.arm_names})
    for dataset, subset in evaluated_cohorts(facts):
        here = rows[(rows["dataset"] == dataset) & (rows["subset"] == subset)]
        cells[cohort_name(facts, dataset, subset)] = [
            first_estimate(summarised(here[here["arm"] == arm])) for arm in facts.arm_names
        ]
    return PublicationTable("auc", cells)


def auc_detail_table(data: ReportData) -> PublicationTable | None:
    """Return, per dataset and arm, the mean AUC, the spread over seeds and the ensemble's AUC."""
    facts = data.facts
    aucs = select(data.metrics, metric="auc", variant="")
    spreads = select(data.metrics, metric="seed_sd")
    records = []
    for dataset, subset in evaluated_cohorts(facts):
        for arm in facts.arm_names:
            rows = of_arm(aucs, dataset, subset, arm)
            if rows.empty:
                continue
            spread = of_arm(spreads, dataset, subset, arm)
            counts = rows.iloc[0]
            records.append(
                {
                    "Dataset": cohort_name(facts, dataset, subset),
                    "Arm": arm,
                    "AUC, mean over seeds (95% CI)": first_estimate(rows[rows["seed"] == "mean"]),
                    "SD over seeds": first_number(spread),
                    "AUC by seed": seed_values(rows),
                    "AUC of ensemble (95% CI)": first_estimate(rows[rows["seed"] == "ensemble"]),
                    "Pos. / neg.": class_counts(counts),
                    "Patients": format_count(counts["n_clusters"]),
                }
            )
    if not records:
        return None
    return PublicationTable("auc_detail", pd.DataFrame(records), row_headers=2)


def transfer_table(data: ReportData) -> PublicationTable | None:
    """Return the transfer drops, AUC at the source minus AUC at the target, arm by target."""
    rows = select(data.metrics, metric="transfer_drop")
    if rows.empty:
        return None
    facts = data.facts
    cells = pd.DataFrame({"Arm": facts.arm_names})
    for target in facts.targets:
        here = rows[rows["dataset"] == target]
        cells[target] = [
            first_estimate(summarised(here[here["arm"] == arm]), signed=True)
            for arm in facts.arm_names
        ]
    return PublicationTable("transfer_drop", cells)
