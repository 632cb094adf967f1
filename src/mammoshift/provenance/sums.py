"""Checking that a file still has the content that its receipt states, once per state of the file.

The hash of a file is computed when it is first used and whenever its size, modification
time or inode is another than at the last look; what was seen then is remembered beside a large
file, and by the process for a small one.
"""

from __future__ import annotations

import json
from pathlib import Path

from mammoshift.errors import DamagedFileError
from mammoshift.files import sha256_of_file, write_text_atomically

SMALL_BYTES = 4 * 1024**2
"""Files below this are hashed by every process that reads them, and leave no note."""

_known: dict[tuple[str, int, int, int], str] = {}


def remembered_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, from memory while the file looks as at the last look."""
    status = path.stat()
    look = [status.st_size, status.st_mtime_ns, status.st_ino]
    place = (str(path), status.st_size, status.st_mtime_ns, status.st_ino)
    if place not in _known:
        _known[place] = (
            _of_note(path, look) if status.st_size > SMALL_BYTES else sha256_of_file(path)
        )
    return _known[place]


def _of_note(path: Path, look: list[int]) -> str:
    """Return the hash of a large file from the note beside it, which is written if need be."""
    note = _note_of(path)
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["look"] == look:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        known = None
    digest = sha256_of_file(path)
    try:
        write_text_atomically(note, json.dumps({"look": look, "sha256": digest}))
    except OSError:
        # A folder that cannot be written to costs another look, nothing else.
        return digest
    return digest


def check_sha256(path: Path, expected: str, mend: str) -> None:
    """Compare a file's content with what is stated of it.

    Parameters
    ----------
    path, expected
        The file and its SHA-256 as its receipt has it.
    mend
        What the user shall do about a damaged file.

    Raises
    ------
    DamagedFileError
        If the file is missing or has another content.
    """
    try:
        found = remembered_sha256(path)
    except FileNotFoundError:
        raise DamagedFileError(f"{path}: the file is missing; {mend}") from None
    if found != expected:
        raise DamagedFileError(f"{path}: the content is not what was written; {mend}")


def _note_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.sha256")
