"""What a training is asked to do, and what it gives back."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from mammoshift.configuration.model import Arm, Backbone
from mammoshift.errors import ConfigurationError, TrainingError
from mammoshift.execution.readers import PixelSource
from mammoshift.models.classifier import DENSITY_CLASSES
from mammoshift.models.saved_model import Licence, Versions
from mammoshift.training.losses._protocol import DENSITY_MISSING


@dataclass(frozen=True)
class Cases:
    """Labelled images: `labels` (N,) int64 0 or 1, `densities` (N,) int64 0 to 3 or -1."""

    image_ids: tuple[str, ...]
    labels: np.ndarray
    densities: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.image_ids) == len(self.labels) == len(self.densities):
            raise TrainingError(
                f"{len(self.image_ids)} images, but {len(self.labels)} labels and "
                f"{len(self.densities)} densities"
            )
        wrong = ~np.isin(self.labels, (0, 1))
        if wrong.any():
            first = int(np.argmax(wrong))
            raise TrainingError(
                f"image {self.image_ids[first]}: the label is {self.labels[first]}, not 0 or 1"
            )

    @classmethod
    def make(
        cls,
        image_ids: Sequence[str],
        labels: Sequence[int] | np.ndarray,
        densities: Sequence[str | None] | None = None,
    ) -> Cases:
        """Make cases from table columns; a density that is not one of a to d counts as missing."""
        codes = {letter: code for code, letter in enumerate(DENSITY_CLASSES)}
        given = densities if densities is not None else [None] * len(image_ids)
        coded = [codes.get(d, DENSITY_MISSING) if isinstance(d, str) else -1 for d in given]
        return cls(
            tuple(image_ids), np.asarray(labels, dtype=np.int64), np.array(coded, dtype=np.int64)
        )


@dataclass(frozen=True)
class Execution:
    """Where and how a training runs; none of it is meant to change the result.

    `run_folder` keeps the state of an unfinished training. `readers` is the number of threads that
    read images ahead: 0 for none, None for what the CPUs of the job allow.
    """

    run_folder: Path
    device: Literal["auto", "cpu", "cuda"] = "auto"
    readers: int | None = None


@dataclass(frozen=True)
class TrainingRequest:
    """One arm, one seed, and the data.

    `start` is the converted weights file of a pretrained arm, or the model folder of the arm that
    this one starts from; None for random weights. `label` says what label 1 means and `classes`
    names the labels 0 and 1. `data_key` identifies the pixels (and whatever else should keep an
    unfinished training from being continued when it changes). `lineage` is stored with the model.
    `given_up` is asked after every epoch, with the history so far, whether the training ends there.
    """

    arm: Arm
    backbone: Backbone
    seed: int
    training: Cases
    validation: Cases
    pixels: PixelSource
    execution: Execution
    start: Path | None = None
    label: str = "malignant"
    classes: tuple[str, str] = ("negative", "positive")
    data_key: str = ""
    lineage: dict[str, Any] | None = None
    given_up: Callable[[Sequence[EpochRecord]], bool] | None = None

    def check(self) -> None:
        """Raise an error when no training can come of the request.

        Raises
        ------
        TrainingError
            If a class has no training case.
        ConfigurationError
            If `start` does not go with the arm's initialisation.
        """
        for name, count in (("1", self.training.labels.sum()), ("0", self._negatives())):
            if not count:
                raise TrainingError(
                    f"arm {self.arm.name}: no training case has the label {name}; "
                    "check the split and the task's labels"
                )
        if (self.start is None) != (self.arm.initialisation == "random"):
            wanted = "no weights" if self.start else "a weights file or a model folder"
            raise ConfigurationError(
                f"arm {self.arm.name}: the initialisation {self.arm.initialisation} needs {wanted}"
            )

    @property
    def positive_weight(self) -> float:
        """Negative training cases for each positive one."""
        return self._negatives() / int(self.training.labels.sum())

    def key(self, start_sha256: str | None, versions: Versions) -> str:
        """Return the SHA-256 of all that decides the result."""
        digest = hashlib.sha256()
        settings = {
            "arm": self.arm.model_dump(mode="json", exclude_none=True),
            "backbone": self.backbone.model_dump(mode="json", exclude_none=True),
            "seed": self.seed,
            "start": start_sha256,
            "data": self.data_key,
            "versions": versions.model_dump(),
        }
        digest.update(json.dumps(settings, sort_keys=True).encode())
        for cases in (self.training, self.validation):
            digest.update(json.dumps(cases.image_ids).encode())
            digest.update(np.ascontiguousarray(cases.labels, dtype=np.int64).tobytes())
            digest.update(np.ascontiguousarray(cases.densities, dtype=np.int64).tobytes())
        return digest.hexdigest()

    def _negatives(self) -> int:
        return len(self.training.labels) - int(self.training.labels.sum())


@dataclass(frozen=True)
class EpochRecord:
    """One row of the history; `epoch` and `stage` count from 1, `epoch` over all stages.

    `lr` is that of the epoch's last step, `images_per_second` that of training alone, `seconds`
    the time of the epoch with its validation, `peak_memory_mib` the most so far. The validation
    columns are nan where there are no validation cases (the AUC where they are of one label), and
    `train_accuracy`, that of the images as they were shown, where it was not asked for.
    """

    epoch: int
    stage: int
    train_loss: float
    validation_loss: float
    validation_auc: float
    lr: float
    images_per_second: float
    seconds: float
    peak_memory_mib: float
    validation_accuracy: float
    train_accuracy: float = math.nan


@dataclass(frozen=True)
class TrainingResult:
    """The selected model and how it came about."""

    state: dict[str, Tensor]
    selected_epoch: int
    selected_validation_auc: float
    history: tuple[EpochRecord, ...]
    density_head: bool
    start_sha256: str | None
    licence: Licence | None
    versions: Versions
    resumed_from_step: int | None = field(default=None)
