"""`mammoshift compare`: sound comparisons of the arms in anyone's table of predictions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammoshift.commands.options import (
    ClusterOption,
    JsonOption,
    LevelOption,
    ScoresOption,
    checked_level,
    write_json,
)

if TYPE_CHECKING:
    from mammoshift.contracts.external_predictions import ExternalPredictions
    from mammoshift.statistics.intervals import IntervalMethod
    from mammoshift.statistics.multiplicity import Correction

METRICS = (
    "auc",
    "auprc",
    "partial_auc",
    "sensitivity",
    "specificity",
    "brier",
    "nll",
    "calibration",
)
NEED_LOGITS = ("brier", "nll", "calibration")
INTERVAL_METHODS = ("auto", "score", "logit_t", "logit", "wald")
CORRECTIONS = ("bh", "by", "holm", "none")
SPECIFICITY, SENSITIVITY = 0.95, 0.9
SCORES = ("logit", "probability", "any")


def compare(
    table: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet with case_id, label, arm, score and optionally seed, "
            "patient_id, dataset; or the folder of a study's results."
        ),
    ],
    reference: Annotated[
        str | None,
        typer.Option(
            help="Compare every arm with this one; default: a study's own, else all pairs."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Dataset that arms were made for: adds what they lose from it."),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="Largest acceptable loss, declared beforehand, such as 0.05 of AUC."),
    ] = None,
    metric: Annotated[str, typer.Option(help=f"What is compared: {', '.join(METRICS)}.")] = "auc",
    specificity: Annotated[
        float,
        typer.Option(help="Of the sensitivity, re-estimated; the lowest one of partial_auc."),
    ] = SPECIFICITY,
    sensitivity: Annotated[
        float, typer.Option(help="Of the specificity, re-estimated.")
    ] = SENSITIVITY,
    threshold: Annotated[
        float | None,
        typer.Option(help="Sensitivity and specificity at this threshold, fixed beforehand."),
    ] = None,
    roc: Annotated[
        bool, typer.Option("--roc", help="Add the ROC curves with intervals of sensitivity.")
    ] = False,
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
    """Compare arms on the same cases: over seeds, per seed and over datasets."""
    from mammoshift.commands.compare_metrics import At
    from mammoshift.commands.compare_report import Wishes
    from mammoshift.commands.compare_rows import compare_predictions
    from mammoshift.commands.compare_text import print_everything, print_headline
    from mammoshift.commands.scores_of_a_study import read_scores
    from mammoshift.commands.text_tables import result_console

    if margin is not None and not 0.0 < margin < 1.0:
        raise typer.BadParameter(f"{margin}: the margin is a loss between 0 and 1")
    if metric not in METRICS:
        raise typer.BadParameter(f"{metric!r}: the metrics are {', '.join(METRICS)}")
    if metric in NEED_LOGITS and scores == "any":
        raise typer.BadParameter(
            f"{metric} needs to know what the scores are: logit or probability"
        )
    if threshold is not None:
        _check_threshold(threshold, metric, scores, specificity, sensitivity)
    for name, value in (("specificity", specificity), ("sensitivity", sensitivity)):
        if not 0.0 < value < 1.0:
            raise typer.BadParameter(f"{value}: the {name} lies between 0 and 1")
    wishes = Wishes(
        reference,
        checked_correction(correct),
        checked_level(level),
        checked_method(method),
        margin,
        source,
        metric,
        At(specificity, sensitivity, threshold, scores == "probability"),
        roc,
    )
    read = read_scores(table, cluster)
    wishes = replace(wishes, reference=reference or read.reference)
    predictions, warning = _on_scale(read, scores, table.name, metric in NEED_LOGITS)
    report = compare_predictions(predictions, wishes, table.name)
    report.settings["warning"] = warning
    console = result_console()
    print_headline(report, console, everything)
    if everything:
        print_everything(report, console)
    write_json(report, json_out)


def _check_threshold(
    threshold: float, metric: str, scores: str | None, specificity: float, sensitivity: float
) -> None:
    """Refuse a threshold that would be ignored, or that leaves another option without effect."""
    if metric not in ("sensitivity", "specificity"):
        raise typer.BadParameter(
            f"--threshold cuts the scores for --metric sensitivity or specificity; {metric} has "
            "no threshold"
        )
    if (specificity, sensitivity) != (SPECIFICITY, SENSITIVITY):
        raise typer.BadParameter(
            "give --threshold, or a --specificity or --sensitivity to estimate it for, not both"
        )
    if scores == "probability" and not 0.0 < threshold < 1.0:
        raise typer.BadParameter(f"{threshold:g}: a threshold of probabilities lies inside (0, 1)")


def checked_method(name: str) -> IntervalMethod:
    """Return the name of an interval, or raise a usage error."""
    from mammoshift.statistics.intervals import INTERVAL_METHODS as KNOWN

    for known in KNOWN:
        if name == known:
            return known
    raise typer.BadParameter(f"{name!r}: allowed are {', '.join(INTERVAL_METHODS)}")


def checked_correction(name: str) -> Correction:
    """Return the name of a correction, or raise a usage error."""
    from mammoshift.statistics.multiplicity import CORRECTIONS as KNOWN

    for known in KNOWN:
        if name == known:
            return known
    raise typer.BadParameter(f"{name!r}: allowed are {', '.join(CORRECTIONS)}")


def _on_scale(
    predictions: ExternalPredictions, scores: str | None, table: str, matters: bool
) -> tuple[ExternalPredictions, str]:
    """Return the predictions with log-odds where probabilities are given, and a warning.

    `matters` is whether the metric depends on the scale; otherwise the ensemble alone does.
    """
    from mammoshift.commands.chosen_curves import (
        LIKE_PROBABILITIES,
        as_probable_logits,
        look_like_probabilities,
    )
    from mammoshift.commands.scores_of_a_study import refuse_other_scale

    if scores is not None and scores not in SCORES:
        raise typer.BadParameter(f"{scores!r}: the scores are one of {', '.join(SCORES)}")
    if predictions.log_odds:
        refuse_other_scale(scores)
        return predictions, ""
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
        and (seeds or matters)
        and look_like_probabilities([p.scores for p in predictions.datasets])
    ):
        return predictions, (
            f"{LIKE_PROBABILITIES}, say --scores probability; "
            + ("the result is wrong then" if matters else "it changes the ensemble alone")
        )
    return predictions, ""
