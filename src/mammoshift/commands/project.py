"""The configuration that a command works on, found as Snakemake finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mammoshift.commands.options import settings_of
from mammoshift.configuration.load import Project, load_project, read_yaml

DEFAULT = Path("config", "config.yaml")


def configured(
    folder: Path, configfiles: Sequence[Path], overrides: Sequence[str] | None = None
) -> tuple[Project, Path]:
    """Return the project of a workflow's folder, and the folder of its results.

    Keys of later files replace those of earlier ones, as with Snakemake's `--configfile`, and
    `overrides` (`key=value`) those of all files.

    Raises
    ------
    ConfigurationError
        If a file does not exist or cannot be used.
    """
    settings: dict[str, Any] = {}
    for file in (DEFAULT, *configfiles):
        _update(settings, read_yaml(folder / file) or {})
    project = load_project({**settings, **settings_of(overrides)}, folder)
    return project, folder / project.settings.pathvars.get("results", "results")


def _update(settings: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(settings.get(key), dict):
            _update(settings[key], value)
        else:
            settings[key] = value
