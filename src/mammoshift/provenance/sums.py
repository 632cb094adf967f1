"""Checking that a file still has the content that its receipt states, once per state of the file.

The hash of a file is computed when it is first used and whenever its size, inode, modification
time or time of change is another than at the last look; what was seen then is remembered beside a
large file, and by the process for a small one. The time of change is the system's own and no
program sets it, so that an edit that puts the modification time back is seen.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path

from mammoshift.errors import DamagedFileError
from mammoshift.files import sha256_of_file, write_text_atomically

SMALL_BYTES = 4 * 1024**2
"""Files below this are hashed by every process that reads them, and leave no note."""

Place = tuple[str, int, int, int, int]
"""A file and its look: its path, then as `_look` has it."""

_known: dict[Place, str] = {}
_noted: set[Place] = set()


def remembered_sha256(path: Path, leave_note: bool = True) -> str:
    """Return the SHA-256 of a file, from memory while the file looks as at the last look.

    Parameters
    ----------
    leave_note
        Whether a note is written beside a large file that has none; one that is there is read in
        any case.
    """
    status = path.stat()
    place = (str(path.resolve()), *_look(status))
    if status.st_size <= SMALL_BYTES:
        if place not in _known:
            _known[place] = sha256_of_file(path)
    elif place not in _known or (leave_note and place not in _noted):
        with path.open("rb") as stream:
            # Of jobs that want the sum at the same time one reads the file, the others its note.
            # Where a file system has no locks, each reads it.
            with contextlib.suppress(OSError):
                fcntl.flock(stream, fcntl.LOCK_EX)
            _know_large(path, place, leave_note)
    return _known[place]


def _know_large(path: Path, place: Place, leave_note: bool) -> None:
    """Take the hash of a large file from the note beside it, or from the file."""
    look = list(place[1:])
    noted = _of_note(path, look)
    known = noted or _known.get(place) or sha256_of_file(path)
    _known[place] = known
    if noted is not None:
        _noted.add(place)
    elif leave_note:
        _noted.add(place)
        # A folder that cannot be written to costs another look, nothing else.
        with contextlib.suppress(OSError):
            write_text_atomically(_note_of(path), json.dumps({"look": look, "sha256": known}))


def _of_note(path: Path, look: list[int]) -> str | None:
    """Return the hash of a large file from the note beside it, None without one of this look."""
    try:
        known = json.loads(_note_of(path).read_text(encoding="utf-8"))
        return str(known["sha256"]) if known["look"] == look else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note_new_time(path: Path) -> None:
    """Let the note beside a file hold although its time is another: Snakemake touches outputs."""
    try:
        known = json.loads(_note_of(path).read_text(encoding="utf-8"))
        status = path.stat()
        size, _, inode, _ = known["look"]
        if (size, inode) == (status.st_size, status.st_ino):
            look = list(_look(status))
            write_text_atomically(_note_of(path), json.dumps({**known, "look": look}))
    except (OSError, ValueError, KeyError, TypeError):
        return


def _look(status: os.stat_result) -> tuple[int, int, int, int]:
    """Return what tells one state of a file from another."""
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns


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
