"""What was found in an archive, counted, beside what was published of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from mammoshift.archives.adapter import IngestResult

COUNTED = (
    "laterality",
    "view",
    "pathology",
    "birads",
    "density",
    "official_split",
    "site",
    "detector",
)
"""Columns of the manifest by which images are counted."""

UNKNOWN = "unknown"
BURNED_IN, INTENT = "burned-in text", "presentation intent"
"""Counted beside the columns: what the files declare, never the text itself."""

_WORDS: dict[object, str] = {
    True: "yes",
    False: "no",
    "for_processing": "for processing",
    "for_presentation": "for presentation",
}


@dataclass(frozen=True)
class Counts:
    """Numbers of images, in all and by the values of some columns; None where nobody says.

    `patients` are those with a known id. `annotations` counts regions. What a column does not
    say of an image is `unknown`.
    """

    images: int
    patients: int | None = None
    annotations: int | None = None
    by: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def counts_of(result: IngestResult) -> Counts:
    """Count the images, patients and regions of an ingested archive."""
    manifest = result.manifest
    by: dict[str, dict[str, int]] = {}
    for column in COUNTED:
        if manifest[column].notna().any():
            found = manifest[column].fillna(UNKNOWN).astype(str).value_counts().sort_index()
            by[column] = {str(value): int(number) for value, number in found.items()}
    for name, declared in ((BURNED_IN, result.burned_in), (INTENT, result.intents)):
        by.update(_declared(name, declared))
    return Counts(
        images=len(manifest),
        patients=int(manifest["patient_id"].nunique()),
        annotations=len(result.annotations),
        by=by,
    )


def _declared(name: str, declared: Mapping[Any, int]) -> dict[str, dict[str, int]]:
    """Return how many files declare what of one thing; nothing where none says."""
    if not any(value is not None for value in declared):
        return {}
    return {name: {_WORDS.get(value, UNKNOWN): number for value, number in declared.items()}}


def warnings(result: IngestResult) -> list[str]:
    """Return one sentence for each thing in an archive that should not be passed on unseen."""
    images, found = len(result.manifest), []
    if result.burned_in.get(True):
        found.append(
            f"{result.burned_in[True]} of {images} images declare text in their pixels that may "
            "identify a person (DICOM tag 0028,0301); arrays show what lies inside their crops, "
            "so set `mask` to breast or remove the text before anything leaves this machine"
        )
    if result.intents.get("for_processing"):
        found.append(
            f"{result.intents['for_processing']} of {images} images are a detector's raw data "
            "(FOR PROCESSING, DICOM tag 0008,0068), which look unlike what a reader is shown and "
            "what published models learned from; use the files FOR PRESENTATION where there are "
            "both, and never the two kinds together"
        )
    return found


def data_hash(manifest: pd.DataFrame) -> str:
    """Return 12 digits for which images were found, by content, with which labels.

    The order of rows, names of datasets and paths do not matter.
    """
    columns = ("image_id", "content_key", "patient_id", "laterality", "view", "pathology")
    rows = sorted(
        tuple("" if value is None or value != value else str(value) for value in row)
        for row in manifest[list(columns)].itertuples(index=False, name=None)
    )
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:12]


def differences(found: Counts, published: Counts) -> list[str]:
    """Return one sentence for each published number that was not found."""
    pairs = [("images", found.images, published.images)]
    for what in ("patients", "annotations"):
        number = getattr(published, what)
        if number is not None:
            pairs.append((what, getattr(found, what), number))
    for column, values in published.by.items():
        seen = found.by.get(column, {})
        pairs.extend(
            (f"images with {column} {value}", seen.get(value, 0), number)
            for value, number in values.items()
        )
    return [
        f"{number} {what} were published and {seen} were found"
        for what, seen, number in pairs
        if seen != number
    ]
