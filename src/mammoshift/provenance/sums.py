"""Checking that a file still has the content that its receipt states, once per state of the file.

The hash of a file is computed when it is first used and whenever its size, modification
time or inode is another than at the last look; what was seen then is remembered beside a large
file, and by the process for a small one.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from mammoshift.errors import DamagedFileError
from mammoshift.files import sha256_of_file, write_text_atomically

SMALL_BYTES = 4 * 1024**2
"""Files below this are hashed by every process that reads them, and leave no note."""

_known: dict[tuple[str, int, int, int], str] = {}
_noted: set[tuple[str, int, int, int]] = set()


def remembered_sha256(path: Path, leave_note: bool = True) -> str:
    """Return the SHA-256 of a file, from memory while the file looks as at the last look.

    Parameters
    ----------
    leave_note
        Whether a note is written beside a large file that has none; one that is there is read in
        any case.
    """
    status = path.stat()
    look = [status.st_size, status.st_mtime_ns, status.st_ino]
    place = (str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)
    is_large = status.st_size > SMALL_BYTES
    if place not in _known:
        noted = _of_note(path, look) if is_large else None
        if noted is not None:
            _noted.add(place)
        _known[place] = noted or sha256_of_file(path)
    if is_large and leave_note and place not in _noted:
        _noted.add(place)
        # A folder that cannot be written to costs another look, nothing else.
        with contextlib.suppress(OSError):
            note = json.dumps({"look": look, "sha256": _known[place]})
            write_text_atomically(_note_of(path), note)
    return _known[place]


def _of_note(path: Path, look: list[int]) -> str | None:
    """Return the hash of a large file from the note beside it, None without one of this look."""
    try:
        known = json.loads(_note_of(path).read_text(encoding="utf-8"))
        return str(known["sha256"]) if known["look"] == look else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
