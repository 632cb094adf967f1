"""What the commands on anyone's predictions share: their options and what they write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mammoshift.errors import ConfigurationError, TableError
from mammoshift.files import write_text_atomically

if TYPE_CHECKING:
    from mammoshift.configuration.load import Project

INDEPENDENCE = "No patients given: every case counts as independent"

FEW_PATIENTS = (
    "fewer than 20 patients of one class: intervals and tests are rough, and none of fewer than 8 "
    "should be relied on"
)

Row = dict[str, Any]
"""One row of the JSON output; None is null."""

TableArgument = Annotated[
    Path,
    typer.Argument(
        help="CSV or Parquet with case_id, label, score and optionally patient_id; or the folder "
        "of a study's results."
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        help="Column that groups dependent cases; default: patient_id where there is one. "
        "`none` treats all cases as independent."
    ),
]
ArmOption = Annotated[str | None, typer.Option(help="The arm, where the table has several.")]
SeedOption = Annotated[str | None, typer.Option(help="The seed, where the arm has several.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write all results to this file.")]
ScoresOption = Annotated[
    str | None,
    typer.Option(
        "--scores",
        help="What the column score holds: logit, probability, or any (only the order matters).",
    ),
]
OtherPatientsOption = Annotated[
    bool,
    typer.Option(
        "--other-patients",
        help="Patient identifiers that occur in both tables belong to different patients.",
    ),
]
ConfigOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--configfile",
        help="Which configuration file; several, if given more than once. Default: that of the "
        "Snakefile.",
    ),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--config", help="A setting, as for Snakemake: archives=/data. May repeat."),
]
FolderOption = Annotated[Path, typer.Option(help="Folder of the workflow.")]
LevelOption = Annotated[float, typer.Option(help="Level of the confidence intervals.")]


def note_of(cases: str, cluster: str | None, *more: str) -> str:
    """Return in one text where cases are from, whether patients group them, and what else."""
    independent = "" if cluster else INDEPENDENCE
    return "; ".join(filter(None, (cases, independent, *more)))


def checked_level(level: float) -> float:
    """Return a confidence level in [0.5, 1), or raise a usage error."""
    if not 0.5 <= level < 1.0:
        raise typer.BadParameter(f"{level}: the level lies between 0.5 and 1, for example 0.95")
    return level


def write_json(report: object, path: Path | None) -> None:
    """Write the lists of rows that a report holds by name; without a path nothing.

    Raises
    ------
    TableError
        If the file cannot be written.
    """
    if path is None:
        return
    try:
        write_text_atomically(path, json.dumps(vars(report), indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise TableError(
            f"{path}: cannot be written ({error.strerror}); give --json another file"
        ) from error


def settings_of(overrides: Sequence[str] | None) -> dict[str, str]:
    """Return the settings that `--config key=value` gives.

    Raises
    ------
    ConfigurationError
        If one is no key and value.
    """
    settings = {}
    for override in overrides or ():
        key, equals, value = override.partition("=")
        if not (key and equals):
            raise ConfigurationError(f"--config {override}: give a key and a value, joined by =")
        settings[key] = value
    return settings


def read_project(
    configuration: Path,
    folder: Path,
    studies: list[str] | None,
    overrides: list[str] | None = None,
) -> tuple[Project, list[str]]:
    """Return the project of a configuration file and the names of the studies that were asked for.

    `overrides` are settings as `key=value`, which go before those of the file.

    Raises
    ------
    ConfigurationError
        If a file is missing or wrong, or there is no study of a name.
    """
    from mammoshift.configuration.load import load_project, read_yaml

    if not (folder / "config" / "config.yaml").is_file():
        raise ConfigurationError(
            f"{folder / 'config/config.yaml'}: there is no such file; run this in the project's "
            "folder, the one with the Snakefile, or name that with --folder"
        )
    given = read_yaml(folder / configuration)
    if not isinstance(given, dict):
        raise ConfigurationError(f"{configuration}: a configuration file has keys and values")
    settings = {**read_yaml(folder / "config/config.yaml"), **given}
    project = load_project({**settings, **settings_of(overrides)}, folder)
    for name in studies or []:
        if name not in project.studies:
            raise ConfigurationError(
                f"there is no study {name!r} in {configuration}; it has: "
                f"{', '.join(project.studies)}"
            )
    return project, list(studies or project.studies)
