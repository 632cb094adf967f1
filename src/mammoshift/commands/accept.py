"""`mammoshift accept`: declare that a change has no effect on results that exist."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammoshift.commands.options import ConfigOption, FolderOption, SettingsOption
from mammoshift.errors import ConfigurationError

if TYPE_CHECKING:
    from mammoshift.provenance.accepted import Acceptance
    from mammoshift.provenance.why import Reasons


def accept(
    target: Annotated[
        str, typer.Argument(help="A file or folder of the results, or the name of a rule.")
    ],
    because: Annotated[
        str, typer.Option("--because", help="Why the change has no effect; the report prints it.")
    ],
    configfile: ConfigOption = None,
    settings: SettingsOption = None,
    folder: FolderOption = Path(),
) -> None:
    """Keep results although their code or settings changed, for a reason that the report prints.

    Only what changed until now is accepted; the next change makes the results invalid again.
    """
    from mammoshift.provenance.accepted import read_accepted, write_accepted
    from mammoshift.provenance.planned import ask
    from mammoshift.provenance.why import reasons

    if not because.strip():
        raise ConfigurationError("--because: give the reason; the report prints it")
    plan = ask(folder, configfile or (), settings=settings or ())
    chosen = [one for one in reasons(plan) if _is_meant(one, target)]
    if not chosen:
        raise ConfigurationError(
            f"{target}: no job that would run makes this; `mammoshift why` says what would run"
        )
    found = [acceptance for one in chosen if (acceptance := _acceptance(one, because)) is not None]
    if not found:
        raise ConfigurationError(
            f"{target}: nothing to accept: code and settings are those that the results were made "
            "with, or there is no result; `mammoshift why` says what changed"
        )
    results = folder / plan.results
    write_accepted(results, [*read_accepted(results), *found])
    for acceptance in found:
        typer.echo(f"{acceptance.target}: accepted: {'; '.join(acceptance.changes)}.")
    for one in chosen:
        if left := _left(one):
            typer.echo(f"{one.job.outputs[0]} would still be made again: {left}.")


def _is_meant(one: Reasons, target: str) -> bool:
    wanted = Path(target)
    return one.job.rule == target or any(
        wanted == Path(output) or wanted in Path(output).parents for output in one.job.outputs
    )


def _acceptance(one: Reasons, because: str) -> Acceptance | None:
    """Return what stands for what, None where no parameter of a finished result changed."""
    from mammoshift.provenance.accepted import Acceptance, Standing, now

    if one.key is None:
        return None
    before = one.key.parameters
    standing = {
        name: Standing(value, before[name])
        for name, value in one.job.parameters.items()
        if name in before and repr(before[name]) != repr(value)
    }
    if not standing:
        return None
    return Acceptance(
        target=one.job.outputs[0],
        rule=one.job.rule,
        wildcards=one.job.wildcards,
        because=because.strip(),
        when=now(),
        changes=list(one.clauses),
        parameters=standing,
    )


def _left(one: Reasons) -> str:
    """Return why a job would run even so, empty where it would not."""
    if one.key is None:
        return "it is new"
    if one.job.missing:
        return f"{', '.join(one.job.missing)} is missing"
    if one.job.updated or set(one.job.inputs) != {path for path, _ in one.key.inputs}:
        return "what it reads changed"
    new = [name for name in one.job.parameters if name not in one.key.parameters]
    return f"the parameter {', '.join(new)} is new" if new else ""
