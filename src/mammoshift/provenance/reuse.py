"""Expensive results that outlive Snakemake's bookkeeping.

Snakemake deletes the declared outputs of a job before it runs and after it fails, and within one
run it cannot see that an upstream job produced what was already there. An expensive result is
therefore also kept, as a hard link, in an undeclared folder under a key of everything that it
was made from. A job whose key is known restores its result instead of computing it again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from mammoshift.files import sha256_of_file

SUMS = "sha256.json"


def result_key(parameters: Mapping[str, object], inputs: Sequence[Path]) -> str:
    """Return the key of a result: a hash of its parameters and of its input files' contents."""
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    for path in inputs:
        status = path.stat()
        digest.update(_known_sum(path, status.st_size, status.st_mtime_ns).encode())
    return digest.hexdigest()[:32]


@cache
def _known_sum(path: Path, _size: int, _mtime_ns: int) -> str:
    """Return the hash of an input; a model is an input of each table that it scores."""
    return sha256_of_file(path)


def restore(store: Path, key: str, outputs: Mapping[str, Path]) -> bool:
    """Put the kept files of `key` in their places; tell whether all of them were there, whole."""
    kept = {name: store / key / name for name in outputs}
    if not _is_whole(store / key, kept):
        return False
    for name, destination in outputs.items():
        _link(kept[name], destination)
    return True


def keep(store: Path, key: str, outputs: Mapping[str, Path]) -> None:
    """Keep the files of a finished result under `key`, and nothing older or half kept."""
    staging = store / f".{key}-{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for name, path in outputs.items():
        _link(path, staging / name)
    sums = {name: sha256_of_file(path) for name, path in outputs.items()}
    (staging / SUMS).write_text(json.dumps(sums), encoding="utf-8")
    final = store / key
    shutil.rmtree(final, ignore_errors=True)
    staging.rename(final)
    for old in store.iterdir():
        if old != final:
            shutil.rmtree(old)


def _is_whole(folder: Path, kept: Mapping[str, Path]) -> bool:
    """Tell whether the kept files still have the content that they were kept with."""
    try:
        sums = json.loads((folder / SUMS).read_text(encoding="utf-8"))
        return all(sha256_of_file(path) == sums[name] for name, path in kept.items())
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return False


def _link(source: Path, destination: Path) -> None:
    """Link or, where the file system cannot, copy, so that the destination is never half there."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name}-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copy2(source, temporary)
    os.utime(temporary)
    temporary.replace(destination)
    # Renaming one link of a file to another of the same file leaves both where they are.
    temporary.unlink(missing_ok=True)
