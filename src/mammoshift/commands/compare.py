"""`mammoshift compare`: sound comparisons of the arms in anyone's table of predictions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mammoshift.commands.chosen_curves import (
    LIKE_PROBABILITIES,
    as_probable_logits,
    look_like_probabilities,
)
from mammoshift.commands.compare_rows import Wishes, compare_predictions
from mammoshift.commands.compare_text import print_everything, print_headline
from mammoshift.commands.options import (
    ClusterOption,
    JsonOption,
    LevelOption,
    ScoresOption,
    checked_level,
    write_json,
)
from mammoshift.commands.text_tables import result_console
from mammoshift.contracts.external_predictions import ExternalPredictions, read_external_predictions
from mammoshift.statistics.intervals import INTERVAL_METHODS, IntervalMethod
from mammoshift.statistics.multiplicity import CORRECTIONS, Correction

SCORES = ("logit", "probability", "any")


def compare(
    table: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet with case_id, label, arm, score "
            "and optionally seed, patient_id, dataset."
        ),
    ],
    reference: Annotated[
        str | None, typer.Option(help="Compare every arm with this one; default: all pairs.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Dataset that arms were made for: adds what they lose from it."),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="Largest acceptable loss of AUC, declared beforehand, such as 0.05."),
    ] = None,
    scores: ScoresOption = None,
    method: Annotated[
        str, typer.Option(help=f"Intervals of single AUCs: {', '.join(INTERVAL_METHODS)}.")
    ] = "auto",
    everything: Annotated[
        bool, typer.Option("--all", help="Print every table, seed and method.")
    ] = False,
    cluster: ClusterOption = None,
    json_out: JsonOption = None,
    correct: Annotated[
        str, typer.Option(help=f"Correction for multiple tests: {', '.join(CORRECTIONS)}.")
    ] = "bh",
    level: LevelOption = 0.95,
) -> None:
    """Compare the AUC of arms on the same cases: over seeds, per seed and over datasets."""
    if margin is not None and not 0.0 < margin < 1.0:
        raise typer.BadParameter(f"{margin}: the margin is a loss of AUC between 0 and 1")
    wishes = Wishes(
        reference,
        checked_correction(correct),
        checked_level(level),
        checked_method(method),
        margin,
        source,
    )
    predictions, warning = _on_scale(read_external_predictions(table, cluster), scores, table.name)
    report = compare_predictions(predictions, wishes, table.name)
    report.settings["warning"] = warning
    console = result_console()
    print_headline(report, console)
    if everything:
        print_everything(report, console)
    write_json(report, json_out)


def checked_method(name: str) -> IntervalMethod:
    """Return the name of an interval, or raise a usage error."""
    for known in INTERVAL_METHODS:
        if name == known:
            return known
    raise typer.BadParameter(f"{name!r}: allowed are {', '.join(INTERVAL_METHODS)}")


def checked_correction(name: str) -> Correction:
    """Return the name of a correction, or raise a usage error."""
    for known in CORRECTIONS:
        if name == known:
            return known
    raise typer.BadParameter(f"{name!r}: allowed are {', '.join(CORRECTIONS)}")


def _on_scale(
    predictions: ExternalPredictions, scores: str | None, table: str
) -> tuple[ExternalPredictions, str]:
    """Return the predictions with log-odds where probabilities are given, and a warning."""
    if scores is not None and scores not in SCORES:
        raise typer.BadParameter(f"{scores!r}: the scores are one of {', '.join(SCORES)}")
    if scores == "probability":
        parts = tuple(
            replace(part, scores=as_probable_logits(part.scores, f"{table}, column score"))
            for part in predictions.datasets
        )
        return replace(predictions, datasets=parts), ""
    seeds = any(
        len(part.curves) > len({arm for arm, _ in part.curves}) for part in predictions.datasets
    )
    if (
        scores is None
        and seeds
        and look_like_probabilities([p.scores for p in predictions.datasets])
    ):
        return predictions, (
            f"{LIKE_PROBABILITIES}, say --scores probability; it changes the ensemble alone"
        )
    return predictions, ""
