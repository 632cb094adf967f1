"""The audit of a split: proof that no patient and no image is in two subsets.

A patient or an image (equal pixels) in two subsets is a leak and fails the run. Pictures that
merely look alike, and images whose patient nobody knows, are listed for a person to look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mammoshift.cases.near_duplicates import find_near_duplicates, fine_hash_words
from mammoshift.errors import LeakageError, TableError

TARGET_SUBSET = "target"
UNUSED_SUBSET = "unused"
"""Subset of the source's images that have no label and therefore no place in the split."""

FINDING_COLUMNS = (
    "check",
    "leak",
    "dataset",
    "image_id",
    "subset",
    "other_dataset",
    "other_image_id",
    "other_subset",
    "distance",
)
_SHOWN_IN_ERROR = 5
_HASHES = ("pixel_hash", "perceptual_hash", "fine_hash")

Check = Literal[
    "image_listed_once",
    "patient_in_one_subset",
    "predictions_follow_split",
    "pixels_in_one_subset",
    "near_duplicates",
    "patient_unknown",
]


@dataclass(frozen=True)
class Finding:
    """One pair of images (or one image) that a check found.

    `distance` is the number of differing bits of the fine difference hashes, 0 for equal pixels
    and for findings that do not compare pictures. The fields of the other image are empty where
    there is none.
    """

    check: Check
    leak: bool
    dataset: str
    image_id: str
    subset: str
    other_dataset: str = ""
    other_image_id: str = ""
    other_subset: str = ""
    distance: int = 0

    def __str__(self) -> str:
        here = f"{self.dataset}/{self.image_id} ({self.subset})"
        if not self.other_image_id:
            return f"{self.check}: {here}"
        return (
            f"{self.check}: {here} and "
            f"{self.other_dataset}/{self.other_image_id} ({self.other_subset})"
        )


@dataclass(frozen=True)
class CheckSummary:
    """What one check looked at and how much it found; `complete` is false at the pair limit."""

    check: Check
    examined: int
    leaks: int
    listed: int
    complete: bool = True


@dataclass(frozen=True)
class AuditReport:
    """The result of an audit: every check with its counts, and the findings, leaks first."""

    checks: tuple[CheckSummary, ...]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no check found a leak."""
        return not any(check.leaks for check in self.checks)

    def raise_on_leak(self) -> None:
        """Raise `LeakageError` that names the first leaks when there is one."""
        leaks = [finding for finding in self.findings if finding.leak]
        if leaks:
            shown = "; ".join(str(finding) for finding in leaks[:_SHOWN_IN_ERROR])
            raise LeakageError(
                f"{len(leaks)} leaks between subsets, such as {shown}. Correct the manifest "
                "(patient_id) or leave one of each two images out"
            )

    def findings_table(self) -> pd.DataFrame:
        """Return the findings with the columns of `FINDING_COLUMNS`."""
        return pd.DataFrame(
            [[getattr(finding, name) for name in FINDING_COLUMNS] for finding in self.findings],
            columns=list(FINDING_COLUMNS),
        )


def image_table(dataset: str, manifest: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
    """Join a dataset's manifest and pixel-store index to what the audit needs of its images.

    Returns columns `dataset, image_id, patient_id, pixel_hash, perceptual_hash, fine_hash` for
    the images that are in both.
    """
    hashes = index[["image_id", *_HASHES]]
    table = manifest[["image_id", "patient_id"]].merge(hashes, on="image_id", validate="1:1")
    return table.assign(dataset=dataset)


def audit_split(
    split: pd.DataFrame,
    source: str,
    images: Iterable[pd.DataFrame],
    *,
    maximum_pairs: int = 100_000,
) -> AuditReport:
    """Check a split of the dataset `source` against itself and the pixels.

    Parameters
    ----------
    split
        Columns of `mammoshift.contracts.split.SPLIT_SCHEMA`.
    source
        Name of the dataset that was split.
    images
        `image_table` of the source and of every target. All images of a target are its subset
        `target`; images of the source that are not in the split are `unused`.
    maximum_pairs
        Near-duplicates beyond this number are not listed, and the summary says so. Those of
        one patient are not listed either.

    Returns
    -------
    AuditReport
        Call `raise_on_leak` on it to fail.

    Raises
    ------
    TableError
        If the image tables hold an image twice.
    """
    table = _placed_images(split, source, images)
    parts = [
        _images_listed_once(split, source),
        _patients_in_one_subset(split, source, table),
        _pixels_in_one_subset(table),
        _near_duplicates(table, maximum_pairs),
        _patients_unknown(split, source),
    ]
    return _report(parts)


def audit_predictions(
    split: pd.DataFrame, source: str, predictions: Iterable[tuple[str, pd.DataFrame]]
) -> AuditReport:
    """Check that models which were fitted on a split are judged on images they never saw.

    Parameters
    ----------
    split, source
        As for `audit_split`.
    predictions
        Dataset and prediction table of each model; they are looked at one at a time.

    Returns
    -------
    AuditReport
        Call `raise_on_leak` on it to fail. A prediction of the source is a leak unless it is of
        an image that the split has in the subset that the prediction states, and that is not
        `train`.
    """
    return _report([_predictions_follow_split(split, source, predictions)])


def _report(parts: Sequence[tuple[CheckSummary, list[Finding]]]) -> AuditReport:
    findings = [finding for _, found in parts for finding in found]
    findings.sort(key=lambda finding: not finding.leak)
    return AuditReport(tuple(summary for summary, _ in parts), tuple(findings))


def _placed_images(
    split: pd.DataFrame, source: str, images: Iterable[pd.DataFrame]
) -> pd.DataFrame:
    columns = ["dataset", "image_id", "patient_id", *_HASHES]
    tables = [table[columns] for table in images]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    repeated = table[table.duplicated(["dataset", "image_id"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise TableError(f"image {first['image_id']} of {first['dataset']} is given twice")
    subset_of = split.drop_duplicates("image_id").set_index("image_id")["subset"]
    of_source = table["dataset"] == source
    placed = table["image_id"].map(subset_of).fillna(UNUSED_SUBSET)
    return table.assign(subset=placed.where(of_source, TARGET_SUBSET).astype("str"))


def _summary(
    check: Check, examined: int, findings: list[Finding], complete: bool = True
) -> tuple[CheckSummary, list[Finding]]:
    leaks = sum(finding.leak for finding in findings)
    return CheckSummary(check, examined, leaks, len(findings) - leaks, complete), findings


def _images_listed_once(split: pd.DataFrame, source: str) -> tuple[CheckSummary, list[Finding]]:
    findings = []
    for image, rows in split[split["image_id"].duplicated(keep=False)].groupby("image_id"):
        subsets = rows["subset"].tolist()
        findings.append(
            Finding(
                "image_listed_once",
                True,
                source,
                str(image),
                subsets[0],
                source,
                str(image),
                subsets[1],
            )
        )
    return _summary("image_listed_once", len(split), findings)


def _patients_in_one_subset(
    split: pd.DataFrame, source: str, table: pd.DataFrame
) -> tuple[CheckSummary, list[Finding]]:
    """Compare subsets by the patient of the split and, where it is known, of the manifest."""
    of_split = split[["image_id", "subset", "patient_id"]].dropna(subset=["patient_id"])
    used = table[(table["dataset"] == source) & (table["subset"] != UNUSED_SUBSET)]
    of_manifest = used[["image_id", "subset", "patient_id"]].dropna(subset=["patient_id"])
    claims = pd.concat([of_split, of_manifest]).drop_duplicates()
    findings = []
    differing = claims.groupby("patient_id")["subset"].nunique()
    for patient in differing.index[differing > 1]:
        rows = claims[claims["patient_id"] == patient].drop_duplicates("subset")
        first = rows.iloc[0]
        findings.extend(
            Finding(
                "patient_in_one_subset",
                True,
                source,
                first["image_id"],
                first["subset"],
                source,
                other["image_id"],
                other["subset"],
            )
            for _, other in rows.iloc[1:].iterrows()
        )
    return _summary("patient_in_one_subset", len(differing), findings)


def _pixels_in_one_subset(table: pd.DataFrame) -> tuple[CheckSummary, list[Finding]]:
    """Equal pixels in two subsets are a leak; twice within one subset is listed."""
    findings = []
    repeated = table[table["pixel_hash"].duplicated(keep=False)]
    for _, rows in repeated.groupby("pixel_hash", sort=False):
        # Unused images come last, so that a pair of two subsets is never hidden behind one.
        ordered = rows.sort_values("subset", key=lambda s: s == UNUSED_SUBSET, kind="stable")
        first = ordered.iloc[0]
        for _, other in ordered.iloc[1:].iterrows():
            leak = other["subset"] not in {first["subset"], UNUSED_SUBSET}
            findings.append(_pair("pixels_in_one_subset", leak, first, other))
    return _summary("pixels_in_one_subset", len(table), findings)


def _predictions_follow_split(
    split: pd.DataFrame, source: str, predictions: Iterable[tuple[str, pd.DataFrame]]
) -> tuple[CheckSummary, list[Finding]]:
    """Every prediction on the source is on an image of its subset, none on a training image."""
    subset_of = split.drop_duplicates("image_id").set_index("image_id")["subset"]
    findings = []
    examined = 0
    for dataset, table in predictions:
        examined += len(table)
        if dataset == source:
            actual = table["image_id"].map(subset_of).fillna(UNUSED_SUBSET)
            wrong = (actual != table["subset"]) | (actual == "train")
        else:
            actual = pd.Series(TARGET_SUBSET, index=table.index)
            wrong = table["subset"] != TARGET_SUBSET
        findings.extend(
            Finding(
                "predictions_follow_split", True, dataset, image, stated, dataset, image, really
            )
            for image, stated, really in zip(
                table.loc[wrong, "image_id"],
                table.loc[wrong, "subset"],
                actual[wrong],
                strict=True,
            )
        )
    return _summary("predictions_follow_split", examined, findings)


def _near_duplicates(table: pd.DataFrame, maximum_pairs: int) -> tuple[CheckSummary, list[Finding]]:
    coarse = table["perceptual_hash"].to_numpy(dtype=np.uint64)
    fine = fine_hash_words(table["fine_hash"].tolist())
    pairs = find_near_duplicates(coarse, fine, maximum_pairs=maximum_pairs)
    patients = (table["dataset"] + "/" + table["patient_id"].astype("string")).fillna("").tolist()
    pixels = table["pixel_hash"].to_numpy()
    findings = []
    for one, two, distance in zip(pairs.first, pairs.second, pairs.distance, strict=True):
        same_patient = patients[one] != "" and patients[one] == patients[two]
        if same_patient or pixels[one] == pixels[two]:
            continue
        findings.append(
            _pair("near_duplicates", False, table.iloc[one], table.iloc[two], int(distance))
        )
    return _summary("near_duplicates", len(table), findings, pairs.complete)


def _patients_unknown(split: pd.DataFrame, source: str) -> tuple[CheckSummary, list[Finding]]:
    unknown = split[split["patient_id"].isna()]
    findings = [
        Finding("patient_unknown", False, source, image, subset)
        for image, subset in zip(unknown["image_id"], unknown["subset"], strict=True)
    ]
    return _summary("patient_unknown", len(split), findings)


def _pair(
    check: Check, leak: bool, one: pd.Series[str], two: pd.Series[str], distance: int = 0
) -> Finding:
    return Finding(
        check,
        leak,
        one["dataset"],
        one["image_id"],
        one["subset"],
        two["dataset"],
        two["image_id"],
        two["subset"],
        distance,
    )
