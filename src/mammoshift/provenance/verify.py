"""Checking that every file of the results is what was written, whole folders at a time.

Each file is read anew, whatever was remembered of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mammoshift.archives.listing import content_key
from mammoshift.archives.memory import NAME as MEMORY
from mammoshift.archives.memory import ContentMemory
from mammoshift.archives.state import MANIFEST
from mammoshift.contracts.parquet import read_table
from mammoshift.errors import DamagedFileError, MammoshiftError
from mammoshift.files import sha256_of_file
from mammoshift.pixelstore.receipt import Receipt, mending_of_shard, read_receipt
from mammoshift.provenance.inputs import Again, mending, written_elsewhere
from mammoshift.provenance.keys import Key, Keys, all_keys
from mammoshift.provenance.reuse import Store
from mammoshift.provenance.sealed import read_sealed

STORE_RECEIPT = "store.json"
SHARD_RECORD = "shard.json"
RUN_AGAIN = "run again: it is made anew, or restored where it is kept"
MISSING, CHANGED = "is missing", "is not what was written"


@dataclass(frozen=True)
class Checked:
    """One file that was looked at; `problem` is empty where it is sound, `mend` says what to do."""

    path: Path
    problem: str = ""
    mend: str = ""


def verify_results(results: Path, target: Path, again: Again | None = None) -> Iterator[Checked]:
    """Yield every file below `target` that jobs wrote into the folder `results`.

    `again` is how they are made again; None for the configuration of the Snakefile, here.
    """
    known: set[Path] = set()
    for key in all_keys(results):
        if isinstance(key, DamagedFileError):
            path, _, problem = str(key).partition(": ")
            if _is_below(Path(path), target):
                yield Checked(Path(path), problem, f"rm {path}, and run again")
            continue
        known.update(key.paths)
        if any(_is_below(path, target) for path in key.paths):
            yield from _outputs(key, again or Again())
    for receipt in sorted(results.glob(f"pixels/*/*/{STORE_RECEIPT}")):
        if _is_below(receipt.parent, target) or _is_below(target, receipt.parent):
            yield from _shards(receipt, target)
    for table in sorted(results.rglob("*.parquet")):
        if table not in known and "shards" not in table.parts and _is_below(table, target):
            yield _pages(table)


def verify_origins(results: Path, target: Path, wanted: Iterable[Path]) -> Iterator[Checked]:
    """Yield each result below `target` of which its key does not say what it was made from.

    Parameters
    ----------
    results, target
        The folder, and what of it is looked at.
    wanted
        Every file that a job of the configured studies writes. Others may have been made from what
        has changed since.
    """
    keys = Keys(results)
    for path in wanted:
        if not _is_below(path, target) or not path.exists():
            continue
        key = keys.of(path)
        if key is None or not key.rule:
            yield Checked(path, "carries no key: nobody knows what it was made from", RUN_AGAIN)
        elif key.is_in_place:
            for input_, writer in keys.foreign_inputs(key):
                problem = f"was made from another {input_} than the one there, of {writer.job}"
                yield Checked(path, problem, RUN_AGAIN)


def verify_store(store: Store) -> Iterator[Checked]:
    """Yield what is kept for later."""
    for entry in store.entries():
        damaged = store.damaged(entry)
        for path in damaged:
            yield Checked(path, CHANGED, f"rm -r {entry.folder}")
        if not damaged:
            yield Checked(entry.folder)


def verify_twins(results: Path) -> Iterator[Checked]:
    """Yield every file of every twin, against its receipt."""
    for receipt in sorted((results / "archives").glob("*.json")):
        try:
            files = json.loads(receipt.read_text(encoding="utf-8"))["files"]
            sums = [(receipt.with_suffix("") / file["path"], file["sha256"]) for file in files]
        except (OSError, ValueError, KeyError, TypeError):
            # The receipt itself is one of the results.
            continue
        for path, sha256 in sums:
            yield _compared(path, sha256, f"rm {receipt}, and run again: the twin is drawn anew")


def verify_archive(results: Path, dataset: str, root: Path) -> Iterator[Checked]:
    """Yield every file of a raw archive that was read, against its content at that time."""
    remembered = results / "datasets" / dataset / MEMORY
    memory = ContentMemory.read(remembered)
    if not memory.looks and remembered.with_name(MANIFEST).is_file():
        problem = f"is gone or damaged, so that no file of {root} can be compared"
        yield Checked(remembered, problem, "run again: the archive is read anew")
    mend = "restore it from its source, or run again if the change is wanted"
    for path, look in sorted(memory.looks.items()):
        file = root / path
        if not file.is_file():
            yield Checked(file, MISSING, mend)
        elif content_key(file) != look.key:
            yield Checked(file, "is not what was read", mend)
        else:
            yield Checked(file)


def problems(checked: Iterable[Checked]) -> Iterator[Checked]:
    """Yield what is not sound."""
    return (one for one in checked if one.problem)


def _outputs(key: Key, again: Again) -> Iterator[Checked]:
    for path, output in zip(key.paths, key.outputs.values(), strict=True):
        if not key.is_in_place:
            yield Checked(path, written_elsewhere(path, key), mending(path))
            continue
        found = _compared(path, output.sha256, mending(path))
        # No job may wait for it: then another run alone would not make it.
        anew = f"`{again.command(key.paths[0])}`"
        yield replace(found, mend=anew) if found.problem in (MISSING, CHANGED) else found


def _shards(file: Path, target: Path) -> Iterator[Checked]:
    store = file.parent
    try:
        receipt: Receipt = read_receipt(file)
    except MammoshiftError as error:
        yield Checked(file, str(error), mending(file))
        return
    for shard in receipt.shards:
        folder = store / shard.folder
        if not (_is_below(folder, target) or _is_below(target, folder)):
            continue
        mend = mending_of_shard(file, folder)
        for name, sha256 in shard.sha256.items():
            yield _compared(folder / name, sha256, mend)
        yield _record(folder / SHARD_RECORD, asdict(shard), mend)


def _record(path: Path, expected: Mapping[str, object], mend: str) -> Checked:
    try:
        found = read_sealed(path)
    except DamagedFileError:
        return Checked(path, CHANGED, mend)
    if found is None:
        return Checked(path, MISSING, mend)
    return Checked(path) if found == expected else Checked(path, CHANGED, mend)


def _compared(path: Path, sha256: str, mend: str) -> Checked:
    try:
        found = sha256_of_file(path)
    except FileNotFoundError:
        return Checked(path, MISSING, mend)
    except OSError as error:
        return Checked(path, f"cannot be read ({error.strerror})", mend)
    return Checked(path) if found == sha256 else Checked(path, CHANGED, mend)


def _pages(path: Path) -> Checked:
    """Check a table of a time before keys by the checksums of its pages."""
    try:
        read_table(path)
    except DamagedFileError:
        return Checked(path, CHANGED, mending(path))
    return Checked(path)


def _is_below(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents
