"""Heat maps of a model on image files, one picture each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from mammoshift.application.heat import find_heat_source, heat_maps
from mammoshift.application.pictures import overlay, write_picture
from mammoshift.application.preparing import Prepared, prepare
from mammoshift.application.scores import Score, Scoring, file_text, read_logit
from mammoshift.execution.determinism import deterministic_torch
from mammoshift.execution.device import enough_memory
from mammoshift.execution.readers import BatchLoader

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST = 100
LESS_MEMORY = "give a smaller --batch-size, or --device cpu"


@dataclass(frozen=True)
class Explained:
    """The score of a file, and its picture; None for a file that cannot be used."""

    score: Score
    picture: Path | None


def explain_files(
    files: Iterable[Path], scoring: Scoring, out: Path, opaque: bool = False
) -> Iterator[Explained]:
    """Draw the heat map of each file into the folder `out` and yield what was drawn, in order.

    The map is the mean of the models' maps; its logits are computed in float32.

    Parameters
    ----------
    files
        As in `mammoshift.application.scores.score_files`.
    scoring
        The models and how files become their input.
    out
        Made when absent.
    opaque
        Number the pictures instead of naming them after their files.
    """
    models = [model.classifier for model in scoring.applied.models]
    sources = [find_heat_source(model, scoring.recipe.size) for model in models]
    names = _Names(opaque)
    loader: BatchLoader = BatchLoader(
        _NoPixels(), (), scoring.recipe.size, scoring.readers, torch.device("cpu")
    )
    prepared = loader.ahead(lambda f: prepare(f, scoring.recipe, scoring.known, True), files)
    training = scoring.applied.record.arm.training
    while batch := list(islice(prepared, scoring.batch_size)):
        usable = [one for one in batch if one.array is not None]
        arrays = [one.array for one in usable if one.array is not None]
        drawn: dict[int, Explained] = {}
        if arrays:
            with (
                deterministic_torch(scoring.device, training.threads, "fast"),
                enough_memory("heat maps", len(arrays), scoring.recipe.size, LESS_MEMORY),
            ):
                found = [heat_maps(m, s, arrays) for m, s in zip(models, sources, strict=True)]
            heat = np.stack([one for one, _ in found]).mean(axis=0)
            logits = np.stack([one for _, one in found]).mean(axis=0)
            for one, array, warm, logit in zip(usable, arrays, heat, logits, strict=True):
                picture = out / names.of(one.file)
                write_picture(overlay(array, one.shown, warm), picture)
                notes = one.notes if warm.any() else (*one.notes, "nothing speaks for the class")
                name = file_text(one.file)
                score = read_logit(name, float(logit), scoring, notes, one.is_doubtful)
                drawn[id(one)] = Explained(score, picture)
        for one in batch:
            yield drawn.get(id(one)) or _unusable(one)


def _unusable(one: Prepared) -> Explained:
    return Explained(Score(file_text(one.file), None, None, None, "; ".join(one.notes)), None)


class _NoPixels:
    """Stands where no image is read by its name."""

    def read(self, image_id: str) -> np.ndarray:
        raise KeyError(image_id)


class _Names:
    """Names of pictures, each once."""

    def __init__(self, opaque: bool) -> None:
        self._opaque = opaque
        self._given: set[str] = set()

    def of(self, file: Path) -> str:
        stem = "" if self._opaque else _UNSAFE.sub("_", file.stem)[:_LONGEST]
        number = len(self._given) + 1
        name = f"{stem}.png" if stem else f"image-{number:05d}.png"
        while name.lower() in self._given:
            name = f"{stem or 'image'}-{number:05d}.png"
            number += 1
        self._given.add(name.lower())
        return name
