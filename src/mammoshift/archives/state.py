"""The state of a raw archive, so that a changed file is seen and a touched one is not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mammoshift.archives.listing import change_key, iterate_files
from mammoshift.configuration.load import Project
from mammoshift.files import sha256_of_file, write_text_atomically

CACHE = Path(".snakemake") / "mammoshift"


def archive_state(project: Project, dataset: str) -> str:
    """Return a digest of a real archive's files: their paths, sizes and content keys.

    A twin's state is in its receipt; an archive that is not there has the state `absent`, so
    that a dry run works without data.
    """
    record = project.datasets[dataset]
    if record.root is None:
        return "twin"
    root = project.archive_root(dataset, Path())
    return listing_state(root, CACHE / f"{dataset}.json")


def file_state(path: str, cache_folder: Path = CACHE) -> str:
    """Return a hash of one file's whole content, or `absent`.

    The file is read only when its size or modification time is not that of the last look.
    """
    file = Path(path)
    if not file.is_file():
        return "absent"
    place = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]
    cache_file = cache_folder / f"file_{place}.json"
    status = file.stat()
    look = [status.st_size, status.st_mtime_ns]
    known = _read_json(cache_file)
    if known.get("look") == look:
        return str(known["state"])
    state = sha256_of_file(file)[:32]
    write_text_atomically(cache_file, json.dumps({"look": look, "state": state}))
    return state


def listing_state(root: Path, cache_file: Path) -> str:
    """Return the digest of all files below `root`, reading only those that look changed.

    A file whose size and modification time are those of the last look keeps its content key;
    any other is read, an image in three places. The cache saves that reading and decides nothing.
    """
    if not root.is_dir():
        return "absent"
    known = _read_cache(cache_file, root)
    seen: dict[str, tuple[int, int, str]] = {}
    digest = hashlib.sha256()
    for file in iterate_files(root):
        status = (root / file.path).stat()
        old = known.get(file.path)
        same = old is not None and (old[0], old[1]) == (status.st_size, status.st_mtime_ns)
        key = old[2] if same and old is not None else change_key(root / file.path)
        seen[file.path] = (status.st_size, status.st_mtime_ns, key)
        digest.update(f"{file.path}\0{status.st_size}\0{key}\n".encode())
    if seen != known:
        content = json.dumps({"root": str(root.resolve()), "files": seen})
        write_text_atomically(cache_file, content)
    return digest.hexdigest()[:32]


def _read_json(cache_file: Path) -> dict[str, Any]:
    try:
        content = json.loads(cache_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_cache(cache_file: Path, root: Path) -> dict[str, tuple[int, int, str]]:
    content = _read_json(cache_file)
    if content.get("root") != str(root.resolve()):
        return {}
    return {path: (size, mtime, key) for path, (size, mtime, key) in content["files"].items()}
