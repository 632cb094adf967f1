"""What `mammoshift calibrate` prints: measures of each variant, maps, and what labels restore."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from mammoshift.commands.calibrate_rows import CalibrationReport
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

MEASURED = ("auc", "nll", "brier", "in_the_large", "slope", "ece", "ece_null_mean", "ece_null_high")
"""Columns that are averaged where every seed would not fit on a screen."""
NAMED = 3
"""So many rows are named before a note that they share; of more only their number."""
OF_LABELS = (
    "Probabilities are those of label 1 as this table defines it, at its share of positives: where "
    "positives were sampled or mean something else, calibration does not carry over"
)


def print_report(report: CalibrationReport, console: Console) -> None:
    """Print the report as tables with their notes."""
    percent = f"{100.0 * report.settings['level']:g} %"
    print_notes(console, [report.settings["warning"]])
    known = [row for row in report.measures if "nll" in row]
    shown, note = known, ""
    if len(known) > ROWS_OF_A_SCREEN:
        shown, note = means_over_seeds(known, ("variant",), MEASURED)
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
        [_measured(row, known) for row in shown],
    )
    if report.prevalence:
        _print_prevalence(report, console, percent)
    if len(report.maps) <= ROWS_OF_A_SCREEN:
        if report.maps:
            _print_maps(report.maps, console)
    else:
        note = "; ".join(filter(None, (note, f"--json FILE writes the {len(report.maps)} maps")))
    if report.budget:
        _print_budget(report, console, percent)
    said = [*_notes_of(report.measures), *_notes_of(report.maps)]
    print_notes(console, [*said, note, OF_LABELS, report.settings["note"]])


def _notes_of(rows: Sequence[Row]) -> list[str]:
    """Return each note of some rows once, with the rows that it is of."""
    owners: dict[str, list[str]] = {}
    for row in rows:
        if row["note"]:
            owners.setdefault(row["note"], []).append(titled(row, "variant", rows))
    return [f"{_listed(names, len(rows))}: {note}" for note, names in owners.items()]


def _listed(names: Sequence[str], of: int) -> str:
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{len(names)} of {of} rows, {names[0]} the first"


def _measured(row: Row, rows: Sequence[Row]) -> tuple[str | None, ...]:
    return (
        titled(row, "variant", rows),
        f"{row['n']} ({row['n_pos']} positive)",
        number(row["auc"]),
        number(row["nll"]),
        number(row["brier"]),
        cell_with_interval(row, "in_the_large", 2),
        cell_with_interval(row, "slope", 2),
        number(row["ece"]),
        f"{row['ece_null_mean']:.3f}, up to {row['ece_null_high']:.3f}",
    )


def _print_prevalence(report: CalibrationReport, console: Console, percent: str) -> None:
    print_table(
        console,
        "Share of positives from the scores alone, if nothing but the prevalence has changed",
        ("target", f"estimate ({percent})", "by the labels", "at the source", "p of a mixture"),
        [
            (
                titled(row, "prior_shift_em", report.prevalence),
                with_interval(row["prevalence"], row["ci_low"], row["ci_high"]),
                number(row["share_of_labels"]),
                number(row["source_prevalence"]),
                number(row["mixture_p"]),
            )
            for row in ({**row, "prior_shift_em": "prior shift"} for row in report.prevalence)
        ],
        notes=[row["note"] for row in report.prevalence],
    )


def _print_maps(maps: Sequence[Row], console: Console) -> None:
    curved = any(row["a"] is not None or row["points"] is not None for row in maps)
    header = ("map", "fold", "temperature", "scale", "shift", *(("a", "b", "points") * curved))
    print_table(
        console,
        "Maps: logit' = scale * logit + shift"
        + ("; beta: a ln p - b ln(1 - p) + shift; isotonic: points" if curved else ""),
        (*header, "fitted on"),
        [
            (
                titled(row, "variant", maps),
                None if row["fold"] is None else str(row["fold"]),
                number(row["temperature"]),
                number(row["scale"], 4),
                number(row["shift"], 4),
                *(
                    (
                        number(row["a"], 4),
                        number(row["b"], 4),
                        None if row["points"] is None else str(row["points"]),
                    )
                    if curved
                    else ()
                ),
                f"{row['n']} cases, {row['n_pos']} positive" if row["n"] else None,
            )
            for row in maps
        ],
    )


def _print_budget(report: CalibrationReport, console: Console, percent: str) -> None:
    print_table(
        console,
        f"What k labelled local patients restore on the half held back ({percent} of draws)",
        ("measure", "k", "mean (range)", "no fit possible", "worse than without"),
        [
            (
                f"{titled(row, 'variant', report.budget)}, {row['metric']}",
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
