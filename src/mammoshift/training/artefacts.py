"""What a finished training leaves behind: the model, its record and the history of its epochs."""

from __future__ import annotations

import csv
import math
from dataclasses import astuple, fields
from pathlib import Path

from mammoshift.files import atomic_path
from mammoshift.models.saved_model import ModelRecord, write_model
from mammoshift.training.request import EpochRecord, TrainingRequest, TrainingResult

HISTORY_NAME = "history.csv"
HISTORY_COLUMNS = tuple(field.name for field in fields(EpochRecord))


def write_artefacts(folder: Path, request: TrainingRequest, result: TrainingResult) -> None:
    """Write `model.safetensors`, `model.json` and `history.csv` into `folder`.

    The first two are a function of the result alone, to the byte; the history also has times.
    """
    auc = result.selected_validation_auc
    record = ModelRecord(
        arm=request.arm,
        backbone=request.backbone,
        density_head=result.density_head,
        label=request.label,
        classes=request.classes,
        seed=request.seed,
        selected_epoch=result.selected_epoch,
        selected_validation_auc=None if math.isnan(auc) else auc,
        training_cases=len(request.training.labels),
        training_positives=int(request.training.labels.sum()),
        start_sha256=result.start_sha256,
        licence=result.licence,
        versions=result.versions,
        lineage=request.lineage,
    )
    write_history(folder / HISTORY_NAME, result.history)
    write_model(folder, result.state, record)


def write_history(path: Path, history: tuple[EpochRecord, ...]) -> None:
    """Write one row for each epoch as CSV; a value that is not defined is left empty."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(HISTORY_COLUMNS)
        for record in history:
            cells = (c for c in astuple(record))
            writer.writerow("" if math.isnan(c) else f"{c:.8g}" for c in cells)
