"""The rows of `mammoshift decision-curve`, and what it prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.special import logit

from mammoshift.commands.chosen_curves import Curve, CurveTable
from mammoshift.commands.options import Row
from mammoshift.commands.text_tables import (
    ROWS_OF_A_SCREEN,
    means_over_seeds,
    number,
    print_notes,
    print_table,
    titled,
    with_interval,
)
from mammoshift.errors import StatisticsError, TableError
from mammoshift.statistics.decision_curves import DecisionCurve, decision_curve
from mammoshift.statistics.proportions import checked_level

BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"
COLUMNS = ("net_benefit", "treat_all", "advantage")
TOO_FEW = "no interval: fewer than two independent patients"
NO_SPREAD = "no interval where all cases count the same"
FEWEST_THAT_DECIDE = 5
FEW_DECIDE = (
    f"fewer than {FEWEST_THAT_DECIDE} cases decide at a threshold (positives below it against "
    "treating all, negatives above it against treating nobody): the interval leaves out what more "
    "of them would cost, and there is no verdict"
)


@dataclass(frozen=True)
class DecisionReport:
    """What the command prints and writes.

    Attributes
    ----------
    settings
        The tables, the prevalence and the level.
    net_benefits
        One row for each curve and threshold. `verdict` compares with the better of treating all
        and treating nobody, by the interval of the paired difference: better, worse, undecided.
    """

    settings: Row
    net_benefits: list[Row]


def net_benefits(
    tables: Sequence[CurveTable],
    thresholds: Sequence[float],
    *,
    prevalence: float | None = None,
    level: float = 0.95,
) -> DecisionReport:
    """Return the net benefit of every curve of some tables of logits.

    Parameters
    ----------
    thresholds
        Probabilities, ascending.
    prevalence
        Share of positives to weight each table to; None takes the table's own.

    Raises
    ------
    TableError
        If a curve cannot be weighted to the prevalence; the table is named.
    """
    rows: list[Row] = []
    notes = [table.settings(level)["note"] for table in tables]
    for table in tables:
        for part in table.parts:
            try:
                rows += _rows(table, part, thresholds, prevalence, checked_level(level))
            except StatisticsError as error:
                raise TableError(f"{table.where(part)}: {error}") from error
    settings: Row = {
        "tables": [table.path.name for table in tables],
        "prevalence": prevalence,
        "level": level,
        "warning": "; ".join(dict.fromkeys(filter(None, (table.warning for table in tables)))),
        "note": "; ".join(dict.fromkeys(filter(None, notes))),
    }
    return DecisionReport(settings, rows)


def _rows(
    table: CurveTable,
    part: Curve,
    thresholds: Sequence[float],
    prevalence: float | None,
    level: float,
) -> list[Row]:
    curve = decision_curve(
        part.scores,
        part.labels,
        thresholds,
        patients=part.patients,
        prevalence=prevalence,
        level=level,
    )
    few = _few_that_decide(part, curve)
    patients = np.unique(
        np.arange(part.labels.size) if part.patients is None else part.patients
    ).size
    return [
        {
            "table": table.path.name,
            **part.named,
            "threshold": float(curve.thresholds[i]),
            "net_benefit": float(curve.net_benefit[i]),
            "net_benefit_ci_low": _known(curve.ci_low[i]),
            "net_benefit_ci_high": _known(curve.ci_high[i]),
            "treat_all": float(curve.treat_all[i]),
            "advantage": float(curve.advantage[i]),
            "advantage_ci_low": _known(curve.advantage_low[i]),
            "advantage_ci_high": _known(curve.advantage_high[i]),
            "prevalence": curve.prevalence,
            "verdict": UNDECIDED
            if few[i] or part.source.one_class
            else _verdict(float(curve.advantage_low[i]), float(curve.advantage_high[i])),
            "note": part.note
            or (TOO_FEW if patients < 2 else "")
            or _of_one_class(part)
            or (FEW_DECIDE if few[i] else "")
            or ("" if isfinite(curve.ci_low[i] + curve.advantage_low[i]) else NO_SPREAD),
        }
        for i in range(curve.thresholds.size)
    ]


def _of_one_class(part: Curve) -> str:
    """Return what is to be said where all labels are equal; empty where they are not."""
    if not part.source.one_class:
        return ""
    has, costs = (
        ("positive", "what is missed") if part.labels.any() else ("negative", "false alarms")
    )
    where = f"{part.dataset}: " if part.dataset else ""
    return f"{where}every case is {has}, so that net benefit counts {costs} alone: no verdict"


def _few_that_decide(part: Curve, curve: DecisionCurve) -> NDArray[np.bool_]:
    """Return at which thresholds hardly a case tells the model from the better alternative.

    Against treating everybody the positives below a threshold are what is lost, against treating
    nobody the negatives above it. Where none is seen the variance takes them for impossible.
    """
    positive = np.sort(part.scores[part.labels == 1])
    negative = np.sort(part.scores[part.labels == 0])
    cut = logit(curve.thresholds)
    missed = np.searchsorted(positive, cut, side="left")
    disturbed = negative.size - np.searchsorted(negative, cut, side="left")
    return np.where(curve.treat_all > 0.0, missed, disturbed) < FEWEST_THAT_DECIDE


def _known(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _verdict(low: float, high: float) -> str:
    return BETTER if low > 0.0 else WORSE if high < 0.0 else UNDECIDED


def print_report(report: DecisionReport, console: Console) -> None:
    """Print a conclusion for each curve, then the net benefits."""
    rows = report.net_benefits
    print_notes(console, [report.settings["warning"], *_conclusions(rows)])
    shown, note = rows, ""
    if len(rows) > ROWS_OF_A_SCREEN:
        shown, note = means_over_seeds(rows, ("table", "threshold"), COLUMNS)
    percent = f"{100.0 * report.settings['level']:g} %"
    several = len({row["table"] for row in rows}) > 1
    print_table(
        console,
        f"Net benefit in true positives per 1000 cases, with {percent} intervals",
        ("predictions", "at", "net benefit", "treat all", "over the better of all and none", ""),
        [
            (
                f"{row['table']}, {row['of']}" if several else row["of"],
                f"{row['threshold']:g}",
                _per_thousand(row, "net_benefit"),
                number(1000.0 * row["treat_all"], 1),
                _per_thousand(row, "advantage", sign=True),
                None if note else row["verdict"],
            )
            for row in (
                {**row, "of": titled({**row, "model": "model"}, "model", rows)} for row in shown
            )
        ],
        notes=None if note else [row["note"] for row in shown],
    )
    print_notes(
        console,
        [
            "Treating nobody has a net benefit of 0. Thresholds are probabilities: calibrate first",
            *(row["note"] for row in rows if note),
            note,
            report.settings["note"],
        ],
    )


def _conclusions(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for each curve: at which thresholds acting on it is better."""
    curves: dict[tuple[str | None, ...], list[Row]] = {}
    for row in rows:
        key = (row["table"], row["dataset"], row["arm"], row["seed"])
        curves.setdefault(key, []).append(row)
    sentences = []
    for members in list(curves.values())[:ROWS_OF_A_SCREEN]:
        name = ", ".join(
            str(part)
            for part in (
                members[0]["table"],
                members[0]["dataset"],
                members[0]["arm"],
                None if members[0]["seed"] is None else f"seed {members[0]['seed']}",
            )
            if part
        )
        found = {
            verdict: [row["threshold"] for row in members if row["verdict"] == verdict]
            for verdict in (BETTER, WORSE, UNDECIDED)
        }
        said = [
            f"{verdict} at {', '.join(f'{t:g}' for t in at) if len(at) <= 8 else f'{len(at)}'}"
            f"{' thresholds' if len(at) > 8 else ''}"
            for verdict, at in found.items()
            if at
        ]
        sentences.append(f"{name}: against treating all or nobody, {'; '.join(said)}")
    return sentences


def _per_thousand(row: Row, name: str, sign: bool = False) -> str | None:
    values = [row[name], row[f"{name}_ci_low"], row[f"{name}_ci_high"]]
    scaled = [None if value is None else 1000.0 * value for value in values]
    text = with_interval(scaled[0], scaled[1], scaled[2], 1)
    return f"+{text}" if sign and text and (scaled[0] or 0.0) > 0 else text
