"""`mammoshift operating-point`: sensitivity and specificity where a score is cut."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mammoshift.commands.one_arm import OneArm, OneArmTable, read_one_arm, refuse_shared_cases
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
from mammoshift.statistics.bootstrap import DEFAULT_RESAMPLES
from mammoshift.statistics.confusion import confusion_matrix, confusion_metrics
from mammoshift.statistics.operating_points import (
    OperatingPoint,
    reestimated_operating_points,
    threshold_replicates_of,
    transferred_operating_point,
)
from mammoshift.statistics.patient_confusion import patient_confusion_metrics
from mammoshift.statistics.thresholds import (
    Threshold,
    g_mean_threshold,
    threshold_at_specificity,
    youden_threshold,
)

CRITERIA = ("specificity", "youden", "g-mean")
COMMAND = "operating-point"


@dataclass(frozen=True)
class OperatingPointReport:
    """What the command prints and writes: lists of rows, by name.

    Attributes
    ----------
    settings
        The tables, the criterion, the number of resamples and the level.
    points
        One row for each dataset and provenance: `transferred` (threshold fixed),
        `transferred_both_samples` (its interval holds the threshold's uncertainty too) and
        `reestimated` (threshold chosen on the reported cases themselves).
    metrics
        The confusion-matrix metrics at each transferred threshold, one row for each metric.
    """

    settings: Row
    points: list[Row]
    metrics: list[Row]


def operating_point(
    table: TableArgument,
    threshold_from: Annotated[
        Path | None,
        typer.Option(help="Choose the threshold on this table (source validation cases)."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Use this threshold, on the scale of the scores.")
    ] = None,
    specificity: Annotated[float, typer.Option(help="The wanted specificity.")] = 0.95,
    criterion: Annotated[
        str, typer.Option(help=f"With --threshold-from: {', '.join(CRITERIA)}.")
    ] = "specificity",
    resamples: Annotated[
        int, typer.Option(min=100, help="Bootstrap resamples of patients.")
    ] = DEFAULT_RESAMPLES,
    other_patients: OtherPatientsOption = False,
    cluster: ClusterOption = None,
    arm: ArmOption = None,
    seed: SeedOption = None,
    json_out: JsonOption = None,
    level: LevelOption = 0.95,
) -> None:
    """Report sensitivity and specificity at a transferred and at a re-estimated threshold."""
    if not 0.0 < specificity <= 1.0:
        raise typer.BadParameter(f"{specificity}: the specificity lies in (0, 1]")
    if criterion not in CRITERIA:
        raise typer.BadParameter(f"{criterion!r}: the criterion is one of {', '.join(CRITERIA)}")
    if threshold is not None and threshold_from is not None:
        raise typer.BadParameter("give --threshold or --threshold-from, not both")
    if criterion != "specificity" and threshold_from is None:
        raise typer.BadParameter(
            f"{criterion} is chosen on validation cases: give them with --threshold-from"
        )
    reported = read_one_arm(table, cluster, arm, seed)
    validation = None
    if threshold_from is not None:
        validation = read_one_arm(threshold_from, cluster, arm, seed).only("--threshold-from")
        refuse_shared_cases(
            reported, validation, threshold_from, "--threshold-from", other_patients
        )
    report = operating_points_of_table(
        reported,
        validation,
        where=str(threshold_from),
        threshold=threshold,
        specificity=specificity,
        criterion=criterion,
        resamples=resamples,
        level=checked_level(level),
    )
    report.settings["threshold_from"] = None if threshold_from is None else threshold_from.name
    print_report(report, result_console())
    write_json(report, json_out)


def operating_points_of_table(
    reported: OneArmTable,
    validation: OneArm | None,
    *,
    where: str = "",
    threshold: float | None = None,
    specificity: float = 0.95,
    criterion: str = "specificity",
    resamples: int = DEFAULT_RESAMPLES,
    level: float = 0.95,
) -> OperatingPointReport:
    """Return the operating points of each dataset of a table.

    Parameters
    ----------
    reported
        The table that is measured.
    validation
        Cases to choose the threshold on, disjoint from the reported ones; None for none.
    where
        The table of `validation`, for messages.
    threshold
        A threshold from elsewhere, instead of `validation`.

    Raises
    ------
    TableError
        If a dataset has one class only.
    """
    chosen = None if validation is None else _chosen(validation, criterion, specificity, where)
    value = chosen.value if chosen is not None else threshold
    replicates = None
    if validation is not None and criterion == "specificity":
        replicates = threshold_replicates_of(
            validation.labels,
            validation.scores,
            specificity,
            reported.generator(COMMAND, validation, "threshold"),
            patients=validation.patients,
            resamples=resamples,
        )
    points: list[Row] = []
    metrics: list[Row] = []
    for part in reported.parts:
        try:
            if value is not None:
                fixed = transferred_operating_point(
                    part.labels,
                    part.scores,
                    value,
                    reported.generator(COMMAND, part, "transferred"),
                    patients=part.patients,
                    level=level,
                )
                points.append(_point_row(part, fixed, "transferred"))
                metrics += _metric_rows(part, value, level)
            if value is not None and replicates is not None:
                both = transferred_operating_point(
                    part.labels,
                    part.scores,
                    value,
                    reported.generator(COMMAND, part, "both"),
                    patients=part.patients,
                    threshold_replicates=replicates,
                    level=level,
                )
                points.append(_point_row(part, both, "transferred_both_samples"))
            (own,) = reestimated_operating_points(
                part.labels,
                part.scores,
                specificity,
                reported.generator(COMMAND, part, "reestimated"),
                patients=part.patients,
                resamples=resamples,
                level=level,
            )
            points.append(_point_row(part, own, "reestimated"))
        except StatisticsError as error:
            raise TableError(f"{reported.where(part)}, column label: {error}") from error
    settings: Row = {
        **reported.settings(level),
        "criterion": criterion,
        "specificity": specificity,
        "resamples": resamples,
        "threshold": None if chosen is None else vars(chosen),
    }
    return OperatingPointReport(settings, points, metrics)


def print_report(report: OperatingPointReport, console: Console) -> None:
    """Print the report as tables with their notes."""
    percent = f"{100.0 * report.settings['level']:g} %"
    chosen = report.settings["threshold"]
    if chosen is not None:
        print_notes(
            console,
            [
                f"Threshold {chosen['value']:.6g} by {report.settings['criterion']} on "
                f"{chosen['n_pos']} positive and {chosen['n_neg']} negative cases, with "
                f"sensitivity {chosen['sensitivity']:.3f} and specificity "
                f"{chosen['specificity']:.3f} there",
                chosen["note"],
            ],
        )
    print_table(
        console,
        f"Operating points with {percent} intervals",
        ("threshold", "value", "sensitivity", "specificity", "TP", "FN", "TN", "FP", "patients"),
        [
            (
                titled(row, "provenance"),
                f"{row['threshold']:.4g}",
                cell_with_interval(row, "sensitivity"),
                cell_with_interval(row, "specificity"),
                *(str(row[cell]) for cell in ("tp", "fn", "tn", "fp")),
                str(row["n_patients"]),
            )
            for row in report.points
        ],
    )
    if report.metrics:
        print_table(
            console,
            f"At the transferred threshold, with {percent} intervals",
            ("metric", "value", "method"),
            [
                (
                    titled(row, "metric"),
                    with_interval(row["value"], row["ci_low"], row["ci_high"])
                    or number(row["value"]),
                    row["method"] or row["note"],
                )
                for row in report.metrics
            ],
        )
    print_notes(
        console,
        [
            "re-estimated: chosen on these very cases with their labels, the best that local "
            "tuning could reach",
            *(row["note"] for row in report.points),
            report.settings["note"],
        ],
    )


def _chosen(validation: OneArm, criterion: str, specificity: float, where: str) -> Threshold:
    labels, scores = validation.labels, validation.scores
    try:
        if criterion == "youden":
            return youden_threshold(labels, scores)
        if criterion == "g-mean":
            return g_mean_threshold(labels, scores)
        return threshold_at_specificity(labels, scores, specificity)
    except StatisticsError as error:
        raise TableError(f"{where}: columns label and score: {error}") from error


def _point_row(part: OneArm, point: OperatingPoint, provenance: str) -> Row:
    return {
        "dataset": part.dataset,
        "provenance": provenance,
        "threshold": point.threshold,
        "sensitivity": point.sensitivity.value,
        "sensitivity_ci_low": point.sensitivity.ci_low,
        "sensitivity_ci_high": point.sensitivity.ci_high,
        "sensitivity_method": point.sensitivity.method,
        "specificity": point.specificity.value,
        "specificity_ci_low": point.specificity.ci_low,
        "specificity_ci_high": point.specificity.ci_high,
        "specificity_method": point.specificity.method,
        **vars(point.matrix),
        "n_pos": point.n_pos,
        "n_neg": point.n_neg,
        "n_patients": point.n_patients,
        "note": "; ".join(
            dict.fromkeys(
                filter(None, (point.note, point.sensitivity.note, point.specificity.note))
            )
        ),
    }


def _metric_rows(part: OneArm, threshold: float, level: float) -> list[Row]:
    called = part.scores >= threshold
    if part.patients is None:
        found = confusion_metrics(confusion_matrix(part.labels, called), level)
    else:
        found = patient_confusion_metrics(part.labels, called, part.patients, level)
    return [
        {"dataset": part.dataset, "metric": name, **vars(estimate)}
        for name, estimate in vars(found).items()
    ]
