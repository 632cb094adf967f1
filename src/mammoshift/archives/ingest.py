"""Writing what an adapter found: manifest, annotations, what was left out, and files to decode."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mammoshift.archives.adapter import IngestResult
from mammoshift.archives.listing import iterate_files
from mammoshift.archives.memory import ContentMemory
from mammoshift.contracts.annotations import write_annotations
from mammoshift.contracts.manifest import write_exclusions, write_manifest
from mammoshift.errors import ArchiveError
from mammoshift.files import atomic_path, sha256_of_file

FILES_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("pixel_spacing_mm", pa.float32()),
        pa.field("laterality", pa.string()),
        pa.field("view", pa.string()),
        pa.field("mirrored", pa.bool_(), nullable=False),
        pa.field("subtracted", pa.bool_(), nullable=False),
        pa.field("content_key", pa.string(), nullable=False),
        pa.field("owner", pa.string(), nullable=False),
    ]
)
"""What preprocessing reads of an image; a changed label must not decode it again.

`mirrored` is an image that its archive stores the other way round, with the chest wall of a left
breast at the right edge; `subtracted` one in which contrast medium alone should show; `owner` is
the patient, or the image itself where the patient is unknown: images of one owner belong to one
shard.
"""


def write_ingested(
    result: IngestResult, manifest: Path, annotations: Path, excluded: Path, files: Path
) -> None:
    """Write the manifest, the annotations, the exclusions and the table of files to decode."""
    write_annotations(result.annotations, annotations)
    write_exclusions(result.exclusions, excluded)
    with atomic_path(files) as temporary:
        pq.write_table(_files_of(result), temporary)
    write_manifest(result.manifest, manifest)


def remember_archive(memory: ContentMemory, root: Path, links_may_leave: bool) -> None:
    """Let `memory` learn every file below `root` that ingestion did not read.

    A mask, or the other one of two copies, is part of the archive's state as well.
    """
    memory.learn(root, iterate_files(root, links_may_leave))


def check_receipt(receipt: Path, root: Path) -> None:
    """Check that the twin below `root` is still what its receipt lists.

    A file that was not written to since its receipt was is compared by its size alone.

    Raises
    ------
    ArchiveError
        If a file is missing or has another content.
    """
    written = receipt.stat().st_mtime_ns
    for entry in json.loads(receipt.read_text(encoding="utf-8"))["files"]:
        path = root / entry["path"]
        if not _is_what_was_drawn(path, entry, written):
            raise ArchiveError(
                f"{path}: missing or changed since the twin was made; delete {receipt} to make "
                "the twin again"
            )


def _is_what_was_drawn(path: Path, entry: Mapping[str, Any], written_ns: int) -> bool:
    if not path.is_file():
        return False
    status = path.stat()
    if status.st_size != entry["size"]:
        return False
    return status.st_mtime_ns <= written_ns or sha256_of_file(path) == entry["sha256"]


def _files_of(result: IngestResult) -> pa.Table:
    files = result.with_kinds()
    owners = files["patient_id"].where(files["patient_id"].notna(), files["image_id"])
    ordered = files.assign(owner=owners).sort_values("image_id")
    return pa.Table.from_pandas(
        ordered[FILES_SCHEMA.names], schema=FILES_SCHEMA, preserve_index=False
    )
