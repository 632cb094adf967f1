"""`mammoshift operating-point`: sensitivity and specificity where a score is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammoshift.commands.options import (
    ArmOption,
    ClusterOption,
    JsonOption,
    LevelOption,
    OtherPatientsOption,
    SeedOption,
    TableArgument,
    checked_level,
    write_json,
)

CRITERIA = ("specificity", "youden", "g-mean")
DEFAULT_RESAMPLES = 2000


def operating_point(
    table: TableArgument,
    threshold_from: Annotated[
        Path | None,
        typer.Option(
            help="Choose the threshold on this table (source validation cases; of a study's "
            "folder they are taken)."
        ),
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
    from mammoshift.commands.chosen_curves import read_curves, refuse_shared_cases
    from mammoshift.commands.operating_point_rows import operating_points_of_table, print_report
    from mammoshift.commands.text_tables import result_console

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
    reported = read_curves(table, cluster, arm, seed)
    validation = None
    if threshold_from is not None:
        validation = read_curves(threshold_from, cluster, arm, seed, validation=True)
        refuse_shared_cases(reported, validation, "--threshold-from", other_patients)
    report = operating_points_of_table(
        reported,
        validation,
        threshold=threshold,
        specificity=specificity,
        criterion=criterion,
        resamples=resamples,
        level=checked_level(level),
    )
    report.settings["threshold_from"] = None if threshold_from is None else threshold_from.name
    print_report(report, result_console())
    write_json(report, json_out)
