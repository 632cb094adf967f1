"""What was trained, and what the leakage audit found."""

from __future__ import annotations

import pandas as pd

from mammoshift.report.cohort import images_without_patient
from mammoshift.report.formatting import format_count, format_number, joined
from mammoshift.report.inputs import ReportData, TrainedModel
from mammoshift.report.publication import PublicationTable
from mammoshift.report.vocabulary import spoken

UNKNOWN = "patient_unknown"
AS_IT_IS = "none: the model of a file"


def training_table(data: ReportData) -> PublicationTable | None:
    """Return what was trained: epochs run, the epoch that was kept, its losses and its AUC."""
    if not data.runs:
        return None
    cells = pd.DataFrame([_training_record(trained) for trained in data.runs])
    if (cells["Fold"] == "0").all():
        cells = cells.drop(columns="Fold")
    optional = ("Training accuracy", "Validation accuracy", "Time")
    empty = [name for name in optional if (cells[name] == "").all()]
    return PublicationTable("training", cells.drop(columns=empty), row_headers=2)


def _training_record(trained: TrainedModel) -> dict[str, str]:
    history, model = trained.history, trained.model
    epoch = model.selected_epoch
    kept = history[history["epoch"] == epoch]
    reason = "the kept epoch is not recorded" if epoch is None else "not in the history"

    def at_kept(column: str) -> str:
        if history.empty:
            return ""
        return format_number(None if kept.empty else float(kept.iloc[0][column]), 3, reason)

    def if_known(column: str) -> str:
        known = column in kept and kept[column].notna().any()
        return at_kept(column) if known else ""

    return {
        "Arm": trained.run.arm,
        "Seed": str(trained.run.seed),
        "Fold": str(trained.run.fold),
        "Cases (positive)": "not recorded"
        if model.training_cases is None
        else f"{model.training_cases:,} ({format_count(model.training_positives)})",
        "Stages": str(history["stage"].nunique()),
        "Epochs": format_count(len(history)),
        "Kept epoch": AS_IT_IS if history.empty else "unknown" if epoch is None else str(epoch),
        "Training loss": at_kept("train_loss"),
        "Validation loss": at_kept("validation_loss"),
        "Validation AUC": at_kept("validation_auc"),
        "Training accuracy": if_known("train_accuracy"),
        "Validation accuracy": if_known("validation_accuracy"),
        "Time": _duration(history["seconds"].sum()) if "seconds" in history else "",
    }


def _duration(seconds: float) -> str:
    """Return a time of computing: `38 s`, `12 min` or `5.3 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def audit_table(data: ReportData) -> PublicationTable | None:
    """Return what the leakage audit checked and found."""
    if data.audit is None or data.audit.empty:
        return None
    audit = data.audit
    without = images_without_patient(data.cohort)
    named = [f"{domain} {count}" for domain, count in without.items()]
    coverage = (
        f". Images without a patient, which no check of patients covers: {joined(named)}"
        if named
        else ". Every image of every domain has a patient"
    )
    cells = pd.DataFrame(
        {
            "Check": audit["check"].map(spoken),
            "Outcome": audit["outcome"],
            "Detail": [
                f"{detail}{coverage if check == UNKNOWN else ''}"
                for check, detail in zip(audit["check"], audit["detail"], strict=True)
            ],
        }
    )
    return PublicationTable("audit", cells, text_columns=frozenset({"Outcome", "Detail"}))
