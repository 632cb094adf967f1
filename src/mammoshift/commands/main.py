"""The command `mammoshift`: statistics on anyone's predictions, and questions to the workflow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mammoshift.commands.accept import accept
from mammoshift.commands.calibrate import calibrate
from mammoshift.commands.check import check
from mammoshift.commands.clean import clean
from mammoshift.commands.compare import compare
from mammoshift.commands.decision_curve import decision_curve
from mammoshift.commands.explain import explain
from mammoshift.commands.export import export
from mammoshift.commands.init import init
from mammoshift.commands.manifest import manifest
from mammoshift.commands.operating_point import operating_point
from mammoshift.commands.plan import plan
from mammoshift.commands.predict import predict
from mammoshift.commands.radiomics import app as radiomics
from mammoshift.commands.resources import resources
from mammoshift.commands.sample_size import sample_size
from mammoshift.commands.verify import verify
from mammoshift.commands.why import why
from mammoshift.errors import MammoshiftError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Measure and restore a mammography classifier's accuracy across sensors and populations.",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"mammoshift {version('mammoshift')}")
        raise typer.Exit


@app.callback()
def every_command(
    _asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Measure and restore a mammography classifier's accuracy across sensors and populations."""


app.command()(init)
app.command()(check)
app.command()(compare)
app.command()(calibrate)
app.command()(manifest)
app.command("operating-point")(operating_point)
app.command("decision-curve")(decision_curve)
app.command("sample-size")(sample_size)
app.command()(plan)
app.command()(resources)
app.command()(accept)
app.command()(clean)
app.command()(predict)
app.command()(explain)
app.command()(export)
app.command()(verify)
app.command()(why)
app.add_typer(radiomics, name="radiomics")


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
