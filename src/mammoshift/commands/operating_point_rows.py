"""The rows of `mammoshift operating-point`, and what it prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console

from mammoshift.commands.chosen_curves import Curve, CurveTable, generator
from mammoshift.commands.options import Row
from mammoshift.commands.text_tables import (
    ROWS_OF_A_SCREEN,
    cell_with_interval,
    means_over_seeds,
    number,
    print_notes,
    print_table,
    titled,
    with_interval,
)
from mammoshift.errors import StatisticsError, TableError
from mammoshift.statistics.bootstrap import DEFAULT_RESAMPLES
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.operating_points import (
    OperatingPoint,
    metrics_at,
    reestimated_operating_points,
    threshold_replicates_of,
    transferred_operating_point,
)
from mammoshift.statistics.thresholds import (
    Threshold,
    g_mean_threshold,
    threshold_at_specificity,
    youden_threshold,
)

COMMAND = "operating-point"
RATES = ("sensitivity", "specificity")
TAKEN_AS_FIXED = "transferred: the interval is of what this very threshold does"
BOTH_SAMPLES = (
    "transferred both samples: of what a threshold does that is chosen on as many other cases"
)


@dataclass(frozen=True)
class OperatingPointReport:
    """What the command prints and writes: lists of rows, by name.

    Attributes
    ----------
    settings
        The tables, the criterion, the number of resamples and the level.
    thresholds
        Where each arm and seed is cut, and what that does on the cases it was chosen on.
    points
        One row for each dataset, arm, seed and provenance: `transferred` (threshold fixed),
        `transferred_both_samples` (its interval holds the threshold's uncertainty too) and
        `reestimated` (threshold chosen on the reported cases themselves).
    metrics
        The confusion-matrix metrics at each transferred threshold, one row for each metric.
    """

    settings: Row
    thresholds: list[Row]
    points: list[Row]
    metrics: list[Row]


def print_report(report: OperatingPointReport, console: Console) -> None:
    """Print the report as tables with their notes."""
    percent = f"{100.0 * report.settings['level']:g} %"
    _print_thresholds(report, console)
    points, note = _fitting(report.points, "provenance", ("threshold", *RATES))
    print_table(
        console,
        "Operating points" + ("" if note else f" with {percent} intervals"),
        ("threshold", "value", "sensitivity", "specificity", "TP", "FN", "TN", "FP", "patients"),
        [
            (
                titled(row, "provenance", report.points),
                f"{row['threshold']:.4g}" if note else _threshold_of(row),
                cell_with_interval(row, "sensitivity"),
                cell_with_interval(row, "specificity"),
                *(None if note else str(row[cell]) for cell in ("tp", "fn", "tn", "fp")),
                str(row["n_patients"]),
            )
            for row in points
        ],
    )
    averaged = ""
    if report.metrics:
        metrics, averaged = _fitting(report.metrics, "metric", ("value",))
        print_table(
            console,
            "At the transferred threshold" + ("" if averaged else f", with {percent} intervals"),
            ("metric", "value", "method"),
            [
                (
                    titled(row, "metric", report.metrics),
                    number(row["value"])
                    if averaged
                    else with_interval(row["value"], row["ci_low"], row["ci_high"])
                    or number(row["value"]),
                    None if averaged else row["method"] or row["note"],
                )
                for row in metrics
            ],
        )
    kinds = {row["provenance"] for row in report.points}
    print_notes(
        console,
        [
            TAKEN_AS_FIXED if kinds & {"transferred"} else "",
            BOTH_SAMPLES if kinds & {"transferred_both_samples"} else "",
            "re-estimated: chosen on these very cases with their labels, the best that local "
            "tuning could reach; its interval holds that choice",
            *(row["note"] for row in report.points),
            note or averaged,
            report.settings["note"],
        ],
    )


def _threshold_of(row: Row) -> str:
    """Return where a row is cut; above every score the number alone would say nothing."""
    return "above all scores" if row["tp"] + row["fp"] == 0 else f"{row['threshold']:.4g}"


def _fitting(rows: list[Row], key: str, columns: Sequence[str]) -> tuple[list[Row], str]:
    """Return the rows, or their means over seeds where every seed would not fit on a screen."""
    if len(rows) <= ROWS_OF_A_SCREEN:
        return rows, ""
    return means_over_seeds(rows, (key,), columns)


def _print_thresholds(report: OperatingPointReport, console: Console) -> None:
    """Print where thresholds come from, one line for each curve; those of a screen at most."""
    lines = []
    for row in report.thresholds[:ROWS_OF_A_SCREEN]:
        whose = ", ".join(
            filter(None, (row["arm"], None if row["seed"] is None else f"seed {row['seed']}"))
        )
        of = f" of {whose}" if len(report.thresholds) > 1 else ""
        lines += [
            f"Threshold{of} {row['value']:.6g} by {report.settings['criterion']} on "
            f"{row['n_pos']} positive and {row['n_neg']} negative cases, with sensitivity "
            f"{row['sensitivity']:.3f} and specificity {row['specificity']:.3f} there",
            row["note"],
        ]
    print_notes(console, lines)


def operating_points_of_table(
    reported: CurveTable,
    validation: CurveTable | None,
    *,
    threshold: float | None = None,
    specificity: float = 0.95,
    criterion: str = "specificity",
    resamples: int = DEFAULT_RESAMPLES,
    level: float = 0.95,
) -> OperatingPointReport:
    """Return the operating points of each curve of a table.

    Parameters
    ----------
    reported
        The table that is measured.
    validation
        Cases to choose thresholds on, disjoint from the reported ones; None for none.
    threshold
        A threshold from elsewhere, instead of `validation`.

    Raises
    ------
    TableError
        If a dataset has one class only.
    """
    report = OperatingPointReport(
        {
            **reported.settings(level),
            "criterion": criterion,
            "specificity": specificity,
            "resamples": resamples,
        },
        *([] for _ in range(3)),
    )
    chosen: dict[tuple[str, str | None], _Chosen] = {}
    for part in reported.parts:
        curve = part.arm, part.seed
        if validation is not None and curve not in chosen:
            given = validation.curve_like(part, "--threshold-from")
            where = str(validation.path)
            chosen[curve] = _chosen(given, criterion, specificity, where, resamples)
            found = vars(chosen[curve].threshold)
            report.thresholds.append({"arm": part.arm or None, "seed": part.seed, **found})
        value = chosen[curve].threshold.value if curve in chosen else threshold
        replicates = chosen[curve].replicates if curve in chosen else None
        try:
            if value is not None:
                report.points.extend(_transferred(part, value, replicates, level))
                report.metrics.extend(_metric_rows(part, value, level))
            (own,) = reestimated_operating_points(
                part.labels,
                part.scores,
                specificity,
                generator(COMMAND, part, "reestimated"),
                patients=part.patients,
                resamples=resamples,
                level=level,
            )
            report.points.append(_point_row(part, own, "reestimated"))
        except StatisticsError as error:
            raise TableError(f"{reported.where(part)}, column label: {error}") from error
    return report


def _transferred(
    part: Curve, value: float, replicates: FloatArray | None, level: float
) -> Iterator[Row]:
    """Yield what a threshold from elsewhere does: taken as fixed, and with its own uncertainty."""
    for provenance, stream, draws in (
        ("transferred", "transferred", None),
        ("transferred_both_samples", "both", replicates),
    ):
        if provenance == "transferred" or draws is not None:
            point = transferred_operating_point(
                part.labels,
                part.scores,
                value,
                generator(COMMAND, part, stream),
                patients=part.patients,
                threshold_replicates=draws,
                level=level,
            )
            yield _point_row(part, point, provenance)


@dataclass(frozen=True)
class _Chosen:
    """A threshold, and those that resamples of its cases would give where it can be resampled."""

    threshold: Threshold
    replicates: FloatArray | None


def _chosen(
    validation: Curve, criterion: str, specificity: float, where: str, resamples: int
) -> _Chosen:
    labels, scores = validation.labels, validation.scores
    try:
        if criterion == "youden":
            return _Chosen(youden_threshold(labels, scores), None)
        if criterion == "g-mean":
            return _Chosen(g_mean_threshold(labels, scores), None)
        return _Chosen(
            threshold_at_specificity(labels, scores, specificity),
            threshold_replicates_of(
                labels,
                scores,
                specificity,
                generator(COMMAND, validation, "threshold"),
                patients=validation.patients,
                resamples=resamples,
            ),
        )
    except StatisticsError as error:
        raise TableError(f"{where}: columns label and score: {error}") from error


def _point_row(part: Curve, point: OperatingPoint, provenance: str) -> Row:
    return {
        **part.named,
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


def _metric_rows(part: Curve, threshold: float, level: float) -> list[Row]:
    found = metrics_at(part.labels, part.scores, threshold, patients=part.patients, level=level)
    return [
        {**part.named, "metric": name, **vars(estimate)} for name, estimate in vars(found).items()
    ]
