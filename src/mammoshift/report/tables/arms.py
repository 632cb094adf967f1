"""The arms after all defaults: what they share, and a table of what tells them apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from mammoshift.configuration.judged import ReportSettings
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable

ABSENT = "-"


def arm_table(data: ReportData) -> PublicationTable | None:
    """Return the settings in which the arms differ, one arm per row."""
    settings = settings_of_arms(data.settings)
    shared = dict(shared_settings(data.settings))
    keys = [key for key in _keys(settings) if key not in shared]
    if not keys:
        return None
    rows = [[arm, *(own.get(key, ABSENT) for key in keys)] for arm, own in settings.items()]
    cells = pd.DataFrame(rows, columns=["Arm", *keys])
    return PublicationTable("arms", cells, text_columns=frozenset(keys))


def shared_settings(settings: ReportSettings) -> tuple[tuple[str, str], ...]:
    """Return (dotted key, value) of every setting that all arms have in common."""
    of_arms = settings_of_arms(settings)
    values = {key: {own.get(key) for own in of_arms.values()} for key in _keys(of_arms)}
    return tuple((key, str(*found)) for key, found in values.items() if len(found) == 1)


def flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted key, value as text) of nested settings, in their order; lists count from 1."""
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flattened(value, f"{name}.")
        elif isinstance(value, list | tuple):
            if any(isinstance(item, Mapping) for item in value):
                for position, item in enumerate(value, start=1):
                    yield from flattened(item, f"{name}.{position}.")
            else:
                numbers = all(isinstance(item, int | float) for item in value)
                joined = (" x " if numbers else ", ").join(f"{item}" for item in value)
                yield name, joined or "none"
        else:
            yield name, "none" if value is None else f"{value}"


def settings_of_arms(settings: ReportSettings) -> dict[str, dict[str, str]]:
    """Return the settings of each arm as texts, by dotted key."""
    return {
        arm.name: {"kind": arm.kind}
        | {key: text for key, text in flattened(arm.settings) if key not in {"name", "kind"}}
        for arm in settings.described_arms
    }


def _keys(settings: Mapping[str, Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(key for own in settings.values() for key in own))
