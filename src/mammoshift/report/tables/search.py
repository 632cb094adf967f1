"""What the searches of arms have tried, and what they chose."""

from __future__ import annotations

import pandas as pd

from mammoshift.report.formatting import format_count, format_number
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.vocabulary import spoken

SHARED_PREFIX = "training."


def search_table(data: ReportData) -> PublicationTable | None:
    """Return one row for each trial of each search; None without a search."""
    if data.trials is None:
        return None
    keys = ["arm", "fold", "trial"]
    rows = [_trial(part) for _, part in data.trials.groupby(keys, sort=False)]
    cells = pd.DataFrame(rows)
    if (cells["Fold"] == "0").all():
        cells = cells.drop(columns="Fold")
    words = frozenset({"Settings", "Measure", "Outcome"})
    return PublicationTable("search", cells, row_headers=2, text_columns=words)


def _trial(settings: pd.DataFrame) -> dict[str, str]:
    """Return the row of one trial, given with a row for each of its settings."""
    first = settings.iloc[0]
    values = [
        f"{name.removeprefix(SHARED_PREFIX)} {_value(value)}"
        for name, value in zip(settings["setting"], settings["value"], strict=True)
    ]
    chosen = first["chosen"] == "True"
    return {
        "Arm": first["arm"],
        "Fold": first["fold"],
        "Trial": first["trial"],
        "Settings": "; ".join(values),
        "Measure": spoken(first["measure"]),
        "Best value": format_number(float(first["best"]), 4),
        "Epochs": format_count(float(first["epochs"])),
        "Outcome": "chosen" if chosen else {"pruned": "given up"}.get(first["state"], "completed"),
    }


def _value(text: str) -> str:
    """Return a number with four digits, and other text as it is."""
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text
