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
from mammoshift.execution.device import enough_memory
from mammoshift.execution.precision import computed_in
from mammoshift.execution.readers import BatchLoader, PixelSource
from mammoshift.models.classifier import Classifier
from mammoshift.models.saved_model import load_model, read_record

LESS_MEMORY = "score with scoring_precision: bfloat16, or on a GPU with more memory"


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
    batch_size
        Most images that were in the memory of the device at once: as many as were asked for, or
        fewer where they did not fit into a GPU.
    """

    logits: NDArray[np.float64]
    again: NDArray[np.bool_]
    batch_size: int


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
    are not finite are computed again in float32, and whatever that gives is kept. A batch that does
    not fit into the memory of a GPU is taken in halves, which changes logits by rounding only.

    Raises
    ------
    ConfigurationError
        If an image does not have the size of the models' input, or not even one fits into the
        memory of the GPU.
    """
    places = np.arange(len(image_ids))
    for classifier in classifiers:
        classifier.eval()
    fitting = _Fitting(batch_size)
    with torch.inference_mode(), enough_memory("scoring", 1, size, LESS_MEMORY):
        loader = BatchLoader(pixels, image_ids, size, readers, device)
        # One transfer at the end: each would make the CPU wait for a GPU.
        logits = [
            torch.empty((len(classifiers), 0), device=device),
            *(
                torch.stack([fitting.applied(c, images, c.precision) for c in classifiers])
                for images in loader.batches(_batches(places, batch_size))
            ),
        ]
        found = torch.cat(logits, dim=1).to("cpu").double().numpy()
        again = ~np.isfinite(found)
        for row, classifier, wrong in zip(found, classifiers, again, strict=True):
            wrong &= classifier.precision != "float32"
            plan = _batches(np.flatnonzero(wrong), batch_size)
            for own, images in zip(plan, loader.batches(plan), strict=True):
                logits_of_row = fitting.applied(classifier, images, "float32")
                row[own] = logits_of_row.to("cpu").double().numpy()
    return Scored(found, again, fitting.batch_size)


class _Fitting:
    """Applies models to as many images at once as fit into the memory of the device."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def applied(self, classifier: Classifier, images: Tensor, precision: Precision) -> Tensor:
        while True:
            try:
                parts = images.split(self.batch_size)
                return torch.cat([_applied(classifier, part, precision) for part in parts])
            except torch.OutOfMemoryError:
                if self.batch_size == 1:
                    raise
            # Out of the handler, which keeps what was computed so far.
            self.batch_size = max(1, min(self.batch_size, len(images)) // 2)


def _batches(places: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [places[first : first + batch_size] for first in range(0, len(places), batch_size)]


def _applied(classifier: Classifier, images: Tensor, precision: Precision) -> Tensor:
    with computed_in(images.device, precision):
        return classifier(images).logit
