"""Operating points and calibration: what a threshold or a probability is worth."""

from __future__ import annotations

import pandas as pd

from mammoshift.contracts.cases import JUDGED_SUBSETS
from mammoshift.report.formatting import format_count, format_number, missing
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.rows import (
    NOT_EVALUATED,
    SUMMARIES,
    at_thresholds,
    class_counts,
    cohort_name,
    estimate_cell,
    first_estimate,
    in_study_order,
    null_band_cell,
    of_arm,
    select,
    spread_cell,
    summarised,
)
from mammoshift.report.vocabulary import (
    METRIC_LABELS,
    RECALIBRATIONS,
    THRESHOLDS,
    criterion_words,
    spoken,
)


def operating_point_table(data: ReportData) -> PublicationTable | None:
    """Return T4: sensitivity and specificity at transferred and at re-estimated thresholds."""
    settings = data.settings
    rows = at_thresholds(select(data.metrics, metric=("sensitivity", "specificity")))
    points = sorted(
        set(rows[["criterion", "threshold_from"]].itertuples(index=False, name=None)),
        key=lambda point: (not point[0].startswith("specificity"), point[1], point[0]),
    )
    records = []
    for domain, subset in settings.cohorts:
        for arm in settings.arm_names:
            here = of_arm(rows, domain, subset, arm)
            for criterion, threshold_from in points:
                at_point = here[
                    (here["criterion"] == criterion) & (here["threshold_from"] == threshold_from)
                ]
                if at_point.empty:
                    continue
                record = {
                    "Domain": cohort_name(domain, subset),
                    "Arm": arm,
                    "Criterion": criterion_words(criterion),
                    "Threshold": THRESHOLDS[threshold_from][0],
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


def classification_table(data: ReportData) -> PublicationTable | None:
    """Return accuracy and its parts where a case is called positive from one half on."""
    settings = data.settings
    rows = at_thresholds(select(data.metrics, metric=tuple(_AT_ONE_HALF)))
    rows = rows[rows["criterion"] == "probability_0.5"]
    records = []
    for domain, subset in settings.cohorts:
        for arm in settings.arm_names:
            here = of_arm(rows, domain, subset, arm)
            if here.empty:
                continue
            record = {"Domain": cohort_name(domain, subset), "Arm": arm}
            for metric in _AT_ONE_HALF:
                part = here[here["metric"] == metric]
                single = part[~part["seed"].isin(SUMMARIES)]
                record[METRIC_LABELS[metric]] = spread_cell(single if len(single) == 1 else part)
            records.append(record | {"Pos. / neg.": class_counts(here.iloc[0])})
    if not records:
        return None
    return PublicationTable("classification", pd.DataFrame(records), row_headers=2)


_AT_ONE_HALF = (
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "precision",
    "f1",
)


def operating_point_count_table(data: ReportData) -> PublicationTable | None:
    """Return the confusion counts behind the operating points, per seed and for the ensemble."""
    settings = data.settings
    names = ("threshold", "tp", "fp", "tn", "fn")
    rows = at_thresholds(select(data.metrics, metric=names, subset=JUDGED_SUBSETS))
    rows = rows[rows["seed"] != "mean"]
    records = []
    keys = ["domain", "subset", "arm", "criterion", "threshold_from", "seed"]
    for _, part in in_study_order(rows, settings).groupby(keys, sort=False):
        first = part.iloc[0]
        value = part.set_index("metric")["value"]
        counts = {name.upper(): format_count(value.get(name)) for name in names[1:]}
        records.append(
            {
                "Domain": cohort_name(first["domain"], first["subset"]),
                "Arm": first["arm"],
                "Seed": first["seed"],
                "Criterion": criterion_words(first["criterion"]),
                "Threshold is": THRESHOLDS[first["threshold_from"]][0],
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
    settings = data.settings
    rows = select(data.metrics)
    rows = rows[(rows["recalibration"] != "") & rows["labelled_patients"].isna()]
    records = []
    for domain, subset in settings.cohorts:
        for arm in settings.arm_names:
            here = of_arm(rows, domain, subset, arm)
            for (recalibration, fitted_on), label in RECALIBRATIONS.items():
                part = here[
                    (here["recalibration"] == recalibration) & (here["fitted_on"] == fitted_on)
                ]
                if part.empty:
                    continue
                of = {str(name): measured for name, measured in part.groupby("metric")}
                none = part.iloc[:0]
                used = of.get("temperature", none)
                records.append(
                    {
                        "Domain": cohort_name(domain, subset),
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


def map_table(data: ReportData) -> PublicationTable | None:
    """Return every map that recalibrates the logits: logit' = scale * logit + shift."""
    settings = data.settings
    rows = data.metrics[data.metrics["metric"].isin(("scale", "shift", "temperature"))]
    rows = rows[rows["labelled_patients"].isna() & ~rows["seed"].isin(SUMMARIES)]
    records = []
    keys = ["domain", "subset", "arm", "recalibration", "fitted_on", "seed", "fold"]
    for _, part in in_study_order(rows, settings).groupby(keys, sort=False):
        first = part.iloc[0]
        value = part.set_index("metric")["value"]
        label = RECALIBRATIONS.get((first["recalibration"], first["fitted_on"]))
        records.append(
            {
                "Domain": cohort_name(first["domain"], first["subset"]),
                "Arm": first["arm"],
                "Recalibration": label or spoken(first["recalibration"]),
                "Seed": first["seed"],
                "Fold": first["fold"],
                "Scale": format_number(value.get("scale"), 4, "not stored"),
                "Shift": format_number(value.get("shift"), 4, "not stored"),
                "T": "" if "temperature" not in value else format_number(value["temperature"], 4),
                "Note": first["note"],
            }
        )
    if not records:
        return None
    cells = pd.DataFrame(records)
    empty = [name for name in ("Fold", "T", "Note") if (cells[name] == "").all()]
    text = frozenset({"Recalibration", "Note"})
    return PublicationTable(
        "recalibration_maps", cells.drop(columns=empty), row_headers=2, text_columns=text
    )


def budget_table(data: ReportData) -> PublicationTable | None:
    """Return what a recalibration with few labelled local patients restores.

    The state before any local label stands in a column of its own beside every method.
    """
    settings = data.settings
    rows = select(data.metrics)
    rows = rows[rows["labelled_patients"].notna()]
    before: dict[tuple[str, ...], str] = {}
    after: dict[tuple[str, ...], dict[int, str]] = {}
    for _, row in summarised(in_study_order(rows, settings)).iterrows():
        domain = cohort_name(row["domain"], row["subset"])
        measure = METRIC_LABELS.get(row["metric"], spoken(row["metric"]))
        patients = int(row["labelled_patients"])
        if patients == 0:
            before[domain, row["arm"], measure] = estimate_cell(row)
        else:
            method = spoken(row["recalibration"]) if row["fitted_on"] else "local threshold"
            key = (domain, row["arm"], method, measure)
            after.setdefault(key, {})[patients] = estimate_cell(row)
    if not after:
        return None
    sizes = sorted({size for cells in after.values() for size in cells})
    records = [
        {
            **dict(zip(("Domain", "Arm", "Restored by", "Measure"), key, strict=True)),
            "no local patient": before.get((key[0], key[1], key[3]), missing(NOT_EVALUATED)),
            **{f"{size} patients": cells.get(size, "not drawn") for size in sizes},
        }
        for key, cells in after.items()
    ]
    return PublicationTable("recalibration_budget", pd.DataFrame(records), row_headers=4)
