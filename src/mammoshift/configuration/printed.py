"""A study's whole configuration after all defaults, as the report prints it: without places."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from mammoshift.configuration.leaves import plain
from mammoshift.configuration.load import Project

PLACES = frozenset({"archives", "weights", "store", "pathvars"})
"""Settings that say where something lies on this machine."""
NOT_SHOWN = "(a path, not shown)"
_SHORT_FORM = ("source", "targets", "domains", "aggregation", "input", "training", "loss", "arms")


def printed_configuration(project: Project, study: str) -> dict[str, Any]:
    """Return what a study was resolved to, as plain values.

    Defaults of the study's file stand in the arms that take them. Absolute paths, which may name
    a user or a site, are left out.
    """
    resolved = project.studies[study]
    backbones = {getattr(arm, "backbone", None) for arm in resolved.arms.values()}
    printed = {
        "study": {
            "name": study,
            **plain(resolved.record, (*_SHORT_FORM, "comparisons")),
            "domains": {name: plain(domain) for name, domain in resolved.domains.items()},
            "arms": {name: plain(arm) for name, arm in resolved.arms.items()},
            "families": [plain(family) for family in resolved.families],
        },
        "datasets": {name: plain(project.datasets[name]) for name in resolved.datasets},
        "backbones": {
            name: plain(backbone)
            for name, backbone in project.backbones.items()
            if name in backbones
        },
        "settings": plain(project.settings, PLACES),
    }
    return without_places(printed)


def without_places(value: Any) -> Any:
    """Return plain values in which a sentence stands for every absolute path."""
    if isinstance(value, Mapping):
        return {name: without_places(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(inner) for inner in value]
    return NOT_SHOWN if isinstance(value, str) and is_a_place(value) else value


def is_a_place(text: str) -> bool:
    """Tell whether a text is a path that begins at a root, a home or above the working folder."""
    path = PurePath(text)
    return path.is_absolute() or text.startswith("~") or ".." in path.parts
