"""`mammoshift clean`: find results that belong to no study any more; remove them after a yes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammoshift.commands.options import ConfigOption, FolderOption, SettingsOption
from mammoshift.errors import MammoshiftError

if TYPE_CHECKING:
    from mammoshift.provenance.leftovers import Leftover


def clean(
    kept: Annotated[
        float | None,
        typer.Option(
            "--kept", help="Also shrink the store of kept results to this many gigabytes."
        ),
    ] = None,
    shared: Annotated[
        bool,
        typer.Option(
            "--shared",
            help="Also remove twins, manifests, pixels and weights that nothing finished reads; an "
            "unfinished study of another configuration may.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    configfile: ConfigOption = None,
    settings: SettingsOption = None,
    folder: FolderOption = Path(),
) -> None:
    """Remove results of arms and targets that the configured studies no longer have.

    It says what and how much, and asks. Studies that the configuration does not name stay, with all
    that they were made from. Data of no study that nothing reads are listed, and stay without
    --shared.
    """
    from mammoshift.commands.project import configured
    from mammoshift.provenance.leftovers import leftovers, remove
    from mammoshift.provenance.planned import ask
    from mammoshift.provenance.reuse import Store

    _refuse_during_a_run(folder)
    project, results = configured(folder, configfile or (), settings)
    plan = ask(folder, configfile or (), settings=settings or ())
    wanted = [str(folder / path) for path in plan.wanted]
    everything = leftovers(results, wanted, set(project.studies))
    found = [leftover for leftover in everything if shared or not leftover.is_shared]
    total = sum(leftover.size for leftover in found)
    for leftover in found:
        typer.echo(_line(leftover))
    _tell_spared([leftover for leftover in everything if leftover not in found])
    kept_in = project.settings.kept(results)
    store = Store.of({**kept_in, "folder": str(folder / kept_in["folder"])})
    entries = sorted(store.entries(), key=lambda entry: entry.used)
    held = sum(entry.size for entry in entries)
    typer.echo(f"{len(entries)} results are kept for later in {store.folder}: {_amount(held)}.")
    shrinks = kept is not None and held > kept * 1e9
    if not found and not shrinks:
        typer.echo("Nothing is left over.")
        return
    question = f"Remove {len(found)} leftovers, {_amount(total)}"
    if shrinks:
        question += f", and kept results down to {kept:g} GB, those unused for longest first"
    if not yes and not typer.confirm(f"{question}?"):
        typer.echo("Nothing was removed.")
        return
    for leftover in found:
        remove(leftover)
    dropped = store.shrink(kept) if shrinks and kept is not None else []
    freed = total + sum(entry.size for entry in dropped)
    typer.echo(f"Removed {len(found)} leftovers and {len(dropped)} kept results: {_amount(freed)}.")


def _tell_spared(spared: Sequence[Leftover]) -> None:
    if not spared:
        return
    typer.echo("Of no study, and read by nothing that stays; not removed without --shared,")
    typer.echo("since an unfinished study of another configuration may be made from them:")
    for leftover in spared:
        typer.echo(_line(leftover))


def _line(leftover: Leftover) -> str:
    return f"{_amount(leftover.size):>9}  {leftover.name}  ({leftover.of})"


def _refuse_during_a_run(folder: Path) -> None:
    if any((folder / ".snakemake" / "locks").glob("*.lock")):
        raise MammoshiftError(
            f"{folder.resolve()}: Snakemake runs here, or was killed; wait for its end, or run "
            "`snakemake --unlock`"
        )


def _amount(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"
