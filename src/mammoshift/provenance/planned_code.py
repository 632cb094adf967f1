"""A job runs the code that it was planned with, or ends with an error.

A job is planned by one process and runs in another, perhaps days later, which imports whatever
then lies on the disk. Planning hands on, through the environment, the state of the files of the
code and the fingerprints that it found. The job compares the state of the files: before its work,
before it keeps anything, and at its end, since modules are imported when they are needed. Where a
file was touched the fingerprints are computed again, so that an edit without effect ends nothing.

Standard library only: every job imports this before its work.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from mammoshift.errors import CodeChangedError
from mammoshift.provenance.outside import METHODS_ONLY
from mammoshift.provenance.scopes import FIRST_PARTY

VARIABLE = "MAMMOSHIFT_CODE"
"""What planning hands on to its jobs: the folder of the scripts -> the fields of `PlannedCode`."""
DEFINITIONS = "definitions"
"""Name of the one entry of a rule's fingerprint, so that it is told from other parameters."""


@dataclass(frozen=True)
class PlannedCode:
    """The code as planning saw it.

    Attributes
    ----------
    library
        The folder that holds the package `mammoshift`.
    memory
        A file that remembers what parsing gave.
    state
        Of the files of the library and of the scripts (`state_of`).
    declared
        Hash of what the library declares outside of every fingerprint (`declared_in`).
    found
        A use of a script (`use_of`) -> its fingerprint.
    """

    library: str
    memory: str
    state: str
    declared: str
    found: Mapping[str, str]


def use_of(script: str, by_name: Collection[str]) -> str:
    """Return what names one use of a script: its name, and what it looks up by name."""
    return json.dumps([script, sorted(by_name)])


def file_states(library: Path, scripts: Path) -> dict[str, str]:
    """Return the path of every file of the code with its size and times.

    The time of the last change of a file's state is the system's own: no program sets it, so
    that a file with another content never looks like the one before.
    """
    return {
        path: found for folder in (library / FIRST_PARTY, scripts) for path, found in _in(folder)
    }


def state_of(states: Mapping[str, str]) -> str:
    """Return a hash of the states of files."""
    digest = hashlib.sha256()
    for path, found in sorted(states.items()):
        digest.update(f"{path}\0{found}\0".encode())
    return digest.hexdigest()


def declared_in(library: Path) -> str:
    """Return a hash of the modules whose fields and defaults no fingerprint holds.

    A job validates its parameters anew: a default that was edited since planning would be what it
    works with. Any edit counts, since what it declares cannot be told from what it says.
    """
    digest = hashlib.sha256()
    for package in METHODS_ONLY:
        for file in sorted(Path(library, *package.split(".")).rglob("*.py")):
            digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def hand_on(scripts: Path, planned: PlannedCode) -> None:
    """Let the jobs that this process starts know the code that they are planned with."""
    known = _handed_on()
    known[os.path.realpath(scripts)] = asdict(planned)
    # A large study has hundreds of uses, and one variable holds 128 KiB.
    os.environ[VARIABLE] = base64.b64encode(zlib.compress(json.dumps(known).encode())).decode()


def _handed_on() -> dict[str, Any]:
    text = os.environ.get(VARIABLE)
    return json.loads(zlib.decompress(base64.b64decode(text))) if text else {}


def watch(script: Path, code: Mapping[str, str] | None) -> None:
    """Compare the code on the disk with the planned one, and again at each `check_code`.

    A script that was started without a plan, by hand, is not watched.

    Parameters
    ----------
    script
        The script of this job.
    code
        Its fingerprint as a parameter of the job; None for a job that has none.

    Raises
    ------
    CodeChangedError
        If the code is another.
    """
    global _watched
    folder = os.path.realpath(script.parent)
    fields = _handed_on().get(folder)
    _watched = None
    if fields is None or code is None:
        return
    _watched = _Watched(Path(folder, script.name), PlannedCode(**fields), code)
    sys.meta_path.insert(0, _watched)
    _watched.check()


def check_code() -> None:
    """Raise an error if the code of this job is no longer the one that it was planned with.

    Called before anything is kept that a later job may take for a result of the planned code.

    Raises
    ------
    CodeChangedError
        If it is not.
    """
    if _watched is not None:
        _watched.check()


class _Watched(MetaPathFinder):
    """One job's code; as a finder it finds nothing and notes how a file looked when imported."""

    def __init__(self, script: Path, planned: PlannedCode, code: Mapping[str, str]) -> None:
        self.script, self.planned = script, planned
        self.uses = _uses(script.name, planned.found, code)
        self.sound = {planned.state}
        self.seen: dict[str, set[str]] = {}
        self.loaded: dict[str, str] = {}

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        del path, target
        if fullname.startswith(f"{FIRST_PARTY}."):
            stem = Path(self.planned.library, *fullname.split("."))
            for file in (stem.with_suffix(".py"), stem / "__init__.py"):
                with contextlib.suppress(OSError):
                    self.loaded[str(file)] = _look(file.stat())

    def check(self) -> None:
        states = file_states(Path(self.planned.library), self.script.parent)
        state = state_of(states)
        if state not in self.sound:
            if not self._is_the_same():
                raise CodeChangedError(_message(self.script.name))
            self.sound.add(state)
        for path, found in states.items():
            self.seen.setdefault(path, set()).add(found)
        # What was there between two looks may have been imported and be gone again.
        if any(found not in self.seen.get(path, ()) for path, found in self.loaded.items()):
            raise CodeChangedError(_message(self.script.name))

    def _is_the_same(self) -> bool:
        """Tell whether the script has the planned fingerprint still."""
        from mammoshift.provenance.fingerprint import code_key

        library, memory = Path(self.planned.library), Path(self.planned.memory)
        try:
            return declared_in(library) == self.planned.declared and all(
                code_key(self.script, library, memory, json.loads(use)[1]) == key
                for use, key in self.uses.items()
            )
        except (OSError, SyntaxError):
            return False


_watched: _Watched | None = None


def _uses(script: str, found: Mapping[str, str], code: Mapping[str, str]) -> dict[str, str]:
    """Return the uses of a script that have a fingerprint.

    They are all uses where none has: then a job on another node found edited code.
    """
    own = {use: key for use, key in found.items() if json.loads(use)[0] == script}
    return {use: key for use, key in own.items() if key == code.get(DEFINITIONS)} or own


def _message(script: str) -> str:
    return (
        f"the code of {script} changed while the study ran, so that its result would not be what "
        "was planned; nothing of it was kept: start the study again"
    )


def _in(folder: str | Path) -> Iterator[tuple[str, str]]:
    """Yield the path of every Python file below a folder, and its state."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _in(entry.path)
            elif entry.name.endswith(".py"):
                yield entry.path, _look(entry.stat())


def _look(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
