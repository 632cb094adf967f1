"""Logits, probabilities and calls for image files, batch by batch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mammoshift.application.facts import KnownFacts
from mammoshift.application.preparing import Prepared, prepare
from mammoshift.application.trained import Applied
from mammoshift.configuration.model import InputRecipe
from mammoshift.errors import ConfigurationError
from mammoshift.execution.determinism import deterministic_torch
from mammoshift.execution.readers import BatchLoader
from mammoshift.models.card import OperatingPoint
from mammoshift.scoring.score import Scored, score_closely

COMPUTED_AGAIN = "computed in float32, since bfloat16 gave no number"


@dataclass(frozen=True)
class Score:
    """What the models say of one file; the columns of the tables that are written.

    `logit` is the mean of the models' log-odds of the positive class, None for a file that cannot
    be used. `probability` is calibrated where the models' card has a temperature; otherwise, as
    `note` then says, it is the logistic function of the logit. `called` tells whether the logit
    reaches the threshold of the operating point, None where there is none and where the image does
    not look like one of a breast.
    """

    file: str
    logit: float | None
    probability: float | None
    called: bool | None
    note: str


@dataclass(frozen=True)
class Scoring:
    """How files are scored.

    Attributes
    ----------
    applied
        The models.
    recipe
        Theirs, with the tone of the files' dataset where it has its own.
    known
        What is known of the files beside their pixels.
    point
        The operating point; None to call nothing.
    device
        Where the models are.
    batch_size
        Files in memory at once; it changes logits by rounding only.
    readers
        Threads that decode files ahead; None for what the CPUs of the job allow.
    """

    applied: Applied
    recipe: InputRecipe
    known: KnownFacts
    point: OperatingPoint | None
    device: torch.device
    batch_size: int = 8
    readers: int | None = None


class _Arrays:
    """The arrays of one batch as a source of images."""

    def __init__(self, arrays: Sequence[NDArray[np.uint16]]) -> None:
        self._arrays = arrays

    def read(self, image_id: str) -> NDArray[np.uint16]:
        return self._arrays[int(image_id)]


def operating_point(applied: Applied, name: str | None) -> OperatingPoint | None:
    """Return an operating point by its name, the card's first without one; None without a card.

    Raises
    ------
    ConfigurationError
        If a name is given that the card does not have.
    """
    points = applied.reading.operating_points if applied.reading else ()
    if name is None:
        return points[0] if points else None
    for point in points:
        if point.name == name:
            return point
    there = ", ".join(point.name for point in points) or f"none ({applied.note or 'one class'})"
    raise ConfigurationError(
        f"there is no operating point {name!r} in the model card; there is: {there}"
    )


def score_files(files: Iterable[Path], scoring: Scoring) -> Iterator[Score]:
    """Yield what the models say of each file, in order.

    Files are decoded ahead by threads and scored in batches; no more than a batch and what is read
    ahead is in memory. A file that cannot be used has a score without a logit, and the rest go on.
    """
    loader = BatchLoader(_Arrays(()), (), scoring.recipe.size, scoring.readers, torch.device("cpu"))
    prepared = loader.ahead(lambda file: prepare(file, scoring.recipe, scoring.known), files)
    while batch := list(islice(prepared, scoring.batch_size)):
        yield from _scores(batch, scoring)


def logits_of(arrays: Sequence[NDArray[np.uint16]], scoring: Scoring) -> Scored:
    """Return the logits of the models, (K, N), for N arrays; errors as in `score_closely`."""
    training = scoring.applied.record.arm.training
    classifiers = [model.classifier for model in scoring.applied.models]
    names = [str(place) for place in range(len(arrays))]
    with deterministic_torch(scoring.device, training.threads, training.determinism):
        return score_closely(
            classifiers,
            scoring.recipe.size,
            _Arrays(arrays),
            names,
            max(1, len(arrays)),
            scoring.device,
            readers=0,
        )


def _scores(batch: Sequence[Prepared], scoring: Scoring) -> Iterator[Score]:
    arrays = [one.array for one in batch if one.array is not None]
    found: Iterator[tuple[float, bool]] = iter(())
    if arrays:
        scored = logits_of(arrays, scoring)
        again = np.any(scored.again, axis=0).tolist()
        found = iter(zip(scored.logits.mean(axis=0).tolist(), again, strict=True))
    for one in batch:
        name = file_text(one.file)
        if one.array is None:
            yield Score(name, None, None, None, "; ".join(one.notes))
            continue
        logit, again = next(found)
        said = (*one.notes, COMPUTED_AGAIN) if again else one.notes
        yield read_logit(name, logit, scoring, said, one.is_doubtful)


def read_logit(
    name: str, logit: float, scoring: Scoring, notes: Sequence[str], is_doubtful: bool = False
) -> Score:
    """Return the score of a file with a logit, read as the models' card says.

    Nothing is called where it `is_doubtful` that the file shows a breast.
    """
    reading, said = scoring.applied.reading, list(notes)
    if not math.isfinite(logit):
        return Score(name, None, None, None, "; ".join([*said, "the logit is not finite"]))
    temperature = reading.temperature if reading is not None else None
    if reading is None:
        said.append(scoring.applied.note)
    elif temperature is None:
        said.append(f"the probability is not calibrated ({reading.temperature_note})")
    point = None if is_doubtful else scoring.point
    called = None if point is None else logit >= point.threshold
    if reading is not None and scoring.point is None:
        said.append("the card has no operating point: nothing is called")
    return Score(name, logit, _logistic(logit / (temperature or 1.0)), called, "; ".join(said))


def file_text(file: Path) -> str:
    """Return a path as text that every file and terminal can hold."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")


def _logistic(value: float) -> float:
    if value >= 0.0:
        return 1.0 / (1.0 + math.exp(-value))
    odds = math.exp(value)
    return odds / (1.0 + odds)
