"""Operating points and calibration: what a threshold or a probability is worth."""

from __future__ import annotations

import pandas as pd

from mammoshift.report.formatting import format_count, format_number, missing
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.rows import (
    NOT_EVALUATED,
    class_counts,
    cohort_name,
    estimate_cell,
    evaluated_cohorts,
    first_estimate,
    in_study_order,
    null_band_cell,
    of_arm,
    select,
    spread_cell,
    summarised,
)
from mammoshift.report.vocabulary import (
    CALIBRATION_VARIANTS,
    METRIC_LABELS,
    operating_point,
    recalibration_budget,
    spoken,
)


def operating_point_table(data: ReportData) -> PublicationTable | None:
    """Return T4: sensitivity and specificity at transferred and at re-estimated thresholds."""
    facts = data.facts
    rows = select(data.metrics, metric=("sensitivity", "specificity"))
    points = {name: operating_point(name) for name in rows["variant"].unique()}
    variants = sorted(
        (name for name, point in points.items() if point is not None),
        key=lambda name: (not name.startswith("spec"), not name.endswith("transferred"), name),
    )
    records = []
    for dataset, subset in evaluated_cohorts(facts):
        for arm in facts.arm_names:
            here = of_arm(rows, dataset, subset, arm)
            for variant in variants:
                point = points[variant]
                at_point = here[here["variant"] == variant]
                if point is None or at_point.empty:
                    continue
                record = {
                    "Dataset": cohort_name(facts, dataset, subset),
                    "Arm": arm,
                    "Criterion": point.criterion,
                    "Threshold": point.kind,
                }
                for metric in ("sensitivity", "specificity"):
                    part = at_point[at_point["metric"] == metric]
                    name = METRIC_LABELS[metric]
                    record[f"{name}, mean over seeds"] = spread_cell(part)
                    pooled = part[part["seed"] == "ensemble"]
                    record[f"{name} of ensemble (95% CI)"] = first_estimate(pooled)
                records.append(record | {"Pos. / neg.": class_counts(at_point.iloc[0])})
    if not records:
        return None
    text = frozenset({"Criterion", "Threshold"})
    return PublicationTable(
        "operating_points", pd.DataFrame(records), row_headers=2, text_columns=text
    )


def operating_point_count_table(data: ReportData) -> PublicationTable | None:
    """Return the confusion counts behind the operating points, per seed and for the ensemble."""
    facts = data.facts
    names = ("threshold", "tp", "fp", "tn", "fn")
    rows = select(data.metrics, metric=names)
    records = []
    keys = ["dataset", "subset", "arm", "variant", "seed"]
    for _, part in in_study_order(rows, facts).groupby(keys, sort=False):
        first = part.iloc[0]
        point = operating_point(first["variant"])
        if point is None or first["subset"] not in {"test", "target"} or first["seed"] == "mean":
            continue
        value = part.set_index("metric")["value"]
        counts = {name.upper(): format_count(value.get(name)) for name in names[1:]}
        records.append(
            {
                "Dataset": cohort_name(facts, first["dataset"], first["subset"]),
                "Arm": first["arm"],
                "Seed": first["seed"],
                "Criterion": point.criterion,
                "Threshold is": point.kind,
                "Threshold (log-odds)": format_number(
                    value.get("threshold"), 3, "not stored by the evaluation"
                ),
                **counts,
            }
        )
    if not records:
        return None
    text = frozenset({"Criterion", "Threshold is"})
    return PublicationTable(
        "operating_point_counts", pd.DataFrame(records), row_headers=3, text_columns=text
    )


def calibration_table(data: ReportData) -> PublicationTable | None:
    """Return T5: calibration before and after each recalibration, ECE with its null band."""
    facts = data.facts
    rows = select(data.metrics, variant=CALIBRATION_VARIANTS)
    temperatures = select(data.metrics, metric="temperature")
    records = []
    for dataset, subset in evaluated_cohorts(facts):
        for arm in facts.arm_names:
            here = of_arm(rows, dataset, subset, arm)
            for variant, label in CALIBRATION_VARIANTS.items():
                part = here[here["variant"] == variant]
                if part.empty:
                    continue
                of = {str(name): measured for name, measured in part.groupby("metric")}
                none = part.iloc[:0]
                used = temperatures[
                    (temperatures["arm"] == arm)
                    & (temperatures["variant"] == variant)
                    & (temperatures["dataset"] == dataset)
                ]
                records.append(
                    {
                        "Dataset": cohort_name(facts, dataset, subset),
                        "Arm": arm,
                        "Recalibration": label,
                        "T": "" if used.empty else spread_cell(used, 2),
                        "ECE": spread_cell(of.get("ece", none)),
                        "ECE if calibrated: mean; limit": null_band_cell(of.get("ece_null", none)),
                        **{
                            head: spread_cell(of.get(metric, none), decimals)
                            for metric, head, decimals in _CALIBRATION_MEASURES
                        },
                    }
                )
    if not records:
        return None
    cells = pd.DataFrame(records)
    absent = [name for name in cells if (cells[name] == missing(NOT_EVALUATED)).all()]
    return PublicationTable(
        "calibration",
        cells.drop(columns=absent),
        row_headers=2,
        text_columns=frozenset({"Recalibration"}),
    )


_CALIBRATION_MEASURES = (
    ("brier", "Brier", 3),
    ("nll", "NLL", 3),
    ("calibration_in_the_large", "In the large", 2),
    ("calibration_intercept", "Intercept", 2),
    ("calibration_slope", "Slope", 2),
)


def budget_table(data: ReportData) -> PublicationTable | None:
    """Return what a recalibration with few labelled local patients restores.

    The state before any local label stands in a column of its own beside every method.
    """
    facts = data.facts
    rows = select(data.metrics, subgroup="all")
    budgets = {variant: recalibration_budget(variant) for variant in rows["variant"].unique()}
    before: dict[tuple[str, ...], str] = {}
    after: dict[tuple[str, ...], dict[int, str]] = {}
    rows = rows[[budgets[variant] is not None for variant in rows["variant"]]]
    for _, row in summarised(in_study_order(rows, facts)).iterrows():
        budget = budgets[row["variant"]]
        if budget is None:
            continue
        dataset = cohort_name(facts, row["dataset"], row["subset"])
        measure = METRIC_LABELS.get(row["metric"], spoken(row["metric"]))
        if budget.patients == 0:
            before[dataset, row["arm"], measure] = estimate_cell(row)
        else:
            method = spoken(budget.method) or "recalibration"
            after.setdefault((dataset, row["arm"], method, measure), {})[budget.patients] = (
                estimate_cell(row)
            )
    if not after:
        return None
    sizes = sorted({size for cells in after.values() for size in cells})
    records = [
        {
            **dict(zip(("Dataset", "Arm", "Restored by", "Measure"), key, strict=True)),
            "no local patient": before.get((key[0], key[1], key[3]), missing(NOT_EVALUATED)),
            **{f"{size} patients": cells.get(size, "not drawn") for size in sizes},
        }
        for key, cells in after.items()
    ]
    return PublicationTable("recalibration_budget", pd.DataFrame(records), row_headers=4)
