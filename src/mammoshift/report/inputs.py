"""What the report is made from: paths, and the checked tables behind them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mammoshift.contracts.manifest import QC_COLUMNS, read_manifest
from mammoshift.contracts.predictions import read_predictions
from mammoshift.contracts.results import read_comparisons, read_metrics
from mammoshift.contracts.split import read_split
from mammoshift.errors import TableError
from mammoshift.report.cohort import describe_cohort
from mammoshift.report.facts import StudyFacts

HISTORY_COLUMNS = ("epoch", "stage", "train_loss", "validation_loss", "validation_auc")
AUDIT_COLUMNS = ("check", "outcome", "detail")
"""Columns that the report needs of the audit's summary: what was checked, `pass`, `fail` or
`listed`, and a sentence without identifiers."""


@dataclass(frozen=True)
class TrainingRun:
    """One trained model: its history per epoch and its JSON record."""

    arm: str
    seed: int
    history: Path
    record: Path


@dataclass(frozen=True)
class ReportInputs:
    """Everything that the report reads.

    Attributes
    ----------
    facts
        The resolved facts of the study.
    metrics, comparisons
        The tidy tables of the study; the rows of several files are read as one table.
    manifests, split
        The manifests of the study's datasets and the split of its source.
    predictions
        One prediction table for each dataset (the source first), arm and seed, in that nesting.
    runs
        The trained models.
    exclusions
        Quality-control tables of all datasets and stages.
    audits
        The summaries of the leakage audits, of the split and of the predictions.
    assets
        The folder with the template, the style sheet, the captions and the methods' descriptions.
    """

    facts: StudyFacts
    metrics: tuple[Path, ...]
    comparisons: tuple[Path, ...]
    manifests: tuple[Path, ...]
    split: Path
    predictions: tuple[Path, ...]
    runs: tuple[TrainingRun, ...]
    exclusions: tuple[Path, ...]
    audits: tuple[Path, ...]
    assets: Path

    def predictions_of(self, dataset: str) -> tuple[Path, ...]:
        """Return the prediction tables of one dataset, arm by arm and seed by seed."""
        runs = len(self.facts.arms) * len(self.facts.seeds)
        position = self.facts.dataset_names.index(dataset)
        return self.predictions[position * runs : (position + 1) * runs]


@dataclass(frozen=True)
class ModelFacts:
    """What the report takes from a model's record; None or empty where it is not recorded."""

    selected_epoch: int | None
    training_cases: int | None
    training_positives: int | None
    start_sha256: str | None
    weights_source: str
    weights_licence: str
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Run:
    """One trained model with its history read."""

    arm: str
    seed: int
    history: pd.DataFrame
    model: ModelFacts


@dataclass(frozen=True)
class ReportData:
    """The checked tables of a study.

    `exclusions` counts the excluded files: columns dataset, stage, reason, files. Paths stay in
    the quality-control tables, since a path may name a patient.
    """

    facts: StudyFacts
    metrics: pd.DataFrame
    comparisons: pd.DataFrame
    cohort: pd.DataFrame
    exclusions: pd.DataFrame
    audit: pd.DataFrame | None
    runs: tuple[Run, ...]


def load_report_data(inputs: ReportInputs) -> ReportData:
    """Read and check the tables of the report; predictions are left for the curves.

    Raises
    ------
    TableError
        If a table breaks its contract or names an arm or a dataset that the study has not.
    """
    facts = inputs.facts
    expected = len(facts.dataset_names) * len(facts.arms) * len(facts.seeds)
    if len(inputs.predictions) != expected:
        raise TableError(
            f"{len(inputs.predictions)} prediction tables for {len(facts.dataset_names)} datasets, "
            f"{len(facts.arms)} arms and {len(facts.seeds)} seeds; {expected} are needed"
        )
    metrics = _rows_of_study(facts, inputs.metrics, read_metrics)
    if metrics.empty:
        raise TableError(
            f"{inputs.metrics[0]}: no row belongs to the study {facts.name!r}; evaluate it first"
        )
    exclusions = _count_exclusions(inputs.exclusions)
    return ReportData(
        facts=facts,
        metrics=metrics,
        comparisons=_rows_of_study(facts, inputs.comparisons, read_comparisons),
        cohort=_cohort(inputs, exclusions),
        exclusions=exclusions,
        audit=_read_audits(inputs.audits),
        runs=tuple(
            Run(run.arm, run.seed, _read_history(run.history), read_model_facts(run.record))
            for run in inputs.runs
        ),
    )


def read_model_facts(path: Path) -> ModelFacts:
    """Read what the report prints of a model's JSON record.

    Raises
    ------
    TableError
        If the file is not a JSON object.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TableError(f"{path}: not a JSON record of a model; train the arm again") from error
    if not isinstance(record, dict):
        raise TableError(f"{path}: not a JSON record of a model; train the arm again")

    def whole(key: str) -> int | None:
        value = record.get(key)
        return value if isinstance(value, int) else None

    licence = record.get("licence") or {}
    start = record.get("start_sha256")
    return ModelFacts(
        selected_epoch=whole("selected_epoch"),
        training_cases=whole("training_cases"),
        training_positives=whole("training_positives"),
        start_sha256=None if start is None else str(start),
        weights_source=str(licence.get("source", "")),
        weights_licence=str(licence.get("name", "")),
        versions=tuple(sorted((k, str(v)) for k, v in record.get("versions", {}).items())),
    )


def _rows_of_study(
    facts: StudyFacts, paths: tuple[Path, ...], read: Callable[[Path], pd.DataFrame]
) -> pd.DataFrame:
    """Return the rows of the study in all files, their names checked against its facts."""
    tables = [_of_the_study(read(path), facts, path) for path in paths]
    return pd.concat(tables, ignore_index=True)


def _cohort(inputs: ReportInputs, exclusions: pd.DataFrame) -> pd.DataFrame:
    """Describe every dataset: the source by its split, a target by what was scored of it."""
    facts = inputs.facts
    columns = ["image_id", "subset", "label"]
    left_out = exclusions.groupby("dataset")["files"].sum()
    parts = []
    for dataset, path in zip(facts.dataset_names, inputs.manifests, strict=True):
        if dataset == facts.source:
            assigned = read_split(inputs.split)
        else:
            assigned = read_predictions(inputs.predictions_of(dataset)[0])
        excluded = int(left_out.get(dataset, 0))
        parts.append(describe_cohort(read_manifest(path), assigned[columns], excluded))
    return pd.concat(parts, ignore_index=True)


def _of_the_study(table: pd.DataFrame, facts: StudyFacts, path: Path) -> pd.DataFrame:
    """Return the rows of the study, after a check of the names that the report is laid out by.

    Text becomes plain objects, which many small selections read several times faster.
    """
    text = table.select_dtypes("str").columns
    rows = table[table["study"] == facts.name].astype(dict.fromkeys(text, object))
    rows = rows.reset_index(drop=True)
    datasets = {*facts.dataset_names, "all_targets"}
    for column, known in (("arm", {*facts.arm_names, "all_arms"}), ("dataset", datasets)):
        unknown = rows[~rows[column].isin(known)]
        if len(unknown):
            raise TableError(
                f"{path}: {column} {unknown.iloc[0][column]!r} is not part of the study "
                f"{facts.name!r}; evaluate it again"
            )
    return rows


def _read_text_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: not a readable CSV table: {error}") from error
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise TableError(f"{path}: columns missing: {', '.join(absent)}")
    return table


def _count_exclusions(paths: tuple[Path, ...]) -> pd.DataFrame:
    """Count files by dataset, stage and reason; one file lost in several inputs counts once."""
    columns = list(QC_COLUMNS)
    tables = [_read_text_table(path, QC_COLUMNS)[columns] for path in paths]
    rows = pd.concat([pd.DataFrame(columns=columns, dtype=str), *tables]).drop_duplicates()
    counts = rows.groupby(["dataset", "stage", "reason"], sort=True).size()
    return counts.rename("files").reset_index()


def _read_audits(paths: tuple[Path, ...]) -> pd.DataFrame | None:
    """Return the checks of all audits, or None when none was made."""
    tables = [_read_text_table(path, AUDIT_COLUMNS)[list(AUDIT_COLUMNS)] for path in paths]
    return pd.concat(tables, ignore_index=True) if tables else None


def _read_history(path: Path) -> pd.DataFrame:
    """Return the history with numeric columns; the stage stays text."""
    table = _read_text_table(path, HISTORY_COLUMNS)
    for column in table.columns.difference(["stage"]):
        table[column] = pd.to_numeric(table[column], errors="coerce")
    return table.sort_values("epoch", kind="stable").reset_index(drop=True)
