"""The audits of a study from its files; and no more was lost than each dataset allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from mammoshift.cases.audit import Lineages, audit_domain, audit_study
from mammoshift.cases.findings import AuditReport
from mammoshift.cases.prediction_audit import audit_predictions, check_places
from mammoshift.contracts.cases import read_cases
from mammoshift.contracts.lineage import LearnedFrom, Lineage
from mammoshift.contracts.manifest import read_exclusions
from mammoshift.contracts.predictions import read_predictions
from mammoshift.errors import ArchiveError
from mammoshift.pixelstore.index import EXCLUSIONS_FILE, INDEX_FILE, read_index
from mammoshift.pixelstore.receipt import checked_folders, stores_by_dataset


@dataclass(frozen=True)
class StoredDataset:
    """One dataset's list of files and shards, and the share that may be lost in decoding."""

    files: Path
    shards: tuple[Path, ...]
    maximum_lost_share: float


def stored_datasets(
    stores: Iterable[str | Path],
    files: Iterable[str | Path],
    maximum_lost_share: Mapping[str, float],
) -> dict[str, StoredDataset]:
    """Return the datasets of pixel stores and lists of files, which name theirs themselves."""
    folders = {
        name: tuple(checked_folders(path, (INDEX_FILE, EXCLUSIONS_FILE)))
        for name, path in stores_by_dataset(stores).items()
    }
    found = {}
    for path in map(Path, files):
        name = str(pd.read_parquet(path, columns=["dataset"])["dataset"].iloc[0])
        found[name] = StoredDataset(path, folders.get(name, ()), maximum_lost_share[name])
    return found


def lineages_of(steps: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], Lineage]:
    """Return what models learned from, by arm and fold, from the leaves that say it."""
    return {
        (step["arm"], step["fold"]): Lineage(
            steps=tuple(LearnedFrom.model_validate(learned) for learned in step["steps"]),
            third_party=tuple(step["third_party"]),
        )
        for step in steps
    }


def case_files(paths: Iterable[str | Path]) -> dict[str, Path]:
    """Return the tables of cases by the domain that each names."""
    return {
        str(pd.read_parquet(path, columns=["domain"])["domain"].iloc[0]): Path(path)
        for path in paths
    }


def taken_splits(domains: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return, for each domain of an audit's leaves that takes the split of another, that one."""
    return {name: leaf["split_of"] for name, leaf in domains.items() if "split_of" in leaf}


def audit_domain_files(
    name: str, cases: Path, datasets: Mapping[str, StoredDataset], leak: str | None = None
) -> AuditReport:
    """Audit one domain before training; see `mammoshift.cases.audit.audit_domain`.

    Raises
    ------
    LeakageError
        If a patient or an image is in two subsets and the split does not declare it; the
        findings are printed before.
    ArchiveError
        If more images of a dataset could not be decoded than its setting allows.
    """
    report = audit_domain(name, read_cases(cases), _indexes(datasets), leak, _contents(datasets))
    return _raised(report)


def audit_study_files(
    lineages: Lineages,
    cases: Mapping[str, Path],
    datasets: Mapping[str, StoredDataset],
    *,
    same_patients: Sequence[Collection[str]] = (),
    splits: Mapping[str, str] | None = None,
    adapters: Mapping[str, str] | None = None,
    leaks: Mapping[str, str] | None = None,
    judged_on: Mapping[str, Collection[str]] | None = None,
) -> AuditReport:
    """Audit a study before scoring; see `mammoshift.cases.audit.audit_study`.

    Raises
    ------
    LeakageError
        If a model would be judged on what it learned from; the findings are printed before.
    ArchiveError
        If more images of a dataset could not be decoded than its setting allows.
    """
    report = audit_study(
        lineages,
        {name: read_cases(path) for name, path in cases.items()},
        _indexes(datasets),
        same_patients=same_patients,
        splits=splits,
        adapters=adapters,
        leaks=leaks,
        judged_on=judged_on,
        contents=_contents(datasets),
    )
    return _raised(report)


def audit_prediction_files(
    lineages: Lineages,
    cases: Mapping[str, Path],
    predictions: Iterable[Path],
    splits: Mapping[str, str] | None = None,
    chosen_on: Mapping[str, str] | None = None,
    *,
    records: Iterable[Path] = (),
    own_domains: Mapping[str, str] | None = None,
) -> AuditReport:
    """Audit the prediction tables of a study; see `audit_predictions` and `check_places`.

    Raises
    ------
    DamagedFileError
        If a model lies in the place of another run's.
    LeakageError
        If a model was judged on a case that it learned from, or under another subset's name.
    """
    tables = {name: read_cases(path) for name, path in cases.items()}
    check_places(records, tables, own_domains or {})
    read = map(read_predictions, predictions)
    return _raised(audit_predictions(lineages, tables, read, splits, chosen_on))


def _raised(report: AuditReport) -> AuditReport:
    if not report.passed:
        print(report.findings_table().to_string())
    report.raise_on_leak()
    return report


def _indexes(datasets: Mapping[str, StoredDataset]) -> dict[str, pd.DataFrame]:
    indexes = {}
    for name, dataset in datasets.items():
        if not dataset.shards:
            continue
        _check_losses(name, dataset)
        parts = [read_index(folder) for folder in dataset.shards]
        indexes[name] = pd.concat(parts, ignore_index=True)
    return indexes


def _contents(datasets: Mapping[str, StoredDataset]) -> dict[str, pd.Series[str]]:
    """Return the key of each raw file's content by image, by dataset."""
    columns = ["image_id", "content_key"]
    return {
        name: pd.read_parquet(dataset.files, columns=columns).set_index("image_id")["content_key"]
        for name, dataset in datasets.items()
    }


def _check_losses(name: str, dataset: StoredDataset) -> None:
    expected = pq.read_metadata(dataset.files).num_rows
    tables = [read_exclusions(folder / EXCLUSIONS_FILE) for folder in dataset.shards]
    reasons = Counter(exclusion.reason for table in tables for exclusion in table)
    lost = reasons.total()
    if lost <= dataset.maximum_lost_share * expected:
        return
    most = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(5))
    raise ArchiveError(
        f"{name}: {lost} of {expected} images could not be decoded, more than "
        f"maximum_lost_share ({dataset.maximum_lost_share:g}) allows: {most}. The files are "
        f"listed in {dataset.shards[0].parent.parent / EXCLUSIONS_FILE}; repair them or raise the "
        "setting"
    )
