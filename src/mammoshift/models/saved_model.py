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
from mammoshift.contracts.fitted import RECORD_NAME, WEIGHTS_NAME, FittedRecord
from mammoshift.errors import WeightsError
from mammoshift.files import atomic_path, write_text_atomically
from mammoshift.models.architectures import check_names
from mammoshift.models.classifier import (
    DENSITY_CLASSES,
    Classifier,
    build_classifier,
    prepared,
)
from mammoshift.provenance.sums import remembered_sha256


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


class ModelRecord(FittedRecord):
    """Everything that is needed to apply a model and to know where it comes from.

    `backbone` also holds the normalisation unless `arm.normalisation` does, `arm.input` how an
    image becomes the model's input, `arm.training.threads` the CPU threads that it is applied with.
    `classes` are the names of the labels 0 and 1. `selected_epoch` counts from 1 over all stages.
    `licence` is None for a model that was trained from random weights. `lineage` is what the
    model and its ancestors learned from (`mammoshift.contracts.lineage.Lineage`); `weights_sha256`
    is filled in by `write_model`.
    """

    arm: Arm
    backbone: Backbone
    density_head: bool
    label: str
    classes: tuple[str, str]
    density_classes: tuple[str, ...] = DENSITY_CLASSES
    selected_epoch: int
    selected_validation_auc: float | None = None
    training_cases: int
    training_positives: int
    start_sha256: str | None = None
    licence: Licence | None = None
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
    complete = record.model_copy(update={"weights_sha256": weights_digest(folder)})
    text = complete.model_dump_json(indent=2, exclude_none=True)
    write_text_atomically(folder / RECORD_NAME, text + "\n")


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
        If the file or its record is absent, or the file is not what was written with the record.
    """
    path = folder / WEIGHTS_NAME
    expected = read_record(folder).weights_sha256
    if expected is not None and weights_digest(folder) != expected:
        raise WeightsError(
            f"{path}: its bytes are not those that its record was written with: the file is "
            f"damaged or was exchanged; delete the folder {folder} and run again"
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors: {error}") from error


def weights_digest(folder: Path) -> str:
    """Return the SHA-256 of a model's tensors; a file that did not change is read once.

    Raises
    ------
    WeightsError
        If there is no such file.
    """
    path = folder / WEIGHTS_NAME
    try:
        # Beside a user's model nothing is written.
        return remembered_sha256(path.resolve(), leave_note=False)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error


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
        backbone = record.backbone.normalised(record.arm.normalisation)
        classifier = build_classifier(
            backbone, record.arm.input.size, record.density_head, head=record.arm.head
        )
    where = str(folder / WEIGHTS_NAME)
    check_names(classifier.state_dict(), state, where)
    try:
        classifier.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{where}: {error}") from error
    classifier.precision = record.arm.applied_precision
    classifier.flips = record.arm.test_time_flips
    return prepared(classifier, device).eval(), record
