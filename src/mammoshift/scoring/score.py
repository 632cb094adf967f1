"""Logits of a trained model for images of a pixel store.

A logit that is not finite in a model's own precision is computed again in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammoshift.configuration.model import Precision
from mammoshift.execution.determinism import deterministic_torch
from mammoshift.execution.precision import computed_in
from mammoshift.execution.readers import BatchLoader, PixelSource
from mammoshift.models.classifier import Classifier
from mammoshift.models.saved_model import load_model, read_record


@dataclass(frozen=True, eq=False)
class Scored:
    """What K models say of N images.

    Attributes
    ----------
    logits
        (K, N) float64.
    again
        (K, N) bool: those that were computed again in float32, since the model's own precision gave
        none.
    """

    logits: NDArray[np.float64]
    again: NDArray[np.bool_]


def score_images(
    model_folder: Path,
    pixels: PixelSource,
    image_ids: Sequence[str],
    batch_size: int,
    device: torch.device,
    readers: int | None = None,
) -> np.ndarray:
    """Score images with a trained model.

    Parameters
    ----------
    model_folder
        Holds `model.safetensors` and `model.json`; nothing else is read.
    pixels
        Where the images come from.
    image_ids
        Which images, in the order of the result.
    batch_size
        Images in memory at once; changes the logits by rounding only.
    device
        See `mammoshift.execution.device.choose_device`.
    readers
        Threads that read images ahead: 0 for none, None for what the CPUs of the job allow.

    Returns
    -------
    numpy.ndarray
        (N,) float64, log-odds of the positive class, computed in the precision of the record.

    Raises
    ------
    WeightsError
        If the folder does not hold a whole model.
    ConfigurationError
        If an image does not have the size of the model's input.
    """
    record = read_record(model_folder)
    with deterministic_torch(device, record.arm.training.threads, record.arm.training.determinism):
        classifier, record = load_model(model_folder, device)
        size = record.arm.input.size
        return score_with([classifier], size, pixels, image_ids, batch_size, device, readers)[0]


def score_with(
    classifiers: Sequence[Classifier],
    size: tuple[int, int],
    pixels: PixelSource,
    image_ids: Sequence[str],
    batch_size: int,
    device: torch.device,
    readers: int | None = None,
) -> np.ndarray:
    """Return the logits of `score_closely` alone."""
    return score_closely(classifiers, size, pixels, image_ids, batch_size, device, readers).logits


def score_closely(
    classifiers: Sequence[Classifier],
    size: tuple[int, int],
    pixels: PixelSource,
    image_ids: Sequence[str],
    batch_size: int,
    device: torch.device,
    readers: int | None = None,
) -> Scored:
    """Score images with K models of one input size that are already loaded; see `score_images`.

    Each image is read once for all models; each model computes in its own precision. Logits that
    are not finite are computed again in float32, and whatever that gives is kept.
    """
    places = np.arange(len(image_ids))
    for classifier in classifiers:
        classifier.eval()
    with torch.inference_mode():
        loader = BatchLoader(pixels, image_ids, size, readers, device)
        # One transfer at the end: each would make the CPU wait for a GPU.
        logits = [
            torch.empty((len(classifiers), 0), device=device),
            *(
                torch.stack([_applied(c, images, c.precision) for c in classifiers])
                for images in loader.batches(_batches(places, batch_size))
            ),
        ]
        found = torch.cat(logits, dim=1).to("cpu").double().numpy()
        again = ~np.isfinite(found)
        for row, classifier, wrong in zip(found, classifiers, again, strict=True):
            wrong &= classifier.precision != "float32"
            plan = _batches(np.flatnonzero(wrong), batch_size)
            for own, images in zip(plan, loader.batches(plan), strict=True):
                row[own] = _applied(classifier, images, "float32").to("cpu").double().numpy()
    return Scored(found, again)


def _batches(places: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [places[first : first + batch_size] for first in range(0, len(places), batch_size)]


def _applied(classifier: Classifier, images: Tensor, precision: Precision) -> Tensor:
    with computed_in(images.device, precision):
        return classifier(images).logit
