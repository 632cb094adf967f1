"""How good a model is on validation data during training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Validation:
    """Loss, area under the ROC curve and accuracy; nan where they are not defined."""

    loss: float = math.nan
    auc: float = math.nan
    accuracy: float = math.nan


def validation_measures(loss: float, labels: np.ndarray, logits: np.ndarray) -> Validation:
    """Return the measures of (N,) `logits`; the accuracy is that at a probability of 1/2."""
    accuracy = float(np.mean((logits > 0) == (labels == 1)))
    return Validation(loss, rank_auc(labels, logits), accuracy)


def rank_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve as the Mann-Whitney statistic, ties counted half.

    Parameters
    ----------
    labels
        (N,) 0 or 1.
    scores
        (N,), higher for positive.

    Returns
    -------
    float
        In [0, 1]; nan when one of the classes is absent.
    """
    positive = labels == 1
    n_pos = int(positive.sum())
    n_neg = len(labels) - n_pos
    if n_pos == 0 or n_neg == 0:
        return float("nan")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    midranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((midranks[positive].sum() - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg))
