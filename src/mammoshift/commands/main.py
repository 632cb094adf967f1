"""The command `mammoshift`: statistics on anyone's predictions, and questions to the workflow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mammoshift.commands.accept import accept
from mammoshift.commands.calibrate import calibrate
from mammoshift.commands.clean import clean
from mammoshift.commands.compare import compare
from mammoshift.commands.manifest import manifest
from mammoshift.commands.operating_point import operating_point
from mammoshift.commands.resources import resources
from mammoshift.commands.verify import verify
from mammoshift.commands.why import why
from mammoshift.errors import MammoshiftError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Measure and restore a mammography classifier's accuracy across sensors and populations.",
)

app.command()(compare)
app.command()(calibrate)
app.command()(manifest)
app.command("operating-point")(operating_point)
app.command()(resources)
app.command()(accept)
app.command()(clean)
app.command()(verify)
app.command()(why)


@app.command()
def plan(
    studies: Annotated[
        list[str] | None, typer.Argument(help="Studies; all of the configuration if none is given.")
    ] = None,
    configuration: Annotated[
        Path, typer.Option("--configfile", help="Which configuration file.")
    ] = Path("config/paper.yaml"),
    folder: Annotated[Path, typer.Option(help="Folder of the workflow.")] = Path(),
) -> None:
    """Print a study's jobs, GPU-hours and storage, before anything is run."""
    from mammoshift.configuration.load import load_project, read_yaml
    from mammoshift.errors import ConfigurationError
    from mammoshift.planning.plan import as_markdown, plan_study

    settings = {**read_yaml(folder / "config/config.yaml"), **read_yaml(folder / configuration)}
    project = load_project(settings, folder)
    for name in studies or []:
        if name not in project.studies:
            raise ConfigurationError(
                f"there is no study {name!r} in {configuration}; it has: "
                f"{', '.join(project.studies)}"
            )
    plans = [plan_study(project, name) for name in studies or project.studies]
    typer.echo(as_markdown(plans))
    for study in plans:
        for missing in study.unknown:
            typer.echo(f"{study.study}: unknown: {missing}")


@app.command()
def schemas(folder: Annotated[Path, typer.Argument(help="Where to write them.")]) -> None:
    """Write the JSON schemas of the configuration files."""
    from mammoshift.configuration.schemas import write_schemas

    write_schemas(folder)


def run() -> None:
    """Run the command line; an error of ours is printed without a traceback."""
    try:
        app()
    except MammoshiftError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
