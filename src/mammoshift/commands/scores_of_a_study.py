"""The predictions of a finished study, as the commands on anyone's predictions take them.

A study's prediction tables have no labels and no patients; those stand in its tables of cases. Both
are aligned as for the study's own result tables, so that the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from pydantic import ValidationError

from mammoshift.configuration.judged import JudgedArm, JudgedDomain, JudgedStudy
from mammoshift.contracts.external_predictions import (
    DEFAULT_CLUSTER,
    NO_CLUSTER,
    DatasetScores,
    ExternalPredictions,
    Identifiers,
    read_external_predictions,
)
from mammoshift.contracts.predictions import PREDICTION_SCHEMA
from mammoshift.errors import TableError
from mammoshift.evaluation.grid import Cell
from mammoshift.evaluation.load import load_grid
from mammoshift.provenance.keys import key_file, read_key

PREDICTIONS, CASES = "predictions.parquet", "cases.parquet"
DOMAINS = "domains"
METRICS = Path("tables", "metrics.csv")


@dataclass(frozen=True)
class _Place:
    """What a path names: a study, and of it one arm or one domain where the path says so."""

    study: Path
    arm: str | None = None
    domain: str | None = None


def read_scores(
    path: Path, cluster: str | None = None, *, single_arm: bool = False, validation: bool = False
) -> ExternalPredictions:
    """Read a table of predictions, or those of a study of this project.

    Parameters
    ----------
    path
        A table (see `read_external_predictions`); or a study's folder of results, the folder of
        one of its arms or domains, or one of its prediction tables.
    cluster
        Column that groups dependent cases; of a study `patient_id` or `none`.
    single_arm
        Whether the column `arm` of a table may be missing.
    validation
        Whether the validation cases of a study are meant, each arm's on its own domain, and not
        the held-out ones that results are reported for.

    Raises
    ------
    TableError
        If the table cannot be used, or the folder holds no study that was evaluated.
    """
    if not path.is_dir() and not _is_of_a_study(path):
        return read_external_predictions(path, cluster, single_arm)
    if cluster not in (None, DEFAULT_CLUSTER, NO_CLUSTER):
        raise TableError(
            f"{path}: a study's cases are grouped by {DEFAULT_CLUSTER}; leave --cluster out, or "
            f"say {NO_CLUSTER}"
        )
    place = _place(path)
    study, references = _judged(place.study)
    study = _restricted(study, place, path)
    grid = load_grid(
        study,
        [place.study / DOMAINS / domain.name / CASES for domain in study.domains],
        [place.study / a.name / name / PREDICTIONS for a in study.arms for name in a.judged_on],
    )
    cells = grid.validations if validation else grid.leading
    if not cells:
        raise TableError(
            f"{path}: no arm has validation cases there; give the study's folder, or the domain "
            "that the arm was trained on"
        )
    column = None if cluster == NO_CLUSTER or _no_patients(cells) else DEFAULT_CLUSTER
    return ExternalPredictions(
        tuple(_dataset(cell, column is not None) for cell in cells),
        column,
        log_odds=True,
        note=_said(study, cells),
        reference=_only_reference(references, cells),
    )


def refuse_other_scale(scores: str | None) -> None:
    """Raise a usage error when scores of a study are said to be other than log-odds."""
    if scores == "probability":
        raise typer.BadParameter(
            "probability: a study's predictions are log-odds; leave --scores out"
        )


def _is_of_a_study(path: Path) -> bool:
    """Whether a file is a study's prediction table; what is wrong with it is said elsewhere."""
    if path.suffix.lower() != ".parquet":
        return False
    try:
        columns = set(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return False
    return columns == set(PREDICTION_SCHEMA.names)


def _place(path: Path) -> _Place:
    """Return which study a path is of, and which arm or domain of it."""
    folder = (path if path.is_dir() else path.parent).resolve()
    if (folder / DOMAINS).is_dir():
        return _Place(folder)
    above, name = folder.parent, folder.name
    if name == DOMAINS and any(folder.glob(f"*/{CASES}")):
        return _Place(above)
    if above.name == DOMAINS:
        return _Place(above.parent, domain=name)
    if (above / DOMAINS).is_dir():
        return _Place(above, arm=name)
    if (above.parent / DOMAINS).is_dir():
        return _Place(above.parent, arm=above.name, domain=name)
    studies = sorted(found.parent for found in folder.glob(f"*/{DOMAINS}"))
    if len(studies) == 1:
        return _Place(studies[0])
    if studies:
        names = ", ".join(str(path / study.name) for study in studies)
        raise TableError(f"{path}: holds several studies; give one of them: {names}")
    if path.is_dir():
        raise TableError(
            f"{path}: is a folder, and none of a study's results; give the one that holds the "
            "study's report, as in results/clinic/clinic, or a table"
        )
    raise TableError(
        f"{path}: has no labels, which stand in the study's tables of cases; give it where the "
        "study wrote it, or a table with case_id, label, arm and score"
    )


def _only_reference(references: Sequence[str], cells: Sequence[Cell]) -> str | None:
    """Return the study's reference where it has one, which is judged in all cells beside others."""
    everywhere = [name for name in references if all(name in cell.arms for cell in cells)]
    return everywhere[0] if len(references) == 1 and everywhere else None


def _judged(folder: Path) -> tuple[JudgedStudy, tuple[str, ...]]:
    """Return what a study's metrics were made with, and its references, from the key there."""
    file = key_file(folder / METRICS)
    key = read_key(file, folder.parent)
    if key is None or "settings" not in key.parameters:
        raise TableError(
            f"{file}: there is no such file, which says how the study judges; run the study to "
            "its end, or copy its folder with the hidden files"
        )
    settings = key.parameters["settings"]
    try:
        study = JudgedStudy.model_validate({n: settings[n] for n in JudgedStudy.model_fields})
        return study, tuple(map(str, settings.get("references", ())))
    except (KeyError, TypeError, ValidationError) as error:
        raise TableError(f"{file}: is of another version of mammoshift; run it again") from error


def _restricted(study: JudgedStudy, place: _Place, path: Path) -> JudgedStudy:
    """Return the part of a study that a path names."""
    arms = tuple(
        JudgedArm(name=arm.name, own_domain=arm.own_domain, judged_on=own)
        for arm in study.arms
        if place.arm in (None, arm.name)
        and (own := tuple(name for name in arm.judged_on if place.domain in (None, name)))
    )
    judged = {name for arm in arms for name in arm.judged_on}
    domains = tuple(domain for domain in study.domains if domain.name in judged)
    if not domains:
        raise TableError(
            f"{path}: the study {study.study!r} judges nothing there; its arms are "
            f"{', '.join(arm.name for arm in study.arms)}, its domains "
            f"{', '.join(domain.name for domain in study.domains)}"
        )
    return study.model_copy(update={"arms": arms, "domains": domains})


def _no_patients(cells: list[Cell]) -> bool:
    return all(cell.cases["patient_id"].isna().all() for cell in cells)


def _dataset(cell: Cell, clustered: bool) -> DatasetScores:
    """Return the scores of a cell; identifiers of domains that share no patients differ."""
    shared = cell.same_patients_as or cell.shares_datasets_with
    before = "" if shared else f"{cell.domain}/"
    patients, codes = np.unique(cell.cases["cluster"].to_numpy(dtype=str), return_inverse=True)
    return DatasetScores(
        cell.domain,
        cell.labels,
        np.ascontiguousarray(cell.curves),
        tuple((arm, str(seed)) for arm in cell.arms for seed in cell.seeds),
        codes if clustered else None,
        _identifiers(before + cell.cases["case_id"].astype(str), np.arange(len(cell.labels))),
        _identifiers([before + name for name in patients], codes) if clustered else None,
    )


def _identifiers(texts: Iterable[str], codes: np.ndarray) -> Identifiers:
    return Identifiers(pa.array(list(texts), pa.string()), codes)


def _said(study: JudgedStudy, cells: list[Cell]) -> str:
    """Return in words which cases of a study these are, and what to beware of."""
    parts = []
    for cell in cells:
        domain: JudgedDomain = study.domain(cell.domain)
        warning = f", the split {cell.leak} leaks patients" if cell.leak else ""
        unknown = int(cell.cases["patient_id"].isna().sum())
        if unknown:
            warning += f", {unknown} without a patient: independence assumed"
        parts.append(f"{cell.domain} ({cell.subset}, by {domain.unit}{warning})")
    return f"Cases of the study {study.study}: {', '.join(parts)}"
