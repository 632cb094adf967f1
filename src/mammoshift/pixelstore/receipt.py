"""The receipt of a bundle or of a whole pixel store: its shards, and the hash of each file.

The small receipt stands for the large files wherever the workflow compares contents; what reads
the files checks them against it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mammoshift.errors import TableError
from mammoshift.files import write_text_atomically
from mammoshift.pixelstore.index import ARRAY_FILE, EXCLUSIONS_FILE, INDEX_FILE
from mammoshift.provenance.sums import check_sha256

SHARD_FILES = (ARRAY_FILE, INDEX_FILE, EXCLUSIONS_FILE)


@dataclass(frozen=True)
class ShardRecord:
    """One finished shard: its folder below that of the store, its key, and its files' SHA-256."""

    folder: str
    key: str
    images: int
    sha256: Mapping[str, str]


@dataclass(frozen=True)
class Receipt:
    """What a bundle, or a whole store, consists of."""

    dataset: str
    shards: tuple[ShardRecord, ...]

    @property
    def images(self) -> int:
        """Number of stored images or patches."""
        return sum(shard.images for shard in self.shards)


def write_receipt(receipt: Receipt, path: Path) -> None:
    """Write a receipt as JSON; equal receipts give equal bytes."""
    content = {"dataset": receipt.dataset, "shards": [asdict(s) for s in receipt.shards]}
    write_text_atomically(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_receipt(path: Path) -> Receipt:
    """Read a receipt.

    Raises
    ------
    TableError
        If it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        shards = tuple(ShardRecord(**shard) for shard in content["shards"])
        return Receipt(content["dataset"], shards)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(
            f"{path}: not a receipt of a pixel store; delete it and run again"
        ) from error


def stores_by_dataset(receipts: Iterable[str | Path]) -> dict[str, Path]:
    """Return the receipts of whole stores by the dataset that each names.

    Raises
    ------
    TableError
        If two are of one dataset.
    """
    found: dict[str, Path] = {}
    for path in map(Path, receipts):
        dataset = read_receipt(path).dataset
        if dataset in found:
            raise TableError(f"{path}: another store of {dataset} beside {found[dataset]}")
        found[dataset] = path
    return found


def mending_of_shard(store_file: Path, folder: Path) -> str:
    """Return how a shard is mended: with it go the receipts that would say that it is there."""
    return f"run `rm -r {folder} {store_file.parent / 'bundles'} {store_file}` and again"


def checked_folders(store_file: Path, files: Iterable[str] = SHARD_FILES) -> list[Path]:
    """Return the folders of a store's shards after a check of the named files' content.

    Raises
    ------
    DamagedFileError
        If a file is not what the receipt states; the message names it and what mends it.
    """
    receipt = read_receipt(store_file)
    folders = []
    for shard in receipt.shards:
        folder = store_file.parent / shard.folder
        for name in files:
            check_sha256(folder / name, shard.sha256[name], mending_of_shard(store_file, folder))
        folders.append(folder)
    return folders
