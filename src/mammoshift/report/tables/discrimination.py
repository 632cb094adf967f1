"""AUC by arm and domain."""

from __future__ import annotations

import pandas as pd

from mammoshift.report.formatting import format_count
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.rows import (
    NOT_JUDGED,
    class_counts,
    cohort_name,
    first_estimate,
    first_number,
    of_arm,
    seed_values,
    select,
    summarised,
)


def auc_table(data: ReportData) -> PublicationTable | None:
    """Return T2: the AUC of every arm (rows) on every domain (columns), mean over the seeds."""
    settings = data.settings
    rows = select(data.metrics, metric="auc")
    if rows.empty:
        return None
    cells = pd.DataFrame({"Arm": settings.arm_names})
    for domain, subset in settings.cohorts:
        here = rows[(rows["domain"] == domain) & (rows["subset"] == subset)]
        cells[cohort_name(domain, subset)] = [
            first_estimate(summarised(here[here["arm"] == arm.name]))
            if domain in arm.judged_on
            else NOT_JUDGED
            for arm in settings.arms
        ]
    return PublicationTable("auc", cells)


def auc_detail_table(data: ReportData) -> PublicationTable | None:
    """Return, per domain and arm, the mean AUC, the spread over seeds and the ensemble's AUC."""
    settings = data.settings
    aucs = select(data.metrics, metric="auc")
    spreads = select(data.metrics, metric="seed_sd")
    models = select(data.metrics, metric="auc_of_models")
    records = []
    for domain, subset in settings.cohorts:
        for arm in settings.arm_names:
            rows = of_arm(aucs, domain, subset, arm)
            if rows.empty:
                continue
            spread = of_arm(spreads, domain, subset, arm)
            counts = rows.iloc[0]
            records.append(
                {
                    "Domain": cohort_name(domain, subset),
                    "Arm": arm,
                    "AUC, mean over seeds (95% CI)": first_estimate(rows[rows["seed"] == "mean"]),
                    "These models alone (95% CI)": first_estimate(
                        of_arm(models, domain, subset, arm)
                    )
                    if len(settings.seeds) > 1
                    else "",
                    "SD over seeds": first_number(spread),
                    "AUC by seed": seed_values(rows),
                    "AUC of ensemble (95% CI)": first_estimate(rows[rows["seed"] == "ensemble"]),
                    "Pos. / neg.": class_counts(counts),
                    "Patients": format_count(counts["n_clusters"]),
                }
            )
    if not records:
        return None
    cells = pd.DataFrame(records)
    empty = [name for name in cells if (cells[name] == "").all()]
    return PublicationTable("auc_detail", cells.drop(columns=empty), row_headers=2)
