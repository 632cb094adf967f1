"""A bundle: the share of a dataset's images that one job preprocesses, in shards, and its receipt.

An image belongs to a bundle and a shard by its patient, for good. A shard that was made from the
same files by the same code stays as it is, so that one new image rebuilds one shard. The small
receipt stands for the large files wherever the workflow compares contents.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mammoshift.archives.memory import ContentMemory
from mammoshift.configuration.model import InputRecipe
from mammoshift.contracts.manifest import read_exclusions, write_exclusions
from mammoshift.errors import DamagedFileError
from mammoshift.pixelstore.assignment import shard_of
from mammoshift.pixelstore.index import EXCLUSIONS_FILE
from mammoshift.pixelstore.receipt import SHARD_FILES, Receipt, ShardRecord, read_receipt
from mammoshift.pixelstore.writer import write_shard
from mammoshift.provenance.planned_code import check_code
from mammoshift.provenance.sealed import read_sealed, write_sealed
from mammoshift.provenance.sums import check_sha256, remembered_sha256
from mammoshift.provenance.versions import made_here, may_be_kept, note_kept

IMAGES_PER_SHARD = 256
RECORD_FILE = "shard.json"
MADE_FILE = "made.json"
"""The versions, the time and the machine that made a shard; its record says what the arrays are."""
READ_OF_A_REGION = ("annotation_id", "image_id", "shape", "points", "radius")
READ_OF_AN_IMAGE = (
    "image_id",
    "dataset",
    "path",
    "pixel_spacing_mm",
    "laterality",
    "view",
    "mirrored",
    "subtracted",
    "content_key",
)


def bundle_of(owner: str, bundles: int) -> int:
    """Return the bundle of a patient, or of an image without one."""
    return shard_of(owner, bundles)


def check_sources(files: pd.DataFrame, bundle: tuple[int, int], root: Path, memory: Path) -> None:
    """Check that a bundle's raw files are what ingestion read; see `write_bundle`.

    A file that looks as when it was read is not read again for that.

    Parameters
    ----------
    memory
        What ingestion remembers of the archive's files.

    Raises
    ------
    DamagedFileError
        If a file has another content.
    """
    number, total = bundle
    known = ContentMemory.read(memory)
    for owner, path, key in zip(files["owner"], files["path"], files["content_key"], strict=True):
        if bundle_of(str(owner), total) == number and not known.holds(root, path, key):
            raise DamagedFileError(
                f"{root / path}: the content is not what ingestion read; restore the file, or run "
                f"`rm {memory.with_name('files.parquet')}` and again if the change is wanted"
            )


def write_bundle(
    files: pd.DataFrame,
    annotations: pd.DataFrame,
    bundle: tuple[int, int],
    root: Path,
    recipe: InputRecipe,
    code: Mapping[str, str],
    store: Path,
    workers: int = 1,
) -> Receipt:
    """Preprocess one bundle of a dataset into the folder `store`; shards that hold are kept.

    Parameters
    ----------
    files
        The files of the whole dataset, as ingestion lists them.
    annotations
        Regions on its images; read where the recipe takes patches.
    bundle
        Number of the bundle, and of all bundles.
    root
        Folder of the raw archive.
    recipe
        What every array shall be.
    code
        Fingerprint of the code, part of each shard's key.
    store
        Folder of the store.
    workers
        Number of threads.
    """
    number, total = bundle
    dataset = str(files["dataset"].iloc[0]) if len(files) else ""
    mine = files["owner"].map(lambda owner: bundle_of(str(owner), total)) == number
    own = files[mine.to_numpy(dtype=bool)]
    count = _shard_count(len(own))
    place = own["owner"].map(lambda owner: shard_of(f"shard {owner}", count))
    records = []
    for shard in range(count):
        part = own.loc[(place == shard).to_numpy(dtype=bool)].sort_values("image_id")
        regions = annotations[annotations["image_id"].isin(part["image_id"])]
        name = f"shards/{number:03d}-{shard:04d}"
        records.append(_shard(part, regions, root, recipe, code, store, name, workers))
        print(f"{int((place <= shard).sum())} of {len(own)} images")
    _drop_others(store, number, {record.folder for record in records})
    return Receipt(dataset, tuple(records))


def collect_bundles(receipts: Iterable[Path], store: Path, excluded: Path) -> Receipt:
    """Return the receipt of a whole store, and write which of its images could not be read.

    Raises
    ------
    DamagedFileError
        If a shard is missing; the message says what mends it.
    """
    found = [read_receipt(path) for path in receipts]
    shards = sorted((s for receipt in found for s in receipt.shards), key=lambda s: s.folder)
    for shard in shards:
        if not (store / shard.folder / EXCLUSIONS_FILE).is_file():
            raise DamagedFileError(
                f"{store / shard.folder}: the shard is not there any more; delete the folder "
                f"{store / 'bundles'} and run again"
            )
        check_sha256(
            store / shard.folder / EXCLUSIONS_FILE,
            shard.sha256[EXCLUSIONS_FILE],
            f"delete the folders {store / shard.folder} and {store / 'bundles'}, and run again",
        )
    exclusions = [
        exclusion
        for shard in shards
        for exclusion in read_exclusions(store / shard.folder / EXCLUSIONS_FILE)
    ]
    write_exclusions(exclusions, excluded)
    names = [receipt.dataset for receipt in found if receipt.dataset]
    return Receipt(names[0] if names else "", tuple(shards))


def _shard(
    part: pd.DataFrame,
    regions: pd.DataFrame,
    root: Path,
    recipe: InputRecipe,
    code: Mapping[str, str],
    store: Path,
    name: str,
    workers: int,
) -> ShardRecord:
    """Return the record of one shard, made now unless what is there holds."""
    key = _key(part, regions if recipe.patch is not None else regions.iloc[:0], recipe, code)
    folder = store / name
    known, made = _known(folder)
    if known is not None and known.key == key and may_be_kept(made) and _is_whole(folder, known):
        note_kept(made)
        print(f"{name}: kept, {known.images} images")
        return known
    began = time.monotonic()
    report = write_shard(part, root, recipe, folder, regions=regions, workers=workers)
    check_code()
    sums = {file: remembered_sha256(folder / file) for file in SHARD_FILES}
    record = ShardRecord(name, key, report.images, sums)
    write_sealed(folder / MADE_FILE, made_here(time.monotonic() - began))
    write_sealed(folder / RECORD_FILE, asdict(record))
    print(f"{name}: {report.images} images stored, {len(report.exclusions)} unreadable")
    return record


def _key(
    part: pd.DataFrame, regions: pd.DataFrame, recipe: InputRecipe, code: Mapping[str, str]
) -> str:
    settings = {"recipe": recipe.model_dump(mode="json", exclude_none=True), "code": dict(code)}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for row in _rows(part[list(READ_OF_AN_IMAGE)]):
        digest.update(row)
    for row in _rows(regions[list(READ_OF_A_REGION)].sort_values("annotation_id")):
        digest.update(row)
    return digest.hexdigest()[:32]


def _rows(table: pd.DataFrame) -> Iterator[bytes]:
    for values in table.itertuples(index=False, name=None):
        yield repr(tuple(map(_plain, values))).encode() + b"\n"


def _plain(value: Any) -> object:
    """Return a cell as a value that is written the same for the same content."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return None if value is None or value != value else value


def _known(folder: Path) -> tuple[ShardRecord | None, dict[str, Any] | None]:
    """Return the record of a shard, and what is noted of its making."""
    try:
        known = read_sealed(folder / RECORD_FILE)
        return None if known is None else ShardRecord(**known), read_sealed(folder / MADE_FILE)
    except (DamagedFileError, TypeError):
        return None, None


def _is_whole(folder: Path, record: ShardRecord) -> bool:
    """Tell whether a shard's files still have the content that they were written with."""
    try:
        return all(remembered_sha256(folder / name) == sha for name, sha in record.sha256.items())
    except OSError:
        return False


def _shard_count(images: int) -> int:
    """Return a power of two, so that a growing archive seldom changes it."""
    count = 1
    while images > count * IMAGES_PER_SHARD:
        count *= 2
    return count


def _drop_others(store: Path, bundle: int, keep: set[str]) -> None:
    """Delete shards of a bundle that it no longer has."""
    for folder in (store / "shards").glob(f"{bundle:03d}-*"):
        if f"shards/{folder.name}" not in keep:
            shutil.rmtree(folder)
