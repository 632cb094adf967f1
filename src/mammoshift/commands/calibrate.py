"""`mammoshift calibrate`: how calibrated a table of predictions is, and what restores it."""

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

MAPS = ("temperature", "platt", "beta", "isotonic")


def calibrate(
    table: TableArgument,
    fit_on: Annotated[
        Path | None,
        typer.Option(
            help="Fit on this table (the source's validation cases; of a study's folder they are "
            "taken) and apply to TABLE. Cross-fitted maps of TABLE itself are reported in any case."
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option("--scores", "--scale", help="What score holds: logit or probability."),
    ] = None,
    maps: Annotated[
        str,
        typer.Option(
            help=f"Which maps, separated by commas: {', '.join(MAPS)}. The last two need many "
            "labelled cases and are left out, with the reason, where there are too few."
        ),
    ] = "temperature,platt",
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
    """Measure the calibration of a table of predictions, before and after recalibration."""
    from mammoshift.commands.calibrate_rows import CalibrationWishes, calibrate_table
    from mammoshift.commands.calibrate_text import print_report
    from mammoshift.commands.chosen_curves import as_logits, read_curves, refuse_shared_cases
    from mammoshift.commands.text_tables import result_console

    wishes = CalibrationWishes(_checked(maps), prevalence, folds, budget, checked_level(level))
    if prevalence is not None and fit_on is None:
        raise typer.BadParameter("--prevalence needs --fit-on, for the prevalence that it replaces")
    reported = as_logits(read_curves(table, cluster, arm, seed), scores)
    source = None
    if fit_on is not None:
        source = as_logits(read_curves(fit_on, cluster, arm, seed, validation=True), scores)
        refuse_shared_cases(reported, source, "--fit-on", other_patients)
    report = calibrate_table(reported, source, wishes)
    report.settings["scores"] = scores or "logit"
    report.settings["fit_on"] = None if fit_on is None else fit_on.name
    print_report(report, result_console())
    write_json(report, json_out)


def _checked(maps: str) -> tuple[str, ...]:
    """Return the names of maps, or raise a usage error."""
    names = tuple(dict.fromkeys(name.strip() for name in maps.split(",") if name.strip()))
    for name in names:
        if name not in MAPS:
            raise typer.BadParameter(f"{name!r}: the maps are {', '.join(MAPS)}")
    return names
