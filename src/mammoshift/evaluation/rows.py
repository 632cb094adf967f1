"""Rows of the tidy tables, and the null that stands for a number that is undefined."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd

from mammoshift.configuration.judged import JudgedStudy
from mammoshift.evaluation.grid import Cell
from mammoshift.statistics.proportions import Estimate

Number = float | None
INDEPENDENCE = "patients unknown for some cases: independence assumed"
CHECKPOINTS = "seeds held fixed: a statement about these checkpoints"
LEAKS = {
    None: "",
    "by_row": "declared leak: split by rows",
    "by_patch": "declared leak: split by patches",
}
"""What is said of a number of a domain whose split puts one patient into several subsets."""


def other_labels(study: JudgedStudy, own: str, domain: str) -> str:
    """Return what is said of a number of two domains with other tasks, empty where they agree."""
    one, two = (study.domain(name).task for name in (own, domain))
    return "" if one == two else f"other labels: {one} on {own}, {two} on {domain}"


def defined(value: float | None) -> Number:
    """Return a finite number as it is, and None for anything else."""
    return None if value is None or not math.isfinite(value) else float(value)


@dataclass(frozen=True)
class MetricRow:
    """One row of a metric table; see `mammoshift.contracts.results.METRIC_COLUMNS`."""

    study: str
    domain: str
    subset: str
    arm: str
    seed: str
    metric: str
    value: Number
    se: Number = None
    ci_low: Number = None
    ci_high: Number = None
    criterion: str = ""
    threshold_from: str = ""
    recalibration: str = ""
    fitted_on: str = ""
    fold: str = ""
    labelled_patients: int | None = None
    reference: str = ""
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
    domain: str
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
    from_domain: str = ""
    reference_domain: str = ""
    pairs: int | None = None
    subgroup: str = "all"
    subgroup_value: str = "all"
    metric: str = "auc"
    criterion: str = ""
    threshold_from: str = ""
    simultaneous_low: Number = None
    simultaneous_high: Number = None
    correction: str = "none"
    p_adjusted: Number = None
    family_size: int | None = None
    p_adjusted_all: Number = None
    detectable_difference: Number = None
    margin: Number = None
    p_noninferior: Number = None
    p_inferior: Number = None
    p_noninferior_adjusted: Number = None
    p_inferior_adjusted: Number = None
    verdict_low: Number = None
    verdict_high: Number = None
    verdict: str = ""
    n: int | None = None
    n_pos: int | None = None
    n_neg: int | None = None
    n_clusters: int | None = None
    headline: bool = False
    note: str = ""

    @property
    def kind(self) -> tuple[str, ...]:
        """What tests of one family share that are adjusted together."""
        return (
            self.method,
            "drop" if self.from_domain else "difference",
            "to a reference" if self.reference else "",
            "on two domains" if self.reference_domain else "",
            "mean of pairs" if self.pairs else "",
            self.subgroup,
            self.metric,
            self.criterion,
            self.threshold_from,
        )


def counts(cell: Cell) -> dict[str, Any]:
    """Return the numbers of cases, positives, negatives and patients of a cell."""
    positives = int(cell.labels.sum())
    return {
        "n": len(cell.labels),
        "n_pos": positives,
        "n_neg": len(cell.labels) - positives,
        "n_clusters": int(cell.clusters.max() + 1) if len(cell.clusters) else 0,
    }


def metric_row(
    study: str,
    cell: Cell,
    arm: str,
    seed: str,
    metric: str,
    estimate: Estimate,
    *notes: str,
    **others: Any,
) -> MetricRow:
    """Return the row of one estimate on a cell; its own note comes before the other `notes`.

    An interval of cases whose patients are unknown says so, and every number of a domain with a
    declared leak. `others` are further columns, such as `se` and `criterion`.
    """
    if cell.patients_unknown and estimate.ci_low is not None:
        notes = (*notes, INDEPENDENCE)
    return MetricRow(
        study=study,
        domain=cell.domain,
        subset=cell.subset,
        arm=arm,
        seed=seed,
        metric=metric,
        value=defined(estimate.value),
        ci_low=defined(estimate.ci_low),
        ci_high=defined(estimate.ci_high),
        method=estimate.method,
        note=joined_notes(estimate.note, *notes, LEAKS[cell.leak]),
        **counts(cell),
        **others,
    )


def joined_notes(*notes: str) -> str:
    """Join the notes that say something, each once."""
    parts = (part for note in notes for part in note.split("; ") if part)
    return "; ".join(dict.fromkeys(parts))


def as_table(rows: Iterable[MetricRow] | Iterable[ComparisonRow], form: type) -> pd.DataFrame:
    """Return rows as a table, with the columns of `form` also when there is no row."""
    columns = [field.name for field in fields(form)]
    return pd.DataFrame([asdict(row) for row in rows], columns=columns)
