"""The card beside a saved model: what it is for, and how its logit is read.

A model's logit is neither a probability nor a decision. The card holds what its own validation
patients gave for that: a temperature and operating thresholds, each with the domain and the subset
that it comes from. It says nothing of other domains, where they may not hold: that is what the
report of the study measures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from mammoshift.configuration.judged import Combine, Unit
from mammoshift.configuration.model import InputRecipe, Name, Normalisation, Share, Strict
from mammoshift.contracts.lineage import Lineage
from mammoshift.errors import WeightsError
from mammoshift.files import write_text_atomically

Finite = Annotated[float, Field(allow_inf_nan=False)]

CARD_NAME = "model_card.json"
CARD_FORMAT = 1
INTENDED_USE = "Research on transfer between X-ray sensors and populations. Not a medical device."


class OperatingPoint(Strict):
    """A threshold on the logit and what it did on the cases that it was chosen on.

    A case is called positive where its logit is not below `threshold`. `name` is that of the
    criterion in the study's tables, such as `specificity_0.95`.
    """

    name: str
    threshold: Finite
    sensitivity: Share
    specificity: Share
    note: str = ""


class Reading(Strict):
    """How a logit is read at one level: that of a single image, or of a breast or patient.

    `combine` says how the logits of a unit's images become one. `temperature` divides the logit
    of a calibrated probability; None where none could be fitted, and `temperature_note` says why.
    Everything was chosen on `n` units of the subset `subset` of `domain`, in the fold of the
    model, of which `n_pos` are positive.
    """

    unit: Unit
    combine: Combine
    domain: Name
    subset: str
    fold: Annotated[int, Field(ge=0)]
    n: Annotated[int, Field(ge=0)]
    n_pos: Annotated[int, Field(ge=0)]
    temperature: Annotated[Finite, Field(gt=0.0)] | None = None
    temperature_note: str = ""
    operating_points: tuple[OperatingPoint, ...] = ()
    note: str = ""


class Ensemble(Strict):
    """How the mean logit of the arm's seeds in one fold is read; `members` by their weights."""

    members: tuple[str, ...]
    readings: tuple[Reading, ...]


class Measured(Strict):
    """One number on the held-out part of the model's own domain, with its 95 % interval."""

    domain: Name
    subset: str
    unit: Unit
    metric: str
    value: Finite | None = None
    ci_low: Finite | None = None
    ci_high: Finite | None = None
    n: int
    n_pos: int
    note: str = ""


class TrainingData(Strict):
    """A dataset that the model, or one that it started from, learned from."""

    name: Name
    title: str
    licence: str


class WeightsLicence(Strict):
    """What may be done with the model, inherited from the weights that it started from."""

    name: str
    source: str
    derivatives: str


class ModelCard(Strict):
    """Everything that a person who applies a model has to know beside its weights.

    `label` is the name that the report gives the arm. `classes` are the names of the labels 0 and
    1 of `task`. `input` is how a file becomes the model's input, None for a kind of arm without
    images; a dataset may have its own tone. `readings` are of this model alone, the judged unit's
    first. `licence` is None for a model that began with random weights.
    """

    format: Literal[1] = CARD_FORMAT
    intended_use: str = INTENDED_USE
    study: Name
    arm: Name
    seed: int
    fold: int
    kind: str
    label: str | None = None
    weights_sha256: str
    task: str
    classes: tuple[str, str]
    input: InputRecipe | None = None
    normalisation: Normalisation | None = None
    precision: str | None = None
    training_cases: int
    training_positives: int
    training_data: tuple[TrainingData, ...]
    lineage: Lineage
    licence: WeightsLicence | None = None
    readings: tuple[Reading, ...]
    ensemble: Ensemble | None = None
    measured: tuple[Measured, ...] = ()
    versions: dict[str, str]


def write_card(card: ModelCard, path: Path) -> None:
    """Write a card; equal cards give equal bytes."""
    write_text_atomically(path, card.model_dump_json(indent=2, exclude_none=True) + "\n")


def read_card(folder: Path) -> ModelCard | None:
    """Read the card in the folder of a model; None where there is none.

    Raises
    ------
    WeightsError
        If the file is damaged or was written by a newer version.
    """
    path = folder / CARD_NAME
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_bytes())
        newer = isinstance(content, dict) and content.get("format", CARD_FORMAT) != CARD_FORMAT
        if newer:
            raise WeightsError(
                f"{path}: is a card of format {content['format']!r}, and this version of "
                f"mammoshift reads format {CARD_FORMAT}; update mammoshift"
            )
        return ModelCard.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"])) or "the whole file"
        raise WeightsError(
            f"{path}: is no model card: {key}: {first['msg']}; run the workflow again, or delete "
            "the card to use the model without it"
        ) from None
    except (OSError, ValueError, RecursionError):
        raise WeightsError(
            f"{path}: is not readable as JSON; run the workflow again, or delete the card to use "
            "the model without it"
        ) from None
