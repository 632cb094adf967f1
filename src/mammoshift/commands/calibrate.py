"""`mammoshift calibrate`: how calibrated a table of predictions is, and what restores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from mammoshift.commands.one_arm import (
    OneArm,
    OneArmTable,
    as_logits,
    read_one_arm,
    refuse_shared_cases,
)
from mammoshift.commands.options import (
    ArmOption,
    ClusterOption,
    JsonOption,
    LevelOption,
    OtherPatientsOption,
    Row,
    SeedOption,
    TableArgument,
    checked_level,
    write_json,
)
from mammoshift.commands.text_tables import (
    cell_with_interval,
    number,
    print_notes,
    print_table,
    result_console,
    titled,
    with_interval,
)
from mammoshift.errors import StatisticsError, TableError
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.calibration import CalibrationMeasures, calibration_measures
from mammoshift.statistics.calibration_error import DEFAULT_BINS, reliability_curve
from mammoshift.statistics.cross_fitting import cross_fit
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.proportions import Estimate
from mammoshift.statistics.recalibration import LogitMap, fit_platt, fit_temperature, prior_shift
from mammoshift.statistics.recalibration_budget import recalibration_budget

FITS = {"temperature": fit_temperature, "platt": fit_platt}
COMMAND = "calibrate"


@dataclass(frozen=True)
class CalibrationReport:
    """What the command prints and writes: lists of rows, by name.

    Attributes
    ----------
    settings
        The tables, the scale, the folds, the level and the definition of the ECE.
    measures
        One row for each dataset and variant (`uncalibrated`, `temperature_source`,
        `platt_source`, `prior_shift`, `temperature_target_crossfit`, `platt_target_crossfit`).
    maps
        The scale and shift of every fitted map: logit' = scale * logit + shift.
    reliability
        The points of the reliability diagrams.
    budget
        The recalibration budget, where it was asked for.
    """

    settings: Row
    measures: list[Row]
    maps: list[Row]
    reliability: list[Row]
    budget: list[Row]


def calibrate(
    table: TableArgument,
    fit_on: Annotated[
        Path | None,
        typer.Option(
            help="Fit on this table (the source's validation cases) and apply to TABLE. "
            "Cross-fitted maps of TABLE itself are reported in any case."
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option("--scores", "--scale", help="What score holds: logit or probability."),
    ] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(help="With --fit-on: known share of positives at the target (prior shift)."),
    ] = None,
    budget: Annotated[
        bool, typer.Option("--budget", help="Add what k labelled local patients restore.")
    ] = False,
    folds: Annotated[int, typer.Option(help="Folds of patients for cross-fitting.")] = 5,
    other_patients: OtherPatientsOption = False,
    cluster: ClusterOption = None,
    arm: ArmOption = None,
    seed: SeedOption = None,
    json_out: JsonOption = None,
    level: LevelOption = 0.95,
) -> None:
    """Measure the calibration of one table of predictions, before and after recalibration."""
    reported = as_logits(read_one_arm(table, cluster, arm, seed), scores)
    source = None
    if fit_on is not None:
        fitted_on = as_logits(read_one_arm(fit_on, cluster, arm, seed), scores)
        source = fitted_on.only("--fit-on")
        refuse_shared_cases(reported, source, fit_on, "--fit-on", other_patients)
    elif prevalence is not None:
        raise typer.BadParameter("--prevalence needs --fit-on, for the prevalence that it replaces")
    report = calibrate_table(
        reported,
        {} if source is None else source_maps(source, str(fit_on), prevalence),
        folds=folds,
        budget=budget,
        level=checked_level(level),
    )
    report.settings["scores"] = scores or "logit"
    report.settings["fit_on"] = None if fit_on is None else fit_on.name
    print_report(report, result_console())
    write_json(report, json_out)


def calibrate_table(
    reported: OneArmTable,
    source: Mapping[str, LogitMap],
    *,
    folds: int = 5,
    budget: bool = False,
    level: float = 0.95,
) -> CalibrationReport:
    """Return the calibration of each dataset of a table of logits.

    Parameters
    ----------
    reported
        The table that is measured.
    source
        Maps that were fitted on other patients, by variant (see `source_maps`).
    folds
        Folds of patients for the cross-fitted variants.
    budget
        Whether to add the recalibration budget.

    Returns
    -------
    CalibrationReport
        Cross-fitted variants that cannot be fitted are rows with nothing but the reason.
    """
    measures, maps, reliability, points = [], [], [], []
    for name, fitted in source.items():
        maps.append(_map_row(None, name, None, fitted))
    for part in reported.parts:
        variants: dict[str, FloatArray | str] = {"uncalibrated": part.scores}
        variants |= {name: fitted.apply(part.scores) for name, fitted in source.items()}
        for name, fit in FITS.items():
            variant = f"{name}_target_crossfit"
            try:
                crossed = cross_fit(
                    part.scores,
                    part.labels,
                    fit,
                    reported.generator(COMMAND, part, variant),
                    patients=part.patients,
                    folds=folds,
                )
            except StatisticsError as error:
                variants[variant] = str(error)
                continue
            variants[variant] = crossed.logits
            maps += [
                _map_row(part.dataset, variant, fold, fitted)
                for fold, fitted in enumerate(crossed.maps)
            ]
        for variant, logits in variants.items():
            if isinstance(logits, str):
                measures.append({"dataset": part.dataset, "variant": variant, "note": logits})
                continue
            rng = reported.generator(COMMAND, part, f"{variant}:null")
            measures.append(_measure_row(part, variant, logits, rng, level))
            reliability += _reliability_rows(part, variant, logits, level)
        if budget:
            points += _budget_rows(reported, part, level)
    settings: Row = {
        **reported.settings(level),
        "folds": folds,
        "ece": f"P(y = 1), {DEFAULT_BINS} bins of equal width, right-closed",
    }
    return CalibrationReport(settings, measures, maps, reliability, points)


def source_maps(source: OneArm, where: str, prevalence: float | None = None) -> dict[str, LogitMap]:
    """Fit the maps `temperature_source` and `platt_source`, and `prior_shift` where it is known.

    Parameters
    ----------
    source
        Logits of validation cases, disjoint from the reported ones.
    where
        The table, for messages.
    prevalence
        Share of positives at the target.

    Raises
    ------
    TableError
        If a map cannot be fitted.
    """
    try:
        maps = {f"{name}_source": fit(source.scores, source.labels) for name, fit in FITS.items()}
        if prevalence is not None:
            maps["prior_shift"] = prior_shift(float(source.labels.mean()), prevalence)
    except StatisticsError as error:
        raise TableError(f"{where}: columns label and score: {error}") from error
    return maps


def print_report(report: CalibrationReport, console: Console) -> None:
    """Print the report as tables with their notes."""
    percent = f"{100.0 * report.settings['level']:g} %"
    print_notes(console, [report.settings["warning"]])
    known = [row for row in report.measures if row["note"] == "" or "nll" in row]
    print_table(
        console,
        f"Calibration with {percent} intervals; ECE: {report.settings['ece']}",
        (
            "predictions",
            "cases",
            "AUC",
            "NLL",
            "Brier",
            "in the large",
            "slope",
            "ECE",
            "by chance",
        ),
        [
            (
                titled(row, "variant"),
                f"{row['n']} ({row['n_pos']} positive)",
                number(row["auc"]),
                number(row["nll"]),
                number(row["brier"]),
                cell_with_interval(row, "in_the_large", 2),
                cell_with_interval(row, "slope", 2),
                number(row["ece"]),
                f"{row['ece_null_mean']:.3f}, up to {row['ece_null_high']:.3f}",
            )
            for row in known
        ],
    )
    print_table(
        console,
        "Maps: logit' = scale * logit + shift",
        ("map", "fold", "temperature", "scale", "shift", "fitted on"),
        [
            (
                titled(row, "variant"),
                None if row["fold"] is None else str(row["fold"]),
                number(row["temperature"]),
                number(row["scale"], 4),
                number(row["shift"], 4),
                f"{row['n']} cases, {row['n_pos']} positive" if row["n"] else None,
            )
            for row in report.maps
        ],
    )
    if report.budget:
        print_table(
            console,
            f"What k labelled local patients restore on the half held back ({percent} of draws)",
            ("measure", "k", "mean (range)", "no fit possible", "worse than without"),
            [
                (
                    f"{titled(row, 'variant')}, {row['metric']}",
                    str(row["patients"]),
                    with_interval(row["mean"], row["low"], row["high"]),
                    f"{100.0 * row['failed']:.0f} %",
                    None if row["worse"] is None else f"{100.0 * row['worse']:.0f} %",
                )
                for row in report.budget
            ],
        )
        print_notes(
            console,
            [
                "The range is over which patients of this target are labelled and held back; "
                "another hospital may lie outside it"
            ],
        )
    missing = [f"{titled(row, 'variant')}: {row['note']}" for row in report.measures if row["note"]]
    maps = [f"{titled(row, 'variant')}: {row['note']}" for row in report.maps if row["note"]]
    print_notes(console, [*missing, *maps, report.settings["note"]])


def _measure_row(
    part: OneArm, variant: str, logits: FloatArray, rng: np.random.Generator, level: float
) -> Row:
    found = calibration_measures(logits, part.labels, rng, patients=part.patients, level=level)
    auc = float(auc_covariance(part.labels, logits, part.patients).auc[0])
    line = found.line
    reasons = [
        part.note,
        *(estimate.note for estimate in (line.in_the_large, line.intercept, line.slope)),
    ]
    return {
        "dataset": part.dataset,
        "variant": variant,
        "n": found.n,
        "n_pos": found.n_pos,
        "n_patients": found.n_patients,
        "prevalence": found.prevalence,
        "mean_predicted": found.mean_predicted,
        "auc": auc if np.isfinite(auc) else None,
        **_estimate("nll", found.nll),
        **_estimate("brier", found.brier),
        **_brier_parts(found),
        **_estimate("in_the_large", line.in_the_large),
        **_estimate("intercept", line.intercept),
        **_estimate("slope", line.slope),
        "ece": found.ece.value,
        "ece_null_mean": found.ece.null_mean,
        "ece_null_high": found.ece.null_high,
        "ece_equal_mass": found.ece_equal_mass.value,
        "ece_equal_mass_null_high": found.ece_equal_mass.null_high,
        "debiased_l2": found.debiased_l2,
        "note": "; ".join(dict.fromkeys(filter(None, reasons))),
    }


def _estimate(name: str, estimate: Estimate) -> Row:
    return {
        name: estimate.value,
        f"{name}_ci_low": estimate.ci_low,
        f"{name}_ci_high": estimate.ci_high,
    }


def _brier_parts(found: CalibrationMeasures) -> Row:
    parts = found.brier_parts
    return {
        "brier_reliability": parts.reliability,
        "brier_resolution": parts.resolution,
        "brier_uncertainty": parts.uncertainty,
        "brier_within_bin": parts.within_bin,
        "brier_skill": parts.skill,
    }


def _map_row(dataset: str | None, variant: str, fold: int | None, fitted: LogitMap) -> Row:
    return {
        "dataset": dataset,
        "variant": variant,
        "fold": fold,
        "temperature": fitted.temperature if fitted.method == "temperature" else None,
        "scale": fitted.scale,
        "shift": fitted.shift,
        "n": fitted.n,
        "n_pos": fitted.n_pos,
        "note": fitted.note,
    }


def _reliability_rows(part: OneArm, variant: str, logits: FloatArray, level: float) -> list[Row]:
    curve = reliability_curve(logits, part.labels, level=level)
    columns: Sequence[tuple[str, NDArray[Any]]] = tuple(vars(curve).items())
    return [
        {
            "dataset": part.dataset,
            "variant": variant,
            **{name: values[i].item() for name, values in columns},
        }
        for i in np.flatnonzero(curve.count)
    ]


def _budget_rows(table: OneArmTable, part: OneArm, level: float) -> list[Row]:
    try:
        found = recalibration_budget(
            part.scores,
            part.labels,
            table.generator(COMMAND, part, "budget"),
            patients=part.patients,
            level=level,
        )
    except StatisticsError as error:
        raise TableError(f"{table.where(part)}, column label: {error}") from error
    return [
        {"dataset": part.dataset, "variant": point.method, **vars(point)} for point in found.points
    ]
