"""What the report is made from: paths, and the checked tables behind them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mammoshift.configuration.judged import ReportSettings
from mammoshift.contracts.cases import read_cases
from mammoshift.contracts.manifest import QC_COLUMNS, read_manifest
from mammoshift.contracts.results import read_comparisons, read_metrics
from mammoshift.contracts.run import Run
from mammoshift.contracts.trials import TRIAL_COLUMNS
from mammoshift.errors import TableError
from mammoshift.evaluation.grid import Grid
from mammoshift.evaluation.load import load_grid
from mammoshift.report.circumstances import Circumstances
from mammoshift.report.cohort import describe_cohort
from mammoshift.report.contact_sheets import SheetView, sheet_views
from mammoshift.report.gallery import GalleryView, gallery_views
from mammoshift.report.made_of import NOT_KNOWN, MadeOf

HISTORY_COLUMNS = ("epoch", "stage", "train_loss", "validation_loss", "validation_auc")
AUDIT_COLUMNS = ("check", "outcome", "detail")
"""Columns that the report needs of the audit's summary: what was checked, `pass`, `fail` or
`listed`, and a sentence without identifiers."""


@dataclass(frozen=True)
class TrainingRun:
    """The files of one trained model: its history per epoch and its JSON record."""

    run: Run
    history: Path
    record: Path


@dataclass(frozen=True)
class ReportInputs:
    """Everything that the report reads; no order of paths matters.

    Attributes
    ----------
    settings
        What is known of the study beside its numbers.
    metrics, comparisons
        The tidy tables of the study; the rows of several files are read as one table.
    cases, predictions
        One table of cases for each domain; one prediction table for each arm and domain.
    manifests
        One for each dataset, with its images that became no case, too.
    runs
        The trained models; an arm that is only applied has none.
    exclusions
        Quality-control tables of all datasets and stages.
    audits
        The summaries of the leakage audits, of the splits and of the predictions.
    sheets
        The records of the contact sheets, one for each dataset that may be shown.
    searches
        The tables of trials, one for each search and fold.
    assets
        The folder with the template, the style sheet, the captions and the methods' descriptions.
    made_of
        What is known of how the results were made.
    galleries
        The records of the galleries, one for each arm that has one.
    made
        How the report comes about; None where nobody says it.
    """

    settings: ReportSettings
    metrics: tuple[Path, ...]
    comparisons: tuple[Path, ...]
    cases: tuple[Path, ...]
    predictions: tuple[Path, ...]
    manifests: tuple[Path, ...]
    runs: tuple[TrainingRun, ...]
    exclusions: tuple[Path, ...]
    audits: tuple[Path, ...]
    assets: Path
    sheets: tuple[Path, ...] = ()
    searches: tuple[Path, ...] = ()
    made_of: MadeOf = NOT_KNOWN
    galleries: tuple[Path, ...] = ()
    made: Circumstances | None = None


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
    weights_sha256: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    """All that is recorded, as JSON."""


@dataclass(frozen=True)
class DatasetContent:
    """What is known of a dataset's usable images: their number, and a hash of their contents.

    The SHA-256 is over the sorted content keys of the manifest, so that it names the images
    whatever their files are called.
    """

    images: int
    sha256: str


@dataclass(frozen=True)
class TrainedModel:
    """One trained model with its history read."""

    run: Run
    history: pd.DataFrame
    model: ModelFacts


@dataclass(frozen=True)
class ReportData:
    """The checked tables of a study.

    `exclusions` counts the excluded files: columns dataset, stage, reason, files. Paths stay in
    the quality-control tables, since a path may name a patient. `trials` has a row for each setting
    of each trial of a search, as text; None without a search.
    """

    settings: ReportSettings
    metrics: pd.DataFrame
    comparisons: pd.DataFrame
    grid: Grid
    cohort: pd.DataFrame
    exclusions: pd.DataFrame
    audit: pd.DataFrame | None
    runs: tuple[TrainedModel, ...]
    sheets: tuple[SheetView, ...] = ()
    trials: pd.DataFrame | None = None
    made_of: MadeOf = NOT_KNOWN
    gallery: tuple[GalleryView, ...] = ()
    contents: Mapping[str, DatasetContent] = field(default_factory=dict)
    made: Circumstances | None = None


def load_report_data(inputs: ReportInputs) -> ReportData:
    """Read and check the tables of the report.

    Raises
    ------
    TableError
        If a table breaks its contract, is missing or names an arm or a domain that the study has
        not.
    """
    settings = inputs.settings
    metrics = _rows_of_study(settings, inputs.metrics, read_metrics)
    if metrics.empty:
        raise TableError(
            f"{inputs.metrics[0]}: no row belongs to the study {settings.study!r}; evaluate it "
            "first"
        )
    exclusions = _count_exclusions(inputs.exclusions)
    manifests = pd.concat([read_manifest(path) for path in inputs.manifests], ignore_index=True)
    return ReportData(
        settings=settings,
        metrics=metrics,
        comparisons=_rows_of_study(settings, inputs.comparisons, read_comparisons),
        grid=load_grid(settings, inputs.cases, inputs.predictions),
        cohort=_cohort(inputs, manifests, exclusions),
        exclusions=exclusions,
        audit=_read_audits(inputs.audits),
        runs=_read_runs(inputs),
        sheets=sheet_views(settings, inputs.sheets),
        trials=_read_trials(inputs),
        made_of=inputs.made_of,
        gallery=gallery_views(settings, inputs.galleries),
        contents=_contents(manifests),
        made=inputs.made,
    )


def _read_runs(inputs: ReportInputs) -> tuple[TrainedModel, ...]:
    """Return the trained models in the order of arms, seeds and folds."""
    arms, seeds = inputs.settings.arm_names, inputs.settings.seeds
    models: dict[Run, TrainedModel] = {}
    for files in inputs.runs:
        run = files.run
        if run.arm not in arms or run.seed not in seeds:
            raise TableError(
                f"{files.history}: {run} is not part of the study {inputs.settings.study!r}; give "
                "the runs of this study alone"
            )
        if run in models:
            raise TableError(f"{files.history}: {run} is given twice; give each run once")
        model = read_model_facts(files.record)
        models[run] = TrainedModel(run, _read_history(files.history), model)
    ordered = sorted(models, key=lambda run: (arms.index(run.arm), run.seed, run.fold))
    return tuple(models[run] for run in ordered)


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
    start, weights = record.get("start_sha256"), record.get("weights_sha256")
    return ModelFacts(
        selected_epoch=whole("selected_epoch"),
        training_cases=whole("training_cases"),
        training_positives=whole("training_positives"),
        start_sha256=None if start is None else str(start),
        weights_source=str(licence.get("source", "")),
        weights_licence=str(licence.get("name", "")),
        versions=tuple(sorted((k, str(v)) for k, v in record.get("versions", {}).items())),
        weights_sha256=None if weights is None else str(weights),
        record=record,
    )


def _rows_of_study(
    settings: ReportSettings, paths: tuple[Path, ...], read: Callable[[Path], pd.DataFrame]
) -> pd.DataFrame:
    """Return the rows of the study in all files, their names checked."""
    tables = [_of_the_study(read(path), settings, path) for path in paths]
    return pd.concat(tables, ignore_index=True)


def _contents(manifests: pd.DataFrame) -> dict[str, DatasetContent]:
    """Return what the manifests hold of each dataset."""
    return {
        str(dataset): DatasetContent(
            len(rows), hashlib.sha256("\n".join(sorted(rows["content_key"])).encode()).hexdigest()
        )
        for dataset, rows in manifests.groupby("dataset", sort=True)
    }


def _cohort(
    inputs: ReportInputs, manifests: pd.DataFrame, exclusions: pd.DataFrame
) -> pd.DataFrame:
    """Describe the cases of every domain, and the images of its datasets that are none."""
    settings = inputs.settings
    tables = (read_cases(path) for path in inputs.cases)
    cases = {str(table["domain"].iloc[0]): table for table in tables if len(table)}
    left_out = exclusions.groupby("dataset")["files"].sum()
    parts = []
    for domain in settings.domain_names:
        datasets = settings.described_domain(domain).datasets
        absent = sorted(set(datasets) - set(manifests["dataset"]))
        if absent:
            raise TableError(
                f"study {settings.study!r}: there is no manifest of the dataset {absent[0]!r}; "
                "give those of all datasets"
            )
        excluded = int(left_out.reindex(list(datasets), fill_value=0).sum())
        images = manifests[manifests["dataset"].isin(datasets)]
        if domain not in cases:
            raise TableError(
                f"study {settings.study!r}: domain {domain!r} has no table of cases; make it"
            )
        parts.append(describe_cohort(domain, images, cases[domain], excluded))
    return pd.concat(parts, ignore_index=True)


def _of_the_study(table: pd.DataFrame, settings: ReportSettings, path: Path) -> pd.DataFrame:
    """Return the rows of the study, after a check of the names that the report is laid out by.

    Text becomes plain objects, which many small selections read several times faster.
    """
    text = table.select_dtypes("str").columns
    rows = table[table["study"] == settings.study].astype(dict.fromkeys(text, object))
    rows = rows.reset_index(drop=True)
    domains = {*settings.domain_names, "all_targets"}
    means = (name for family in settings.families for names in family.means for name in names)
    for column, known in (("arm", {*settings.arm_names, "all_arms", *means}), ("domain", domains)):
        unknown = rows[~rows[column].isin(known)]
        if len(unknown):
            raise TableError(
                f"{path}: {column} {unknown.iloc[0][column]!r} is not part of the study "
                f"{settings.study!r}; evaluate it again"
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


def _read_trials(inputs: ReportInputs) -> pd.DataFrame | None:
    """Return the trials of all searches in the order of the arms, or None without any."""
    tables = [_read_text_table(path, TRIAL_COLUMNS) for path in inputs.searches]
    if not tables:
        return None
    arms = inputs.settings.arm_names
    trials = pd.concat(tables, ignore_index=True)
    unknown = sorted(set(trials["arm"]) - set(arms))
    if unknown:
        raise TableError(
            f"{inputs.searches[0]}: the arm {unknown[0]!r} is not part of the study "
            f"{inputs.settings.study!r}; give the searches of this study alone"
        )
    return trials.sort_values("arm", key=lambda names: names.map(arms.index), kind="stable")


def _read_history(path: Path) -> pd.DataFrame:
    """Return the history with numeric columns; the stage stays text."""
    table = _read_text_table(path, HISTORY_COLUMNS)
    for column in table.columns.difference(["stage"]):
        table[column] = pd.to_numeric(table[column], errors="coerce")
    return table.sort_values("epoch", kind="stable").reset_index(drop=True)
