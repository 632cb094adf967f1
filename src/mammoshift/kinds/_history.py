"""The history of a model that is fitted at once: one row."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from mammoshift.files import write_text_atomically

Scored = tuple[NDArray[np.float64], NDArray[np.integer]]


def write_one_row(folder: Path, train: Scored, validation: Scored) -> None:
    """Write `history.csv`: mean log loss of both subsets, AUC of validation.

    Each subset comes as its logits and its labels; what is not defined is left empty.
    """
    losses, auc = [], math.nan
    for logits, labels in (train, validation):
        terms = np.logaddexp(0.0, np.where(labels > 0, -logits, logits))
        losses.append(float(terms.mean()) if terms.size else math.nan)
    if len(set(validation[1].tolist())) == 2:
        auc = float(roc_auc_score(validation[1], validation[0]))
    cells = ("1", "1", *("" if math.isnan(c) else f"{c:.8g}" for c in (*losses, auc)))
    header = "epoch,stage,train_loss,validation_loss,validation_auc"
    write_text_atomically(folder / "history.csv", f"{header}\n{','.join(cells)}\n")
