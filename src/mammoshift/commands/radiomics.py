"""`mammoshift radiomics fit`: the published classifier on anyone's table of patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammoshift.commands.options import JsonOption, LevelOption, Row, checked_level, write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from mammoshift.radiomics.boosting import BoostingFit
    from mammoshift.radiomics.patient_tables import PatientTables
    from mammoshift.radiomics.settings import Boosting, BoostingGrid

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

BASELINES = ("max", "mean")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Classifiers on radiomic features of patients.",
)


@app.callback()
def radiomics() -> None:
    """Classifiers on radiomic features of patients."""


@dataclass(frozen=True)
class RadiomicsReport:
    """What the command prints and writes.

    Attributes
    ----------
    auc
        By subset; that of the training patients is of those that the model was fitted to.
    threshold
        `validation`: chosen there by the largest geometric mean, with what it does on the test
        patients. `test_chosen`: chosen on the test patients themselves, whom it flatters.
    baselines
        AUC on the test patients of the largest and of the mean score of each; None without scores.
    auc_intervals, baseline_intervals
        As [low, high]; None where there is none.
    hyper_parameters
        Those that were used, and what a search said of them.
    patients
        By subset, positive and negative ones.
    features
        Their number, and how many of the cells were empty, by subset.
    level
        Of the intervals.
    notes
        What a reader must know.
    """

    auc: dict[str, float]
    threshold: dict[str, Row]
    baselines: dict[str, float | None]
    auc_intervals: dict[str, list[float] | None]
    baseline_intervals: dict[str, list[float] | None]
    hyper_parameters: Row
    patients: dict[str, Row]
    features: Row
    level: float
    notes: list[str] = field(default_factory=list)


Table = Annotated[Path, typer.Option(help="CSV with one row per patient.")]


@app.command()
def fit(
    train: Table,
    validation: Table,
    test: Table,
    label: Annotated[str, typer.Option(help="Column of the class: 0 and 1, or two words.")],
    identifier: Annotated[
        str | None, typer.Option("--id", help="Column that names patients; never a feature.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="Column to leave out; may be repeated.")
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(help="Column with a score, a feature and a baseline; may be repeated."),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The word of the positive class, if not a usual one.")
    ] = None,
    search: Annotated[
        bool, typer.Option("--search", help="Search the published grid: 1296 settings, 5 folds.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes of the search; default: one per CPU.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the trees' subsampling.")] = 42,
    json_out: JsonOption = None,
    level: LevelOption = 0.95,
) -> None:
    """Fit standardise, principal components and boosted trees on training patients, and judge it.

    Every column of numbers is a feature but the label, --id and --drop. Everything is fitted on
    the training patients alone; the threshold is chosen on the validation patients, and for
    comparison on the test patients themselves. An empty cell counts as the training mean.
    """
    from mammoshift.commands.text_tables import result_console
    from mammoshift.radiomics.patient_tables import Columns, read_patient_tables
    from mammoshift.radiomics.settings import BoostingGrid

    checked = checked_level(level)
    columns = Columns(label, identifier, tuple(drop or ()), tuple(scores or ()), positive)
    tables = read_patient_tables(train, validation, test, columns)
    grid = BoostingGrid() if search else None
    report = fitted_report(
        tables,
        columns.scores,
        grid,
        seed=seed,
        jobs=jobs or -1,
        level=checked,
        progress=lambda line: typer.echo(line, err=True),
    )
    print_report(report, result_console())
    write_json(report, json_out)


def fitted_report(
    tables: PatientTables,
    scores: tuple[str, ...] = (),
    grid: BoostingGrid | None = None,
    settings: Boosting | None = None,
    *,
    seed: int = 42,
    jobs: int = 1,
    level: float = 0.95,
    progress: Callable[[str], None] = lambda _line: None,
) -> RadiomicsReport:
    """Fit the classifier on the training patients and return how it does on all.

    Without a grid its settings are `settings`, or the published ones.

    Raises
    ------
    TrainingError
        If a search has too few patients of a class.
    """
    import numpy as np

    from mammoshift.radiomics.boosting import fit_boosting
    from mammoshift.radiomics.settings import Boosting

    training = tables.subsets["train"]
    wanted = settings or Boosting()
    fitted = fit_boosting(training.features, training.labels, wanted, seed, grid, jobs, progress)
    logits = {name: fitted.model.logits(own.features) for name, own in tables.subsets.items()}
    areas = {name: _area(own.labels, logits[name], level) for name, own in tables.subsets.items()}
    baselines = _baselines(tables, scores, level) if scores else {}
    empty = {name: int(np.isnan(own.features).sum()) for name, own in tables.subsets.items()}
    return RadiomicsReport(
        auc={name: area.value for name, area in areas.items()},
        threshold=_thresholds(tables, logits, level),
        baselines={name: baselines[name].value if scores else None for name in BASELINES},
        auc_intervals={name: area.interval for name, area in areas.items()},
        baseline_intervals={
            name: baselines[name].interval if scores else None for name in BASELINES
        },
        hyper_parameters={
            **fitted.settings.model_dump(),
            "seed": seed,
            "searched": fitted.searched,
            "cross_validated_auc": fitted.cross_validated_auc,
        },
        patients={
            name: {"positive": int(own.labels.sum()), "negative": int((own.labels == 0).sum())}
            for name, own in tables.subsets.items()
        },
        features={"count": len(tables.names), "empty_cells": empty},
        level=level,
        notes=[*tables.notes, *_notes(fitted, empty), *(a.note for a in areas.values() if a.note)],
    )


def print_report(report: RadiomicsReport, console: Console) -> None:
    """Print the report as tables with their notes."""
    from mammoshift.commands.text_tables import number, print_notes, print_table, with_interval

    percent = f"{100.0 * report.level:g} %"

    def cell(value: float | None, interval: list[float] | None) -> str | None:
        low, high = interval or (None, None)
        return with_interval(value, low, high)

    print_table(
        console,
        f"AUC with {percent} intervals",
        ("patients", "positive", "negative", "AUC"),
        [
            (
                f"{name}, to which it was fitted" if name == "train" else name,
                str(report.patients[name]["positive"]),
                str(report.patients[name]["negative"]),
                cell(report.auc[name], report.auc_intervals[name]),
            )
            for name in report.auc
        ],
    )
    print_table(
        console,
        f"On the test patients, threshold by the largest geometric mean, {percent} intervals",
        ("threshold chosen on", "value", "sensitivity", "specificity"),
        [
            (
                words,
                number(row["value"]),
                cell(row["sensitivity"], row["sensitivity_interval"]),
                cell(row["specificity"], row["specificity_interval"]),
            )
            for words, row in (
                ("validation", report.threshold["validation"]),
                ("test itself, which flatters", report.threshold["test_chosen"]),
            )
        ],
    )
    if report.baselines["max"] is not None:
        print_table(
            console,
            f"Test AUC of the scores alone, {percent} intervals",
            ("score of a patient", "AUC"),
            [
                (name, cell(report.baselines[name], report.baseline_intervals[name]))
                for name in BASELINES
            ],
        )
    print_notes(console, report.notes)


@dataclass(frozen=True)
class _Area:
    value: float
    interval: list[float] | None
    note: str


def _area(labels: Integers, scores: Floats, level: float) -> _Area:
    """Return the AUC of patients who are independent, with its interval."""
    from math import isfinite

    from mammoshift.statistics.auc import auc_covariance
    from mammoshift.statistics.intervals import auc_intervals

    estimate = auc_covariance(labels, scores)
    found = auc_intervals(estimate, level, "auto")
    ends = [float(found.low[0]), float(found.high[0])]
    interval = ends if all(map(isfinite, ends)) else None
    return _Area(float(estimate.auc[0]), interval, estimate.notes[0])


def _baselines(tables: PatientTables, scores: tuple[str, ...], level: float) -> dict[str, _Area]:
    """Return the AUC on the test patients of the largest and of the mean score.

    A patient lacking some scores has those that are there; one with none has the mean of the
    training patients.
    """
    import numpy as np

    known = {name: np.ma.masked_invalid(tables.scores(name, scores)) for name in ("train", "test")}
    found = {}
    for name, combined in (("max", np.ma.max), ("mean", np.ma.mean)):
        usual = float(combined(known["train"], axis=1).mean())
        values = np.ma.filled(combined(known["test"], axis=1).astype(float), usual)
        found[name] = _area(tables.subsets["test"].labels, values, level)
    return found


def _thresholds(
    tables: PatientTables, logits: Mapping[str, Floats], level: float
) -> dict[str, Row]:
    """Return what the thresholds of the validation and of the test patients do on the latter."""
    from scipy.special import expit

    from mammoshift.statistics.confusion import confusion_matrix, confusion_metrics
    from mammoshift.statistics.thresholds import g_mean_threshold

    test = tables.subsets["test"]
    rows: dict[str, Row] = {}
    for name, chosen_on in (("validation", "validation"), ("test_chosen", "test")):
        own = tables.subsets[chosen_on]
        cut = g_mean_threshold(own.labels, logits[chosen_on])
        matrix = confusion_matrix(test.labels, logits["test"] >= cut.value)
        metrics = confusion_metrics(matrix, level)
        rows[name] = {
            "value": float(expit(cut.value)),
            "logit": cut.value,
            "sensitivity": metrics.sensitivity.value,
            "specificity": metrics.specificity.value,
            "sensitivity_interval": [metrics.sensitivity.ci_low, metrics.sensitivity.ci_high],
            "specificity_interval": [metrics.specificity.ci_low, metrics.specificity.ci_high],
        }
    return rows


def _notes(fitted: BoostingFit, empty: Mapping[str, int]) -> list[str]:
    notes = [
        f"{name}: {count} empty cells count as the mean of the training patients"
        for name, count in empty.items()
        if count
    ]
    if fitted.model.splits == 0:
        notes.append(
            f"No tree has a question: {fitted.settings.leaf} patients must be in each leaf, so "
            "that all patients get the same score; give more training patients"
        )
    if fitted.searched:
        notes.append(
            f"Searched {fitted.searched} settings; the best has an AUC of "
            f"{fitted.cross_validated_auc:.3f} over folds of the training patients, which flatters"
        )
    return notes
