"""Reporting checklists, filled with what a run can answer by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mammoshift.errors import ConfigurationError
from mammoshift.report.answers.every import ANSWERS
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable

FILE = "checklists.yaml"
ANSWERED, IN_PART, FILL_IN = "answered", "in part", "fill in"
NOT_KNOWN = "Not known to the software."
_KEYS = frozenset({"item", "topic", "asks", "says", "see", "to_say"})


@dataclass(frozen=True)
class Item:
    """One item: what it asks for, which answer the run gives, and what is left to people.

    `says` is a name of `mammoshift.report.answers.every`, empty where the run knows nothing.
    """

    item: str
    topic: str
    asks: str
    says: str = ""
    see: str = ""
    to_say: str = ""


@dataclass(frozen=True)
class Checklist:
    """One guideline with its items; `captions.yaml` has its title."""

    key: str
    items: tuple[Item, ...]


def load_checklists(folder: Path) -> tuple[Checklist, ...]:
    """Read the checklists beside the report's template.

    Raises
    ------
    ConfigurationError
        If the file is missing or has another form, or names an answer that there is none of.
    """
    path = folder / FILE
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return tuple(_checklist(str(key), entry, path) for key, entry in content.items())
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read; the report needs it") from error
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: is no file of checklists: {error}") from error


def checklist_table(checklist: Checklist, data: ReportData) -> PublicationTable:
    """Return a checklist with the run's answers, one item in a row."""
    cells = pd.DataFrame([_record(item, data) for item in checklist.items])
    return PublicationTable(
        f"checklist_{checklist.key}", cells, text_columns=frozenset(cells.columns[1:])
    )


def _record(item: Item, data: ReportData) -> dict[str, str]:
    answer = ANSWERS[item.says](data) if item.says else ""
    status = FILL_IN if not answer else IN_PART if item.to_say else ANSWERED
    if answer and item.see:
        answer += f" See {item.see}."
    return {
        "Item": item.item,
        "Topic": item.topic,
        "Asks for": item.asks,
        "Status": status,
        "This run": answer or NOT_KNOWN,
        "To be filled in": item.to_say if answer else item.to_say or item.asks,
    }


def _checklist(key: str, records: Iterable[Mapping[str, Any]], path: Path) -> Checklist:
    items = []
    for record in records:
        unknown = sorted(set(record) - _KEYS)
        if unknown:
            raise ConfigurationError(
                f"{path}: {key}: item {record.get('item')}: there is no key {unknown[0]!r}"
            )
        item = Item(**{name: str(value) for name, value in record.items()})
        if item.says and item.says not in ANSWERS:
            raise ConfigurationError(
                f"{path}: {key}: item {item.item}: there is no answer {item.says!r} in "
                "mammoshift.report.answers"
            )
        items.append(item)
    return Checklist(key, tuple(items))
