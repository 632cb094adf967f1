"""Writing what an adapter found: the manifest, what was left out, and each shard's file list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mammoshift.archives.adapter import IngestResult
from mammoshift.contracts.manifest import write_exclusions, write_manifest
from mammoshift.errors import ArchiveError
from mammoshift.files import atomic_path
from mammoshift.pixelstore.assignment import shard_of

SHARD_COLUMNS = ("image_id", "dataset", "path", "pixel_spacing_mm", "content_key")
"""What preprocessing reads of an image; a changed label must not decode it again."""


def write_ingested(
    result: IngestResult, manifest: Path, excluded: Path, shards: Sequence[Path]
) -> None:
    """Write the manifest, the exclusions and one list of files for each shard.

    An image belongs to the shard of its patient, or of itself where the patient is unknown.
    """
    table = result.manifest
    owners = table["patient_id"].where(table["patient_id"].notna(), table["image_id"])
    number = owners.map(lambda owner: shard_of(str(owner), len(shards))).astype(int)
    for position, path in enumerate(shards):
        _write_list(table.loc[number == position, list(SHARD_COLUMNS)], path)
    write_exclusions(result.exclusions, excluded)
    write_manifest(table, manifest)


def check_receipt(receipt: Path, root: Path) -> None:
    """Check that the twin below `root` is still what its receipt lists.

    Raises
    ------
    ArchiveError
        If a file is missing or has another size.
    """
    for entry in json.loads(receipt.read_text(encoding="utf-8"))["files"]:
        path = root / entry["path"]
        if not path.is_file() or path.stat().st_size != entry["size"]:
            raise ArchiveError(
                f"{path}: missing or changed since the twin was made; delete {receipt} to make "
                "the twin again"
            )


def _write_list(images: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        images.sort_values("image_id").to_parquet(temporary, index=False)
