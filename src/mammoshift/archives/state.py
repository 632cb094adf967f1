"""The state of a raw archive, so that a changed file is seen and a touched one is not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mammoshift.archives.listing import iterate_files
from mammoshift.archives.memory import NAME, ContentMemory
from mammoshift.configuration.load import Project
from mammoshift.files import sha256_of_file, write_text_atomically

MANIFEST = "manifest.parquet"
"""What lies beside the memory of an archive that was ingested."""
FORGOTTEN = "forgotten"
"""State of such an archive whose memory is gone: nobody knows what its files were."""
CACHE = Path(".snakemake") / "mammoshift"


def archive_state(project: Project, dataset: str) -> str:
    """Return a digest of a real archive's files, the same as long as nobody changes one.

    A twin's state is in its receipt; an archive that is not there has the state `absent`, so
    that a dry run works without data. Images are read only when they look changed since the
    ingest job read them: see `mammoshift.archives.memory`. The digest tells whether ingestion
    must run again; it is no key under which results of another run could be found.
    """
    record = project.datasets[dataset]
    if record.root is None:
        return "twin"
    root = project.archive_root(dataset, Path())
    results = Path(project.settings.pathvars.get("results", "results"))
    memory = results / "datasets" / dataset / NAME
    return listing_state(root, memory, record.options.links_may_leave)


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


def listing_state(root: Path, memory_file: Path, links_may_leave: bool = True) -> str:
    """Return the digest of all files below `root`, with what `memory_file` knows of them."""
    if not root.is_dir():
        return "absent"
    files = list(iterate_files(root, links_may_leave))
    memory = ContentMemory.read(memory_file)
    if not memory.looks and memory_file.with_name(MANIFEST).is_file():
        return FORGOTTEN
    memory.catch_up(root, files)
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\0{file.size}\0{memory.state(root, file)}\n".encode())
    if memory.looks:
        memory.save(memory_file)
    return digest.hexdigest()[:32]


def _read_json(cache_file: Path) -> dict[str, Any]:
    try:
        content = json.loads(cache_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
