"""Rows of the tidy tables, and the null that stands for a number that is undefined."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd

from mammoshift.evaluation.grid import Cell

Number = float | None


def defined(value: float | None) -> Number:
    """Return a finite number as it is, and None for anything else."""
    return None if value is None or not math.isfinite(value) else float(value)


@dataclass(frozen=True)
class MetricRow:
    """One row of a metric table; see `mammoshift.contracts.results.METRIC_COLUMNS`."""

    study: str
    dataset: str
    subset: str
    arm: str
    seed: str
    metric: str
    value: Number
    se: Number = None
    ci_low: Number = None
    ci_high: Number = None
    variant: str = ""
    method: str = ""
    subgroup: str = "all"
    subgroup_value: str = "all"
    n: int | None = None
    n_pos: int | None = None
    n_neg: int | None = None
    n_clusters: int | None = None
    note: str = ""


@dataclass(frozen=True)
class ComparisonRow:
    """One row of a comparison table; see `mammoshift.contracts.results.COMPARISON_COLUMNS`."""

    study: str
    family: str
    dataset: str
    subset: str
    arm: str
    reference: str
    seed: str
    method: str
    estimate: Number
    se: Number
    ci_low: Number
    ci_high: Number
    statistic: Number
    df: Number
    p: Number
    correction: str = "none"
    p_adjusted: Number = None
    family_size: int | None = None
    p_adjusted_all: Number = None
    detectable_difference: Number = None
    n: int | None = None
    n_pos: int | None = None
    n_neg: int | None = None
    n_clusters: int | None = None
    headline: bool = False
    note: str = ""


def counts(cell: Cell) -> dict[str, Any]:
    """Return the numbers of cases, positives, negatives and patients of a cell."""
    positives = int(cell.labels.sum())
    return {
        "n": len(cell.labels),
        "n_pos": positives,
        "n_neg": len(cell.labels) - positives,
        "n_clusters": int(cell.clusters.max() + 1) if len(cell.clusters) else 0,
    }


def joined_notes(*notes: str) -> str:
    """Join the notes that say something."""
    return "; ".join(note for note in notes if note)


def as_table(rows: Iterable[MetricRow] | Iterable[ComparisonRow], form: type) -> pd.DataFrame:
    """Return rows as a table, with the columns of `form` also when there is no row."""
    columns = [field.name for field in fields(form)]
    return pd.DataFrame([asdict(row) for row in rows], columns=columns)
