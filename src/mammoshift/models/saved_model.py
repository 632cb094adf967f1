"""A trained model on disk: `model.safetensors` and `model.json`, which together are all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mammoshift.configuration.model import Arm, Backbone, Strict
from mammoshift.errors import WeightsError
from mammoshift.files import atomic_path, write_text_atomically
from mammoshift.models.architectures import check_names
from mammoshift.models.classifier import (
    DENSITY_CLASSES,
    Classifier,
    build_classifier,
    prepared,
)

WEIGHTS_NAME = "model.safetensors"
RECORD_NAME = "model.json"


class Versions(Strict):
    """Versions of what decides how a model computes."""

    mammoshift: str
    torch: str
    timm: str


class Licence(Strict):
    """What may be done with the trained weights, inherited from those they started from."""

    name: str
    source: str
    derivatives: str


class ModelRecord(Strict):
    """Everything that is needed to apply a model and to know where it comes from.

    `backbone` also holds the normalisation, `arm.input` how an image becomes the model's input.
    `classes` are the names of the labels 0 and 1. `selected_epoch` counts from 1 over all stages.
    `licence` is None for a model that was trained from random weights. `lineage` is what the
    model and its ancestors learned from (`mammoshift.contracts.lineage.Lineage`).
    """

    arm: Arm
    backbone: Backbone
    density_head: bool
    label: str
    classes: tuple[str, str]
    density_classes: tuple[str, ...] = DENSITY_CLASSES
    seed: int
    selected_epoch: int
    selected_validation_auc: float | None
    training_cases: int
    training_positives: int
    start_sha256: str | None
    licence: Licence | None
    versions: Versions
    lineage: dict[str, Any] | None = None


def write_model(folder: Path, state: dict[str, Tensor], record: ModelRecord) -> None:
    """Write a model; equal states and records give equal bytes.

    Parameters
    ----------
    folder
        Made when absent.
    state
        The classifier's state dict.
    record
        Goes with it.
    """
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }
    with atomic_path(folder / WEIGHTS_NAME) as temporary:
        save_file(plain, temporary)
    write_text_atomically(folder / RECORD_NAME, record.model_dump_json(indent=2) + "\n")


def read_record(folder: Path) -> ModelRecord:
    """Read the record of a model.

    Raises
    ------
    WeightsError
        If it is absent or breaks its contract.
    """
    path = folder / RECORD_NAME
    try:
        return ModelRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise WeightsError(f"{path}: is no record of a trained model: {error}") from error


def read_state(folder: Path) -> dict[str, Tensor]:
    """Read the tensors of a model onto the CPU.

    Raises
    ------
    WeightsError
        If the file is absent or damaged.
    """
    path = folder / WEIGHTS_NAME
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors: {error}") from error


def load_model(folder: Path, device: torch.device) -> tuple[Classifier, ModelRecord]:
    """Load a model for inference; needs its folder and nothing else.

    Raises
    ------
    WeightsError
        If the folder does not hold a whole model.
    """
    record = read_record(folder)
    state = read_state(folder)
    with torch.random.fork_rng(devices=[]):
        classifier = build_classifier(record.backbone, record.arm.input.size, record.density_head)
    where = str(folder / WEIGHTS_NAME)
    check_names(classifier.state_dict(), state, where)
    try:
        classifier.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{where}: {error}") from error
    return prepared(classifier, device).eval(), record
