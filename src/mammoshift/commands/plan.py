"""`mammoshift plan`: what a study will cost, before anything is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammoshift.commands.options import read_project

_ON_THIS_MACHINE = "Hours are those of this machine; reading is not counted."
_ON_AN_A100 = (
    "Hours are those of one A100 with 80 GB kept busy; reading, heads, and batches that are too "
    "small to fill it are not counted."
)


def plan(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            help="Studies; all of the configuration if none is given. A first one that ends in "
            ".yaml is the configuration file."
        ),
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

    if studies and Path(studies[0]).suffix == ".yaml":
        configuration, studies = Path(studies[0]), studies[1:]
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
        typer.echo(_ON_THIS_MACHINE if measure else _ON_AN_A100)
    for study in plans:
        for estimated in dict.fromkeys(study.estimated.values()):
            names = [name for name, basis in study.estimated.items() if basis == estimated]
            typer.echo(f"{study.study}: estimated {estimated}: {', '.join(names)}")
        for missing in study.unknown:
            typer.echo(f"{study.study}: unknown: {missing}{_remedy(missing)}")


def _remedy(missing: str) -> str:
    """Return what to do about something unknown."""
    if missing.startswith("throughput"):
        return "; --measure times it here"
    key = "expected_patches" if "patches" in missing else "expected_images"
    return f"; {key} states it"
