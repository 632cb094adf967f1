"""The card of one model: what its own validation patients give for reading its logit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ValidationError

from mammoshift.cases.tasks import class_names
from mammoshift.configuration.judged import CardSettings, JudgedDomain
from mammoshift.configuration.model import InputRecipe, Normalisation
from mammoshift.contracts.cases import VALIDATION, read_cases
from mammoshift.contracts.lineage import Lineage
from mammoshift.contracts.predictions import read_predictions
from mammoshift.contracts.run import Run
from mammoshift.errors import StatisticsError, WeightsError
from mammoshift.evaluation.grid import Cell, FloatArray, Grid
from mammoshift.evaluation.load import aligned_grid
from mammoshift.evaluation.rows import LEAKS, defined
from mammoshift.evaluation.thresholds import criterion_of
from mammoshift.models.card import (
    Ensemble,
    Measured,
    ModelCard,
    OperatingPoint,
    Reading,
    TrainingData,
    WeightsLicence,
)
from mammoshift.provenance.sums import remembered_sha256
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.intervals import auc_intervals
from mammoshift.statistics.recalibration import fit_temperature
from mammoshift.statistics.thresholds import (
    Threshold,
    g_mean_threshold,
    threshold_at_specificity,
    youden_threshold,
)

IMAGE = "image"
GROUPED = frozenset({"breast", "patient"})


class RecordOfAnyKind(BaseModel):
    """What the records of all kinds of arms have, and what only some have; the rest is let be."""

    arm: dict[str, Any]
    training_cases: int
    training_positives: int
    versions: dict[str, str]
    lineage: Lineage | None = None
    licence: WeightsLicence | None = None
    weights_sha256: str | None = None


@dataclass(frozen=True)
class CardJob:
    """The files and settings of one card.

    Attributes
    ----------
    run
        The model's run.
    settings
        Of its study: its own domain and its arm alone.
    records
        Run -> `model.json`, of each seed of the arm in the fold of the run.
    cases, predictions
        Tables of the arm's own domain.
    """

    run: Run
    settings: CardSettings
    records: Mapping[Run, Path]
    cases: Path
    predictions: Path


def make_card(job: CardJob) -> ModelCard:
    """Return the card of a run's model.

    A temperature and thresholds are those of the study's tables where a seed has one fold; with
    folds the tables average over them, and the card's are those of its own fold. Where breasts or
    patients are judged, there is a second reading for single images, with the images' own labels.

    Raises
    ------
    WeightsError
        If a record cannot be read.
    TableError
        If the tables contradict the settings or each other.
    """
    records = {run: _record(path) for run, path in job.records.items()}
    record, settings, run = records[job.run], job.settings, job.run
    grids = list(_grids(job))
    place = settings.seeds.index(run.seed)
    weights = tuple(_weights(job, records, Run(run.arm, seed, run.fold)) for seed in settings.seeds)
    ensemble = None
    if len(weights) > 1:
        read = tuple(_reading(job, grid, lambda cell: cell.ensemble[0]) for grid in grids)
        ensemble = Ensemble(members=weights, readings=read)
    arm = record.arm
    training = arm.get("training") or {}
    return ModelCard(
        study=settings.study,
        arm=run.arm,
        seed=run.seed,
        fold=run.fold,
        kind=str(arm.get("kind", "")),
        label=settings.label,
        weights_sha256=weights[place],
        task=settings.task,
        classes=class_names(settings.task),
        input=InputRecipe.model_validate(arm["input"]) if arm.get("input") else None,
        normalisation=(
            Normalisation.model_validate(arm["normalisation"]) if arm.get("normalisation") else None
        ),
        precision=arm.get("scoring_precision") or training.get("precision"),
        training_cases=record.training_cases,
        training_positives=record.training_positives,
        training_data=tuple(
            TrainingData(name=data.name, title=data.title, licence=data.licence)
            for data in settings.datasets
        ),
        lineage=record.lineage or Lineage(),
        licence=record.licence,
        readings=tuple(_reading(job, grid, lambda cell: cell.of(run.arm)[place]) for grid in grids),
        ensemble=ensemble,
        measured=tuple(_measured(job, grids[0], place)),
        versions=record.versions,
    )


def _record(path: Path) -> RecordOfAnyKind:
    try:
        return RecordOfAnyKind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole file"
        raise WeightsError(
            f"{path}: is no record of a trained model: {place}: {first['msg']}"
        ) from None


def _weights(job: CardJob, records: Mapping[Run, RecordOfAnyKind], run: Run) -> str:
    known = records[run].weights_sha256
    return known or remembered_sha256(job.records[run].with_name("model.safetensors"))


def _grids(job: CardJob) -> Iterator[Grid]:
    """Yield the fold's predictions for the judged units, and for images where units are larger."""
    fold = job.run.fold
    table = read_predictions(job.predictions)
    table = table[table["fold"] == fold]
    cases = read_cases(job.cases)
    own = [(subsets[fold],) for subsets in cases["subsets"]]
    cases = cases.assign(subsets=pd.Series(own, index=cases.index, dtype=object))
    domain = job.settings.domains[0]
    scored = set(table["subset"])
    domain = domain.model_copy(update={"subsets": tuple(s for s in domain.subsets if s in scored)})

    def grid(domain: JudgedDomain, cases: pd.DataFrame) -> Grid:
        study = job.settings.model_copy(update={"domains": (domain,)})
        return aligned_grid(study, [(job.cases, cases)], [(job.predictions, table)])

    yield grid(domain, cases)
    if domain.unit in GROUPED and set(table["case_id"]) <= set(cases["case_id"]):
        images = domain.model_copy(update={"unit": IMAGE})
        yield grid(images, cases.assign(unit_label=cases["label"]))


def _reading(job: CardJob, grid: Grid, of: Callable[[Cell], FloatArray]) -> Reading:
    """Return what the validation units give for the logits that `of` takes from a cell."""
    arm, domain = job.run.arm, grid.study.domains[0]
    cell = grid.validation_of(arm)
    where: dict[str, Any] = {
        "unit": domain.unit,
        "combine": domain.combine,
        "domain": domain.name,
        "subset": VALIDATION,
        "fold": job.run.fold,
    }
    if cell is None:
        return Reading(n=0, n_pos=0, note=grid.why_no_validation(arm), **where)
    logits, labels = of(cell), cell.labels
    where |= {"n": len(labels), "n_pos": int(labels.sum()), "note": LEAKS[cell.leak]}
    try:
        fitted = fit_temperature(logits, labels)
        where |= {"temperature": fitted.temperature, "temperature_note": fitted.note}
    except StatisticsError as error:
        where["temperature_note"] = str(error)
    specificity = job.settings.specificity
    criteria: dict[str, Callable[[], Threshold]] = {
        criterion_of(specificity): lambda: threshold_at_specificity(labels, logits, specificity),
        "youden": lambda: youden_threshold(labels, logits),
        "g_mean": lambda: g_mean_threshold(labels, logits),
    }
    if len(set(labels.tolist())) < 2:
        return Reading(**where)
    points = tuple(_point(name, choose()) for name, choose in criteria.items())
    return Reading(operating_points=points, **where)


def _point(name: str, chosen: Threshold) -> OperatingPoint:
    return OperatingPoint(
        name=name,
        threshold=chosen.value,
        sensitivity=chosen.sensitivity,
        specificity=chosen.specificity,
        note=chosen.note,
    )


def _measured(job: CardJob, grid: Grid, place: int) -> Iterator[Measured]:
    """Yield the AUC of the model on each held-out part of its own domain."""
    unit = grid.study.domains[0].unit
    for cell in grid.reported:
        estimate = auc_covariance(cell.labels, cell.of(job.run.arm), cell.clusters)
        limits = auc_intervals(estimate, method="auto")
        yield Measured(
            domain=cell.domain,
            subset=cell.subset,
            unit=unit,
            metric="auc",
            value=defined(estimate.auc[place]),
            ci_low=defined(limits.low[place]),
            ci_high=defined(limits.high[place]),
            n=len(cell.labels),
            n_pos=int(cell.labels.sum()),
            note=estimate.notes[place],
        )
