"""The audit of a study: nothing leaks, and no more was lost than each dataset allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mammoshift.cases.audit import (
    AuditReport,
    CheckSummary,
    audit_predictions,
    audit_split,
    image_table,
)
from mammoshift.contracts.manifest import read_exclusions, read_manifest
from mammoshift.contracts.predictions import read_predictions
from mammoshift.contracts.split import read_split
from mammoshift.errors import ArchiveError
from mammoshift.files import atomic_path
from mammoshift.pixelstore.index import read_index

SUMMARY_COLUMNS = ("check", "outcome", "detail")
DESCRIPTIONS = {
    "image_listed_once": "every image has one place in the split",
    "patient_in_one_subset": "no patient is in two subsets",
    "pixels_in_one_subset": "no two subsets hold the same pixels",
    "predictions_follow_split": "predictions are of held-out images",
    "near_duplicates": "pictures of different patients that look alike",
    "patient_unknown": "images whose patient the archive does not name",
}


@dataclass(frozen=True)
class AuditedDataset:
    """One dataset's tables and the share of its images that may be lost in decoding."""

    name: str
    manifest: Path
    shards: tuple[Path, ...]
    maximum_lost_share: float


def audit_study(split: Path, datasets: Sequence[AuditedDataset]) -> AuditReport:
    """Audit the split of the first dataset against the pixels of all.

    Raises
    ------
    LeakageError
        If a patient or an image is in two subsets; the findings are printed before.
    ArchiveError
        If more images of a dataset could not be decoded than its setting allows.
    """
    tables = []
    for dataset in datasets:
        manifest = read_manifest(dataset.manifest)
        index = pd.concat([read_index(folder) for folder in dataset.shards], ignore_index=True)
        _check_losses(dataset, len(manifest), len(index))
        tables.append(image_table(dataset.name, manifest, index))
    report = audit_split(read_split(split), datasets[0].name, tables)
    if not report.passed:
        print(report.findings_table().to_string())
    report.raise_on_leak()
    return report


def audit_study_predictions(
    split: Path, source: str, predictions: Mapping[str, Sequence[Path]]
) -> AuditReport:
    """Audit the prediction tables of a study, by dataset, against the split of its source.

    Raises
    ------
    LeakageError
        If a model was judged on an image that it was trained on, or under another subset's name.
    """
    tables = (
        (dataset, read_predictions(path))
        for dataset, paths in predictions.items()
        for path in paths
    )
    report = audit_predictions(read_split(split), source, tables)
    report.raise_on_leak()
    return report


def write_audit(report: AuditReport, summary: Path, findings: Path | None = None) -> None:
    """Write what was checked with its outcome, and every pair that was found, as CSV."""
    rows = [(check.check, _outcome(check), _detail(check)) for check in report.checks]
    tables = [(summary, pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS)))]
    if findings is not None:
        tables.append((findings, report.findings_table()))
    for path, table in tables:
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False)


def _outcome(check: CheckSummary) -> str:
    if check.leaks:
        return "fail"
    return "listed" if check.listed else "pass"


def _detail(check: CheckSummary) -> str:
    found = check.leaks + check.listed
    rest = "" if check.complete else ", and more beyond the limit"
    return f"{DESCRIPTIONS[check.check]}: {check.examined} examined, {found} found{rest}"


def _check_losses(dataset: AuditedDataset, expected: int, decoded: int) -> None:
    lost = expected - decoded
    if lost <= dataset.maximum_lost_share * expected:
        return
    reasons: Mapping[str, int] = _reasons(dataset)
    most = "; ".join(f"{count} x {reason}" for reason, count in list(reasons.items())[:5])
    raise ArchiveError(
        f"{dataset.name}: {lost} of {expected} images could not be decoded, more than "
        f"maximum_lost_share ({dataset.maximum_lost_share:g}) allows: {most}. The files are "
        f"listed in {dataset.shards[0].parent}/*/exclusions.csv; repair them or raise the setting"
    )


def _reasons(dataset: AuditedDataset) -> Mapping[str, int]:
    """Return how often each reason was given, the most frequent first."""
    tables = [read_exclusions(folder / "exclusions.csv") for folder in dataset.shards]
    counted = Counter(exclusion.reason for table in tables for exclusion in table)
    return dict(counted.most_common())
