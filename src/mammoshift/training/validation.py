"""How good a model is on validation data during training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mammoshift.execution.precision import autocast
from mammoshift.execution.readers import BatchLoader
from mammoshift.models.classifier import Classifier, Output
from mammoshift.training.losses._protocol import LossFunction
from mammoshift.training.request import TrainingRequest


@dataclass(frozen=True)
class Validation:
    """Loss, area under the ROC curve and accuracy; nan where they are not defined."""

    loss: float = math.nan
    auc: float = math.nan
    accuracy: float = math.nan


def validate(
    model: Classifier,
    loss: LossFunction,
    loader: BatchLoader,
    request: TrainingRequest,
    device: torch.device,
    after_each_batch: Callable[[], None] = lambda: None,
) -> Validation:
    """Judge a model on the validation cases of a request; without any nothing is defined.

    Parameters
    ----------
    model
        Is put into evaluation mode.
    loss
        That of training.
    loader
        Gives the training images and after them those of validation, by their places.
    request, device
        The cases, the batch size and the precision; and where the model is.
    after_each_batch
        Is called between batches and may raise.
    """
    cases, training = request.validation, request.arm.training
    if not cases.image_ids:
        return Validation()
    offset = len(request.training.image_ids)
    places = np.arange(offset, offset + len(cases.image_ids))
    size = training.batch_size
    plan = [places[first : first + size] for first in range(0, len(places), size)]
    outputs: list[Output] = []
    model.eval()
    with torch.inference_mode(), autocast(device, training.precision):
        for pixels in loader.batches(plan):
            outputs.append(model(pixels))
            after_each_batch()
        logits = torch.cat([output.logit for output in outputs])
        known = [output.density for output in outputs if output.density is not None]
        whole = Output(logits, torch.cat(known) if known else None)
        labels = torch.from_numpy(cases.labels).to(device, torch.float32)
        densities = torch.from_numpy(cases.densities).to(device)
        value = float(loss(whole, labels, densities))
    return validation_measures(value, cases.labels, logits.double().cpu().numpy())


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
