"""`mammoshift plan`: what a study will cost, before anything is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammoshift.commands.options import read_project


def plan(
    studies: Annotated[
        list[str] | None, typer.Argument(help="Studies; all of the configuration if none is given.")
    ] = None,
    configuration: Annotated[
        Path, typer.Option("--configfile", help="Which configuration file.")
    ] = Path("config/paper.yaml"),
    folder: Annotated[Path, typer.Option(help="Folder of the workflow.")] = Path(),
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="Time a few batches here: hours are then those of this machine."
        ),
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
) -> None:
    """Print a study's jobs, GPU-hours and storage, before anything is run."""
    from mammoshift.commands.text_tables import print_table, result_console
    from mammoshift.planning.plan import as_markdown, plan_rows, plan_study
    from mammoshift.planning.throughput import THROUGHPUT

    project, names = read_project(configuration, folder, studies)
    throughput = dict(THROUGHPUT)
    if measure:
        from mammoshift.planning.measure import measured

        throughput = measured(project, names)
    plans = [plan_study(project, name, throughput) for name in names]
    if markdown:
        typer.echo(as_markdown(plans))
    else:
        header, *rows = plan_rows(plans)
        print_table(result_console(), "", header, rows)
        typer.echo(f"Hours are those of {'this machine' if measure else 'one A100 with 80 GB'}.")
    for study in plans:
        for missing in study.unknown:
            hint = "; --measure times it here" if missing.startswith("throughput") else ""
            typer.echo(f"{study.study}: unknown: {missing}{hint}")
