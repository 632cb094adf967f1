"""`mammoshift verify`: whether every file of the results is what was written."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammoshift.commands.options import ConfigOption, FolderOption, SettingsOption
from mammoshift.errors import ConfigurationError, DamagedFileError

if TYPE_CHECKING:
    from mammoshift.configuration.load import Project
    from mammoshift.provenance.verify import Checked

_EVERY_SECONDS = 2.0


def verify(
    target: Annotated[
        Path | None,
        typer.Argument(help="A folder or file of the results; all of them if none is given."),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Check the raw archives as well.")] = False,
    configfile: ConfigOption = None,
    settings: SettingsOption = None,
    folder: FolderOption = Path(),
) -> None:
    """Compare every result with what was written, and with what it was made from.

    Each file that is damaged, missing, in another's place or made from something else is named with
    what mends it; the exit code is then 1.
    """
    from mammoshift.commands.project import configured

    project, results = configured(folder, configfile or (), settings)
    if not results.is_dir():
        raise ConfigurationError(
            f"{results}: there are no results; run the workflow first, or name the configuration "
            "of other results with --configfile FILE"
        )
    chosen = results if target is None else _inside(folder / target, results)
    count = damaged = 0
    said = time.monotonic()
    for checked in _all(project, results, chosen, raw, folder, configfile or (), settings or ()):
        count += 1
        if checked.problem:
            damaged += 1
            typer.echo(f"{checked.path}: {checked.problem}. To mend it: {checked.mend}")
        elif time.monotonic() - said > _EVERY_SECONDS:
            said = time.monotonic()
            print(f"{count} files, {damaged} damaged; at {checked.path}", file=sys.stderr)
    if damaged:
        raise DamagedFileError(f"{damaged} of {count} files are not as they should be; see above")
    typer.echo(f"{count} files are what was written.")


def _all(
    project: Project,
    results: Path,
    chosen: Path,
    raw: bool,
    folder: Path,
    configfile: Sequence[Path],
    settings: Sequence[str],
) -> Iterator[Checked]:
    from mammoshift.provenance.inputs import Again
    from mammoshift.provenance.planned import ask
    from mammoshift.provenance.reuse import Store
    from mammoshift.provenance.verify import (
        verify_archive,
        verify_origins,
        verify_results,
        verify_store,
        verify_twins,
    )

    yield from verify_results(results, chosen, Again(folder, configfile, settings))
    plan = ask(folder, configfile, settings=settings)
    yield from verify_origins(results, chosen, [folder / path for path in plan.wanted])
    if chosen == results:
        kept = project.settings.kept(results)
        yield from verify_store(Store.of({**kept, "folder": str(folder / kept["folder"])}))
    if raw:
        yield from verify_twins(results)
        for name in project.used_datasets:
            if project.datasets[name].twin is None:
                root = folder / project.archive_root(name, results)
                yield from verify_archive(results, name, root)


def _inside(target: Path, results: Path) -> Path:
    if not target.exists() or not target.resolve().is_relative_to(results.resolve()):
        raise ConfigurationError(
            f"{target}: no file or folder of the results; give one below {results}"
        )
    return results / target.resolve().relative_to(results.resolve())
