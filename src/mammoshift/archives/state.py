"""The state of a raw archive, so that a changed file is seen and a touched one is not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mammoshift.archives.listing import content_key, iterate_files
from mammoshift.configuration.load import Project
from mammoshift.files import write_text_atomically

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


def file_state(path: str) -> str:
    """Return the content key of one file, or `absent`."""
    file = Path(path)
    return content_key(file) if file.is_file() else "absent"


def listing_state(root: Path, cache_file: Path) -> str:
    """Return the digest of all files below `root`, reading only those that look changed.

    A file whose size and modification time are those of the last look keeps its content key;
    any other is read in three places. The cache saves that reading and decides nothing.
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
        key = old[2] if same and old is not None else content_key(root / file.path)
        seen[file.path] = (status.st_size, status.st_mtime_ns, key)
        digest.update(f"{file.path}\0{status.st_size}\0{key}\n".encode())
    if seen != known:
        content = json.dumps({"root": str(root.resolve()), "files": seen})
        write_text_atomically(cache_file, content)
    return digest.hexdigest()[:32]


def _read_cache(cache_file: Path, root: Path) -> dict[str, tuple[int, int, str]]:
    try:
        content = json.loads(cache_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    if content.get("root") != str(root.resolve()):
        return {}
    return {path: (size, mtime, key) for path, (size, mtime, key) in content["files"].items()}
