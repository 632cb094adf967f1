"""Trained models to be applied: their folders, their records, and what their cards say."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from mammoshift.configuration.model import InputRecipe
from mammoshift.errors import ConfigurationError, DamagedFileError, WeightsError
from mammoshift.files import sha256_of_file
from mammoshift.models.card import (
    CARD_NAME,
    INTENDED_USE,
    ModelCard,
    OperatingPoint,
    Reading,
    read_card,
)
from mammoshift.models.classifier import Classifier
from mammoshift.models.saved_model import (
    RECORD_NAME,
    WEIGHTS_NAME,
    ModelRecord,
    load_model,
    weights_digest,
)
from mammoshift.provenance.keys import key_file, read_key

_RUNS = "seed-*/fold-*"
_NUMBERS = re.compile(r"\d+")
_FILE_UNITS = ("image",)
NO_CARD = "no model card: the probability is not calibrated and nothing is called"


@dataclass(frozen=True, eq=False)
class Trained:
    """One model, ready to be applied, with its record and, where there is one, its card."""

    folder: Path
    classifier: Classifier
    record: ModelRecord
    card: ModelCard | None


@dataclass(frozen=True, eq=False)
class Applied:
    """Models that are applied together: the logit of a file is the mean of theirs.

    Attributes
    ----------
    models
        At least one; all of one input recipe and one label.
    reading
        How the logit is read; None where no card says it of these models together.
    note
        Why there is no reading; empty where there is one.
    """

    models: tuple[Trained, ...]
    reading: Reading | None
    note: str

    @property
    def record(self) -> ModelRecord:
        """The record of the first model, with what is the same in all."""
        return self.models[0].record

    @property
    def recipe(self) -> InputRecipe:
        """How a file becomes the input of all models."""
        return self.record.arm.input

    @property
    def title(self) -> str:
        """The models in words."""
        first = self.record
        name = first.arm.label or first.arm.name
        several = len(self.models)
        return f"{name}, seed {first.seed}" if several == 1 else f"{name}, mean of {several} models"

    def explanations(self, point: OperatingPoint | None) -> list[str]:
        """Return sentences on where temperature and threshold come from."""
        reading = self.reading
        if reading is None:
            return [self.note, INTENDED_USE.rstrip(".")]
        cases = (
            f"{reading.n} images ({reading.n_pos} positive) of the {reading.subset} of "
            f"{reading.domain}"
        )
        said = []
        if reading.temperature is not None:
            said.append(f"Probability: logit / {reading.temperature:.4g}, fitted on {cases}")
        if point is not None:
            said.append(
                f"Called {self.record.classes[1]}: logit at or above {point.threshold:.6g} "
                f"({point.name}), chosen on {cases}: sensitivity {point.sensitivity:.3f}, "
                f"specificity {point.specificity:.3f} there. Elsewhere both may differ"
            )
        return [*said, reading.note, INTENDED_USE.rstrip(".")]


def open_models(places: Sequence[Path], device: torch.device) -> Applied:
    """Load the models in some folders.

    Parameters
    ----------
    places
        The folder of a run, a file in it, or the folder of an arm, which stands for all its runs.
    device
        Where they compute.

    Raises
    ------
    WeightsError
        If a folder holds no whole model, or one of a newer version.
    ConfigurationError
        If the models take other images or say something else of them, or take no whole images.
    """
    folders = list(dict.fromkeys(folder for place in places for folder in run_folders(place)))
    models = tuple(_open(folder, device) for folder in folders)
    first = models[0].record
    for other in models[1:]:
        for what, mine, theirs in (
            ("input recipe", first.arm.input, other.record.arm.input),
            ("label", (first.label, first.classes), (other.record.label, other.record.classes)),
        ):
            if mine != theirs:
                raise ConfigurationError(
                    f"{other.folder}: has another {what} than {models[0].folder}; logits of models "
                    "can be averaged where both take the same images and say the same of them"
                )
    for model in models:
        _check_takes_images(model)
    return Applied(models, *_reading(models))


def run_folders(place: Path) -> list[Path]:
    """Return the folders of the models that a path stands for.

    Raises
    ------
    WeightsError
        If there is none.
    """
    if place.name in (RECORD_NAME, WEIGHTS_NAME) and place.is_file():
        return [place.parent]
    if (place / RECORD_NAME).is_file():
        return [place]
    runs = [path.parent for path in place.glob(f"{_RUNS}/{RECORD_NAME}")] if place.is_dir() else []
    if not runs:
        raise WeightsError(
            f"{place}: is no folder of a trained model: there is no {RECORD_NAME} in it, such as "
            "results/STUDY/ARM/seed-0/fold-0 has"
        )
    return sorted(runs, key=lambda path: [int(n) for n in _NUMBERS.findall(str(path))])


def check_record(folder: Path) -> None:
    """Say in one sentence what is wrong with the record of a model, if anything is.

    Raises
    ------
    WeightsError
        If it is absent, damaged, of a newer version, or of a kind of arm without images.
    """
    path = folder / RECORD_NAME
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise WeightsError(f"{path}: is not JSON; the file is damaged or no record") from None
    if not isinstance(content, dict) or not isinstance(content.get("arm"), dict):
        raise WeightsError(f"{path}: is no record of a trained model: there is no arm in it")
    written, own = _version_of(content), version("mammoshift")
    if _parts(written) > _parts(own):
        raise WeightsError(
            f"{path}: was written by mammoshift {written}, which is newer than this one ({own}); "
            "update mammoshift to apply the model"
        )
    kind = content["arm"].get("kind", "network")
    if kind != "network":
        raise WeightsError(
            f"{folder}: is a model of the kind {str(kind)[:40]!r}, which takes no image; only "
            "networks can be applied to image files"
        )
    unknown = _first_problem(content)
    if unknown:
        raise WeightsError(f"{path}: is no record that this version of mammoshift reads: {unknown}")


def _open(folder: Path, device: torch.device) -> Trained:
    check_record(folder)
    if not (folder / WEIGHTS_NAME).is_file():
        raise WeightsError(f"{folder}: there is no {WEIGHTS_NAME} beside the record")
    _check_keys(folder)
    classifier, record = load_model(folder, device)
    card = read_card(folder)
    if card is not None and card.weights_sha256 != weights_digest(folder):
        raise WeightsError(
            f"{folder}: the model card is of other weights than those beside it; run the workflow "
            "again, or delete the card to use the model without it"
        )
    return Trained(folder, classifier, record, card)


def _check_keys(folder: Path) -> None:
    """Compare a model's record and card with what the workflow wrote, where it says so beside them.

    Raises
    ------
    WeightsError
        If one was changed since.
    """
    for first in (WEIGHTS_NAME, CARD_NAME):
        try:
            key = read_key(key_file(folder / first), folder)
        except DamagedFileError:
            continue
        for name in (RECORD_NAME, CARD_NAME):
            written = key.outputs.get(name) if key is not None else None
            path = folder / name
            if written is not None and path.is_file() and sha256_of_file(path) != written.sha256:
                raise WeightsError(
                    f"{path}: is not as the workflow wrote it: it was changed or is damaged. "
                    "Delete it and run the workflow again"
                )


def _reading(models: Sequence[Trained]) -> tuple[Reading | None, str]:
    """Return how a single file's logit is read, or why that is not known."""
    card = models[0].card
    if card is None:
        return None, NO_CARD
    readings, names = card.readings, {weights_digest(model.folder) for model in models}
    if len(models) > 1:
        if card.ensemble is None or set(card.ensemble.members) != names:
            return None, (
                "no card says how the mean of these models is read: the probability is not "
                "calibrated and nothing is called"
            )
        readings = card.ensemble.readings
    for reading in readings:
        if reading.unit in _FILE_UNITS:
            return reading, ""
    return None, (
        f"the card reads logits of a {readings[0].unit} alone: the probability is not calibrated "
        "and nothing is called"
    )


def _check_takes_images(model: Trained) -> None:
    patches = model.record.arm.input.patch is not None
    if patches or (model.card is not None and model.card.readings[0].unit == "patch"):
        raise ConfigurationError(
            f"{model.folder}: classifies patches of an image, not whole images; there is nothing "
            "to say of a file as a whole"
        )


def _version_of(content: dict[str, Any]) -> str:
    versions = content.get("versions")
    return str(versions.get("mammoshift", "0")) if isinstance(versions, dict) else "0"


def _parts(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBERS.findall(text)[:3])


def _first_problem(content: dict[str, Any]) -> str:
    """Return the first thing that keeps a record from being read, empty where nothing does."""
    try:
        ModelRecord.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        extra = first["type"] == "extra_forbidden"
        return f"{key}: is not known" if extra else f"{key}: {first['msg']}"
    return ""
