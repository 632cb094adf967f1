"""`mammoshift why`: what would run again, because of which change, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammoshift.commands.options import ConfigOption, FolderOption, SettingsOption


def why(
    targets: Annotated[
        list[str] | None,
        typer.Argument(help="Files of the results, or rules; everything if none is given."),
    ] = None,
    configfile: ConfigOption = None,
    settings: SettingsOption = None,
    folder: FolderOption = Path(),
) -> None:
    """Say in words what would run again, because of which change, and the work at stake."""
    from mammoshift.provenance.keys import Key, all_keys
    from mammoshift.provenance.planned import ask
    from mammoshift.provenance.why import explain, version_notes

    plan = ask(folder, configfile or (), targets or (), settings or ())
    for sentence in explain(plan):
        typer.echo(sentence)
    keys = (key for key in all_keys(folder / plan.results) if isinstance(key, Key))
    for note in version_notes(keys):
        typer.echo(f"Note: {note}.")
