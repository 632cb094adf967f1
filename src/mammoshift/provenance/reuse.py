"""Expensive results that outlive Snakemake's bookkeeping.

Snakemake deletes the declared outputs of a job before it runs and after it fails, and within one
run it cannot see that an upstream job produced what was already there. An expensive result is
therefore also kept in a store, under a key of everything that it was made from. A job whose key is
known restores its result instead of computing it again.

A store holds many keys, up to a size, and drops those that were not used for longest; it may be
shared by studies and clones, since a key says all that decides a result. Nothing in it shares its
bytes with a file of the results: what is kept is a copy, or a clone of the file where the file
system has copy-on-write, so that nobody damages it by an edit in place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammoshift.errors import DamagedFileError
from mammoshift.files import sha256_of_file
from mammoshift.provenance.planned_code import check_code
from mammoshift.provenance.sealed import read_sealed, write_sealed
from mammoshift.provenance.sums import remembered_sha256
from mammoshift.provenance.versions import (
    differing,
    made_here,
    must_be_the_same,
    note_restored,
)

ENTRY = "entry.json"
LOG = "job.log"
"""Name of a log that is kept with a result."""
DEFAULT_GIGABYTES = 50.0
GIGABYTE = 1000**3
_ASKED_FROM = 1_000_000
"""Bytes of a result from which on keeping it looks at the size of the store."""
_FICLONE = 0x40049409
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ABANDONED = 24 * 3600.0
"""Seconds after which what a process of another machine has half kept is taken to be abandoned."""


def result_key(parameters: Mapping[str, object], inputs: Sequence[Path]) -> str:
    """Return the key of a result: a hash of its parameters and of its input files' contents."""
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    for path in inputs:
        digest.update(remembered_sha256(path).encode())
    return digest.hexdigest()[:32]


@dataclass(frozen=True)
class Entry:
    """One kept result: its folder, what it is of, its size in bytes and when it was last used."""

    folder: Path
    of: str
    size: int
    used: float

    @property
    def key(self) -> str:
        """The key of all that it was made from."""
        return self.folder.name


@dataclass(frozen=True)
class Store:
    """Where results are kept.

    Attributes
    ----------
    folder
        Made when the first result is kept.
    gigabytes
        The size up to which it grows, in units of 10^9 bytes; with 0 nothing is kept.
    """

    folder: Path
    gigabytes: float = DEFAULT_GIGABYTES

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Store:
        """Return the store that a configuration names."""
        return cls(Path(settings["folder"]), settings.get("gigabytes", DEFAULT_GIGABYTES))

    def restore(self, key: str, outputs: Mapping[str, Path]) -> bool:
        """Put the kept files of `key` in their places; tell whether all of them were there, whole.

        They are not where other versions computed them and those are to be the same
        (`mammoshift.provenance.versions`).
        """
        folder = self._place(key)
        try:
            entry = read_sealed(folder / ENTRY)
            if entry is None or not _is_valid(entry, folder, outputs):
                return False
            for name, destination in outputs.items():
                _copy(folder / name, destination)
            with contextlib.suppress(OSError):
                # What another user kept may be one's own to read alone.
                os.utime(folder / ENTRY)
        except (OSError, DamagedFileError, KeyError, TypeError):
            # Another process may drop what is kept at any time.
            return False
        note_restored(entry["versions"], entry["seconds"], entry.get("machines", ()))
        return True

    def once(
        self,
        key: str,
        outputs: Mapping[str, Path],
        make: Callable[[], None],
        of: str,
        log: Path | None = None,
    ) -> bool:
        """Restore the files of `key`, or make them and keep them with their log.

        Return whether they are kept, or need not be; see `keep`.

        Parameters
        ----------
        key, outputs
            Name in the store -> file.
        make
            Writes the files.
        of
            What they are, for people.
        log
            The file that everything printed goes to; None without. Snakemake deletes it before
            each start of its job, so that it is kept with the result.
        """
        if self.restore(key, outputs):
            print(f"restored the finished {of}, {key}; its own log:")
            print(self.text(key, LOG))
            return True
        began = time.monotonic()
        make()
        sys.stdout.flush()
        made = made_here(time.monotonic() - began)
        return self.keep(key, outputs if log is None else {**outputs, LOG: log}, of, made)

    def keep(
        self,
        key: str,
        outputs: Mapping[str, Path],
        of: str = "",
        made: Mapping[str, Any] | None = None,
    ) -> bool:
        """Keep the files of a finished result under `key`, and drop what the size does not allow.

        A store that cannot be written to ends no job: it says so. On a full disk what was not used
        for longest makes room first.

        Parameters
        ----------
        key, outputs
            Name in the store -> file.
        of
            What it is, for people.
        made
            What made it (`mammoshift.provenance.versions.made_here`), whatever else this process
            made or restored; None for this process, in no time.

        Returns
        -------
        bool
            Whether the store did what it should: False where it could not be written to.

        Raises
        ------
        CodeChangedError
            If the code that made it is not the one that its key says.
        """
        check_code()
        size = sum(path.stat().st_size for path in outputs.values())
        if size > self.gigabytes * GIGABYTE:
            return True
        made = made or made_here(0.0)
        try:
            self._put(key, outputs, of, made)
        except OSError as error:
            if error.errno not in _FULL or not self._make_room(size):
                return self._could_not(of, key, error)
            try:
                self._put(key, outputs, of, made)
            except OSError as again:
                return self._could_not(of, key, again)
        if size > _ASKED_FROM:
            self.shrink(self.gigabytes, spared=key)
        return True

    def _put(self, key: str, outputs: Mapping[str, Path], of: str, made: Mapping[str, Any]) -> None:
        final = self._place(key)
        staging = final.with_name(f".{key}-{os.getpid()}-{socket.gethostname()}")
        _drop_abandoned(final.parent)
        try:
            staging.mkdir(parents=True)
            for name, path in outputs.items():
                _copy(path, staging / name)
            entry = {
                "key": key,
                "of": of,
                "files": {name: sha256_of_file(staging / name) for name in outputs},
                **made,
                "kept": time.time(),
            }
            write_sealed(staging / ENTRY, entry)
            shutil.rmtree(final, ignore_errors=True)
            try:
                staging.rename(final)
            except OSError:
                # Another process kept the same meanwhile.
                if not (final / ENTRY).is_file():
                    raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _make_room(self, size: int) -> bool:
        """Drop as much as a result takes; tell whether anything was dropped."""
        known = sum(entry.size for entry in self.entries())
        return bool(self.shrink(max(known - size, 0) / GIGABYTE))

    def _could_not(self, of: str, key: str, error: OSError) -> bool:
        print(
            f"warning: {of or 'the result'}, {key}, is not kept in {self.folder} "
            f"({error.strerror or error}); it is made again if it is deleted or changed back to"
        )
        return False

    def text(self, key: str, name: str) -> str:
        """Return a kept text, of a result that was kept without it nothing."""
        place = self._place(key) / name
        return place.read_text(encoding="utf-8", errors="replace") if place.is_file() else ""

    def entries(self) -> Iterator[Entry]:
        """Yield what is kept, in no order; what is damaged is named so."""
        for file in self.folder.glob(f"??/*/{ENTRY}"):
            if file.parent.name.startswith("."):
                continue
            try:
                size = sum(path.stat().st_size for path in file.parent.iterdir())
                used = file.stat().st_mtime
            except OSError:
                continue
            try:
                entry = read_sealed(file)
            except DamagedFileError:
                yield Entry(file.parent, "damaged", size, 0.0)
                continue
            if entry is not None:
                yield Entry(file.parent, str(entry.get("of", "")), size, used)

    def damaged(self, entry: Entry) -> list[Path]:
        """Return the files of an entry that are not what was kept, or not kept there."""
        try:
            known = read_sealed(entry.folder / ENTRY)
        except DamagedFileError:
            return [entry.folder / ENTRY]
        if known is not None and known.get("key") != entry.key:
            return [entry.folder / ENTRY]
        files: Mapping[str, str] = known["files"] if known else {}
        return [
            entry.folder / name
            for name, sha256 in files.items()
            if _sum_of(entry.folder / name) != sha256
        ]

    def shrink(self, gigabytes: float, spared: str = "") -> list[Entry]:
        """Drop what was not used for longest until no more than a size is left; return it."""
        for shelf in self.folder.glob("??"):
            _drop_abandoned(shelf)
        known = sorted(self.entries(), key=lambda entry: entry.used)
        size = sum(entry.size for entry in known)
        dropped = []
        for entry in known:
            if size <= gigabytes * GIGABYTE:
                break
            if entry.key != spared:
                shutil.rmtree(entry.folder, ignore_errors=True)
                if entry.folder.exists():
                    # It is another user's.
                    continue
                dropped.append(entry)
                size -= entry.size
        return dropped

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / key


def _drop_abandoned(shelf: Path) -> None:
    """Remove what processes that are gone have half kept."""
    machine = socket.gethostname()
    for staging in shelf.glob(".*-*"):
        _, pid, host = [*staging.name.split("-", 2), ""][:3]
        try:
            here = host == machine and pid.isdecimal()
            age = time.time() - staging.stat().st_mtime
            dead = not _runs(int(pid)) if here else age > _ABANDONED
        except OSError:
            continue
        if dead:
            shutil.rmtree(staging, ignore_errors=True)


def _runs(pid: int) -> bool:
    return Path("/proc", str(pid)).exists()


def _is_valid(entry: Mapping[str, Any], folder: Path, outputs: Mapping[str, Path]) -> bool:
    if entry["key"] != folder.name or (must_be_the_same() and differing(entry["versions"])):
        return False
    files = entry["files"]
    return all(name in files and _sum_of(folder / name) == files[name] for name in outputs)


def _sum_of(path: Path) -> str | None:
    try:
        return sha256_of_file(path)
    except OSError:
        return None


def _copy(source: Path, destination: Path) -> None:
    """Clone or copy a file, so that the destination is never half there."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name}-{os.getpid()}")
    try:
        with source.open("rb") as read, temporary.open("wb") as write:
            try:
                fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
            except OSError:
                shutil.copyfileobj(read, write, 1 << 20)
        temporary.replace(destination)
    finally:
        temporary.unlink(missing_ok=True)
