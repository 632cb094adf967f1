"""The audit after scoring: predictions are of the cases, and under the subsets, that they state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.cases.audit import Lineages, learned_rows
from mammoshift.cases.findings import MAXIMUM_LISTED, AuditReport, CheckSummary, Finding
from mammoshift.cases.pool import Codes, Pool, make_pool
from mammoshift.contracts.cases import (
    ALL_SUBSETS,
    JUDGED_SUBSETS,
    TRAIN,
    UNUSED,
    cases_digest,
    learned_cases,
)
from mammoshift.contracts.fitted import read_fields
from mammoshift.contracts.lineage import Lineage
from mammoshift.contracts.run import Run
from mammoshift.errors import DamagedFileError, TableError

_JUDGED = [ALL_SUBSETS.index(name) for name in JUDGED_SUBSETS]
_NEVER_PREDICTED = [ALL_SUBSETS.index(name) for name in (TRAIN, UNUSED)]
_NOWHERE = len(ALL_SUBSETS)


def audit_predictions(
    lineages: Lineages,
    cases: Mapping[str, pd.DataFrame],
    predictions: Iterable[pd.DataFrame],
    splits: Mapping[str, str] | None = None,
    chosen_on: Mapping[str, str] | None = None,
) -> AuditReport:
    """Check that every prediction is of a case of the subset that it states, none of a seen one.

    Parameters
    ----------
    lineages
        What each arm's models learned from, by arm and fold.
    cases
        Tables of cases of all domains, by name.
    predictions
        Columns of `mammoshift.contracts.predictions.PREDICTION_SCHEMA`; they are looked at one
        at a time. A `case_id` is that of a case, or of a unit.
    splits
        For each domain that takes the split of another, that one.
    chosen_on
        Of each arm that learned nothing in its own domain, as one does that applies a classifier
        of a file, that domain: its thresholds are chosen there, on the fold's validation cases.

    Returns
    -------
    AuditReport
        A prediction is a leak unless its case is, in the run's own split, in the stated subset
        and not in train; and, for a judged subset, in no subset that the model or an ancestor
        learned from. On a domain that the model did not learn from, and that has not the split
        of one that it did or of the one in `chosen_on`, only cases that are judged for any model
        are predicted.

    Raises
    ------
    TableError
        If a run has no lineage, or a predicted case is in no table of cases.
    """
    pool = make_pool(cases, {}, splits=splits)
    findings: list[Finding] = []
    examined = leaks = 0
    for table in predictions:
        for keys, part in table.groupby(["arm", "fold", "domain"], sort=False):
            arm, fold, domain = (str(key) for key in keys)  # type: ignore[union-attr]
            lineage = lineages.get((arm, int(fold)))
            if lineage is None:
                raise TableError(f"predictions of {arm}, fold {fold}: the model has no lineage")
            rows = _rows_of(cases, domain, part)
            stated = part["subset"].map(ALL_SUBSETS.index).to_numpy(dtype=np.int64)
            own = [(step.domain, step.fold) for step in lineage.steps]
            own += [(name, int(fold)) for name in [(chosen_on or {}).get(arm)] if name is not None]
            actual = _actual(pool, own, domain)[rows]
            wrong = (stated != actual) | np.isin(actual, _NEVER_PREDICTED)
            wrong |= np.isin(stated, _JUDGED) & _seen(pool, lineage, domain)[rows]
            examined += len(part)
            leaks += int(wrong.sum())
            case_ids = part["case_id"].tolist()
            for at in np.flatnonzero(wrong)[: MAXIMUM_LISTED - len(findings)].tolist():
                here = (domain, case_ids[at])
                placed = (*ALL_SUBSETS, "not judged")[actual[at]]
                findings.append(
                    Finding(
                        "predictions_follow_split",
                        "leak",
                        *here,
                        ALL_SUBSETS[stated[at]],
                        *here,
                        placed,
                        runs=f"{arm} fold {fold}",
                    )
                )
    complete = leaks == len(findings)
    summary = CheckSummary("predictions_follow_split", examined, leaks, complete=complete)
    return AuditReport.of([(summary, findings)])


def check_places(
    records: Iterable[Path], cases: Mapping[str, pd.DataFrame], own_domains: Mapping[str, str]
) -> None:
    """Check that each model is that of the run in whose folder it lies.

    Parameters
    ----------
    records
        `model.json` of every run.
    cases
        Tables of cases of all domains, by name.
    own_domains
        Arm -> the domain whose fold its runs learn from.

    Raises
    ------
    DamagedFileError
        If a record states another seed or fold, or other cases to learn from, than its place.
    """
    digests: dict[tuple[str, int], str] = {}
    for path in records:
        run = Run.of_path(path.parent)
        domain = own_domains[run.arm]
        place = (domain, run.fold)
        if place not in digests:
            digests[place] = cases_digest(learned_cases(cases[domain], run.fold))
        record = read_fields(path)
        found = tuple(record.get(name) for name in ("seed", "fold", "cases_sha256"))
        if found != (run.seed, run.fold, digests[place]):
            what = f"seed {found[0]}, fold {found[1]}"
            if found[:2] == (run.seed, run.fold):
                what = "other cases"
            raise DamagedFileError(
                f"{path}: is the record of a model of {what}, and lies in the place of {run}, with "
                f"{domain}; delete the folder {path.parent} and run again"
            )


def _rows_of(cases: Mapping[str, pd.DataFrame], domain: str, predictions: pd.DataFrame) -> Codes:
    """Return the row of each predicted case, or of the first case of a predicted unit."""
    if domain not in cases:
        raise TableError(f"predictions of the domain {domain}: it has no table of cases")
    table = cases[domain]
    names = pd.Index(predictions["case_id"])
    rows = pd.Index(table["case_id"]).get_indexer(names)
    if (rows < 0).any():
        units = table["unit_id"].drop_duplicates()
        at = pd.Index(units).get_indexer(names)
        rows = np.where(rows < 0, np.append(table.index.get_indexer(units.index), -1)[at], rows)
    if (rows < 0).any():
        raise TableError(
            f"predictions of the domain {domain}: {names[int(np.argmin(rows))]} is none of its "
            "cases; make the cases and the predictions anew"
        )
    return rows


def _seen(pool: Pool, lineage: Lineage, domain: str) -> NDArray[np.bool_]:
    """Return which cases of a domain are, in whatever domain, among those learned from."""
    seen = np.zeros(int(pool.item.max(initial=-1)) + 1, bool)
    seen[pool.item[learned_rows(pool, lineage)]] = True
    return seen[pool.item[pool.rows[domain]]]


def _actual(pool: Pool, own: Sequence[tuple[str, int]], domain: str) -> Codes:
    """Return the subset of each case of a domain for a model, by its place in `ALL_SUBSETS`.

    `own` are the domains whose split counts for the model, each with the fold.
    """
    subsets = pool.subsets[domain].astype(np.int64)
    folds = [fold for name, fold in own if pool.share_split(name, domain)]
    if folds:
        return subsets[:, folds[-1]]
    judged = np.isin(subsets, _JUDGED)
    first = subsets[np.arange(len(subsets)), judged.argmax(axis=1)]
    return np.where(judged.any(axis=1), first, _NOWHERE)
