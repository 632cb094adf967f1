"""`mammoshift sample-size`: cases that a site needs, and what seeds and cases could show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammoshift.commands.options import (
    ClusterOption,
    JsonOption,
    LevelOption,
    checked_level,
    write_json,
)

MODELS = ("binormal", "hanley_mcneil", "obuchowski")


def sample_size(
    pilot: Annotated[
        Path | None,
        typer.Argument(
            help="A pilot table or study as for `compare`: AUCs, prevalence, correlation, images "
            "of a patient and spread of seeds are taken from it."
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="With a pilot: plan against this arm; default: all pairs.")
    ] = None,
    auc: Annotated[float | None, typer.Option(help="Expected AUC.")] = None,
    against: Annotated[
        float | None, typer.Option(help="With --auc: AUC of the arm it is compared with.")
    ] = None,
    difference: Annotated[
        float | None, typer.Option(help="With a pilot: the difference to find, instead of its own.")
    ] = None,
    correlation: Annotated[
        float, typer.Option(help="Of the two AUC estimates on the same cases, about 0.3 to 0.9.")
    ] = 0.5,
    sensitivity: Annotated[
        float | None, typer.Option(help="Expected sensitivity, at a threshold fixed beforehand.")
    ] = None,
    specificity: Annotated[
        float | None,
        typer.Option(help="With --sensitivity: the threshold is re-estimated for this one."),
    ] = None,
    width: Annotated[
        float, typer.Option(help="Of the interval of --auc or --sensitivity, end to end.")
    ] = 0.1,
    prevalence: Annotated[float, typer.Option(help="Share of positives among the cases.")] = 0.5,
    images: Annotated[
        float, typer.Option("--cases-per-patient", help="Images of a patient, on average.")
    ] = 1.0,
    icc: Annotated[
        float, typer.Option(help="Correlation within a patient, for several images of each.")
    ] = 0.0,
    seed_sd: Annotated[
        float, typer.Option(help="With --against: standard deviation of the AUC between seeds.")
    ] = 0.0,
    power: Annotated[float, typer.Option(help="Wanted power.")] = 0.8,
    model: Annotated[
        str, typer.Option(help=f"How scores are distributed: {', '.join(MODELS)}.")
    ] = "binormal",
    cluster: ClusterOption = None,
    json_out: JsonOption = None,
    level: LevelOption = 0.95,
) -> None:
    """Plan a study: from numbers, or from a pilot table."""
    from mammoshift.commands.sample_size_rows import Numbers, plan_from_numbers, plan_from_pilot
    from mammoshift.commands.sample_size_text import print_report
    from mammoshift.commands.scores_of_a_study import read_scores
    from mammoshift.commands.text_tables import result_console

    checked_level(level)
    if model not in MODELS:
        raise typer.BadParameter(f"{model!r}: the models are {', '.join(MODELS)}")
    if pilot is not None:
        if auc is not None or sensitivity is not None:
            raise typer.BadParameter("give a pilot table or --auc and --sensitivity, not both")
        predictions = read_scores(pilot, cluster)
        chosen = reference or predictions.reference
        report = plan_from_pilot(predictions, pilot.name, chosen, difference, power, level)
    else:
        if auc is None and sensitivity is None:
            raise typer.BadParameter("give a pilot table, --auc or --sensitivity")
        report = plan_from_numbers(
            Numbers(
                auc=auc,
                against=against,
                correlation=correlation,
                sensitivity=sensitivity,
                specificity=specificity,
                width=width,
                prevalence=prevalence,
                cases_per_patient=images,
                intra_patient_correlation=icc,
                seed_sd=seed_sd,
                power=power,
                model=model,
                level=level,
            )
        )
    print_report(report, result_console())
    write_json(report, json_out)
