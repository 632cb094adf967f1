"""The audits of a study from its files; and no more was lost than each dataset allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mammoshift.cases.audit import Lineages, audit_domain, audit_study
from mammoshift.cases.findings import AuditReport
from mammoshift.cases.prediction_audit import audit_predictions
from mammoshift.contracts.cases import read_cases
from mammoshift.contracts.manifest import read_exclusions, read_manifest
from mammoshift.contracts.predictions import read_predictions
from mammoshift.errors import ArchiveError
from mammoshift.pixelstore.index import EXCLUSIONS_FILE, read_index


@dataclass(frozen=True)
class StoredDataset:
    """One dataset's tables and the share of its images that may be lost in decoding."""

    manifest: Path
    shards: tuple[Path, ...]
    maximum_lost_share: float


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
    return _raised(audit_domain(name, read_cases(cases), _indexes(datasets), leak))


def audit_study_files(
    lineages: Lineages,
    cases: Mapping[str, Path],
    datasets: Mapping[str, StoredDataset],
    *,
    same_patients: Sequence[Collection[str]] = (),
    adapters: Mapping[str, str] | None = None,
    leaks: Mapping[str, str] | None = None,
    judged_on: Collection[str] | None = None,
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
        adapters=adapters,
        leaks=leaks,
        judged_on=judged_on,
    )
    return _raised(report)


def audit_prediction_files(
    lineages: Lineages, cases: Mapping[str, Path], predictions: Iterable[Path]
) -> AuditReport:
    """Audit the prediction tables of a study; see `audit_predictions`.

    Raises
    ------
    LeakageError
        If a model was judged on a case that it learned from, or under another subset's name.
    """
    tables = {name: read_cases(path) for name, path in cases.items()}
    return _raised(audit_predictions(lineages, tables, map(read_predictions, predictions)))


def _raised(report: AuditReport) -> AuditReport:
    if not report.passed:
        print(report.findings_table().to_string())
    report.raise_on_leak()
    return report


def _indexes(datasets: Mapping[str, StoredDataset]) -> dict[str, pd.DataFrame]:
    indexes = {}
    for name, dataset in datasets.items():
        index = pd.concat([read_index(folder) for folder in dataset.shards], ignore_index=True)
        _check_losses(name, dataset, len(read_manifest(dataset.manifest)), len(index))
        indexes[name] = index
    return indexes


def _check_losses(name: str, dataset: StoredDataset, expected: int, decoded: int) -> None:
    lost = expected - decoded
    if lost <= dataset.maximum_lost_share * expected:
        return
    tables = [read_exclusions(folder / EXCLUSIONS_FILE) for folder in dataset.shards]
    reasons = Counter(exclusion.reason for table in tables for exclusion in table)
    most = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(5))
    raise ArchiveError(
        f"{name}: {lost} of {expected} images could not be decoded, more than "
        f"maximum_lost_share ({dataset.maximum_lost_share:g}) allows: {most}. The files are "
        f"listed in {dataset.shards[0].parent}/*/{EXCLUSIONS_FILE}; repair them or raise the "
        "setting"
    )
