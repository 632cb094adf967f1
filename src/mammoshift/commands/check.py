"""`mammoshift check`: everything that can be known before the first job."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammoshift.commands.options import SettingsOption, read_project
from mammoshift.project import SAMPLE

if TYPE_CHECKING:
    from mammoshift.configuration.load import Project
    from mammoshift.project.findings import Finding


def check(
    studies: Annotated[
        list[str] | None, typer.Argument(help="Studies; all of the configuration if none is given.")
    ] = None,
    configuration: Annotated[
        Path, typer.Option("--configfile", help="Which configuration file.")
    ] = Path("config/config.yaml"),
    folder: Annotated[Path, typer.Option(help="Folder of the workflow.")] = Path(),
    settings: SettingsOption = None,
    sample: Annotated[int, typer.Option(help="Images of each dataset to decode.")] = SAMPLE,
    time: Annotated[
        bool, typer.Option("--time/--no-time", help="Time a few batches to tell the hours.")
    ] = True,
) -> None:
    """Look at tables, images, classes, weights, disk and time, and say what is wrong."""
    project, names = read_project(configuration, folder, studies, settings)
    counts = {"ok": 0, "warning": 0, "error": 0}
    for finding in _findings(project, names, sample, time):
        counts[finding.level] += 1
        typer.echo(f"{finding.level:<8} {finding}")
    said = " and ".join(
        f"{counts[level]} {level}{'' if counts[level] == 1 else 's'}"
        for level in ("error", "warning")
    )
    if counts["error"]:
        typer.echo(f"Counted: {said}. A run would fail; mend the errors and check again.")
        raise typer.Exit(1)
    typer.echo(f"Counted: {said}. A run can start.")


def _findings(project: Project, names: list[str], sample: int, time: bool) -> Iterator[Finding]:
    from mammoshift.configuration.remarks import remarks_on
    from mammoshift.configuration.result_leaves import report_settings
    from mammoshift.project.findings import Finding, check_inputs, everything
    from mammoshift.project.sample import check_contents, check_patients

    planned = everything(project, names)
    failed = False
    for finding in check_inputs(project, planned):
        failed = failed or finding.level == "error"
        yield finding
    for study in names:
        for said in remarks_on(report_settings(project, study)):
            yield Finding("warning", f"study {study}", said)
    yield from check_contents(project, planned, sample)
    for study in names:
        yield from check_patients(project, study)
    yield from _costs(project, names, time and not failed)


def _costs(project: Project, names: list[str], measure: bool) -> Iterator[Finding]:
    """Yield what the studies will take of the disk, and of this machine's time."""
    from mammoshift.planning.plan import plan_study
    from mammoshift.planning.throughput import THROUGHPUT
    from mammoshift.project.findings import Finding, results_folder

    throughput = dict(THROUGHPUT)
    if measure:
        from mammoshift.planning.measure import measured

        throughput = measured(project, names)
    plans = [plan_study(project, name, throughput) for name in names]
    needed = sum((plan.pixel_bytes or 0) + (plan.model_bytes or 0) for plan in plans)
    results = project.settings.pathvars.get("results", "results")
    free = shutil.disk_usage(results_folder(project)).free
    unknown = any(plan.pixel_bytes is None for plan in plans)
    said = f"{'at least ' if unknown else ''}{_size(needed)} for {results}"
    short = "; enough only if most of it is there already" if needed > free else ""
    yield Finding(
        "warning" if short else "ok", "disk", f"{said}, where {_size(free)} are free{short}"
    )
    for plan in plans:
        if plan.training_hours is None or plan.scoring_hours is None:
            why = "; ".join(plan.unknown) if measure else "it was not measured"
            yield Finding("warning", f"time {plan.study}", f"unknown: {why}")
            continue
        hours = plan.training_hours + plan.scoring_hours + (plan.trial_hours or 0.0)
        where = "here, one job at a time" if measure else "on one A100"
        yield Finding(
            "ok",
            f"time {plan.study}",
            f"about {_time(hours)} {where}, for {plan.jobs.get('train_arm', 0)} trainings and "
            "their scoring",
        )


def _size(number: float) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**29 else f"{number / 2**20:.0f} MiB"


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1.5 else f"{max(1, round(60 * hours))} min"
