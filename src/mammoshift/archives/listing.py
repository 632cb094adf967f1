"""What lies in an archive's folder: file names, sizes, times and keys of their content.

Standard library only: this is imported while Snakemake parses.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mammoshift.errors import ArchiveError

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})

_JUNK_NAMES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "lost+found"})
_JUNK_PREFIXES = (".", "~$")
_TABLE_SUFFIXES = frozenset({"csv", "tsv", "txt", "xlsx", "xls", "json", "xml"})
_LARGEST_TABLE_BYTES = 256 * 1024**2
_LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class ListedFile(NamedTuple):
    """One file: its path relative to the root, with forward slashes, its size in bytes and time.

    `mtime_ns` is the time of its last modification, in nanoseconds.
    """

    path: str
    size: int
    mtime_ns: int

    @property
    def is_table(self) -> bool:
        """Whether this is a table or text, told by the suffix: small, and of many meanings."""
        suffix = self.path.rpartition("/")[2].rpartition(".")[2].lower()
        return suffix in _TABLE_SUFFIXES and self.size <= _LARGEST_TABLE_BYTES


def iterate_files(root: Path, links_may_leave: bool = True) -> Iterator[ListedFile]:
    """Yield the regular files below `root`, each folder's entries in the order of their names.

    Hidden files and what operating systems and office programs leave behind (`.DS_Store`,
    `._*`, `~$*`, `Thumbs.db`) are passed over. Links are followed, so that an archive may be
    put together from several disks; a link that leads nowhere, or to a folder that was listed
    already or lies above it, is passed over. With `links_may_leave` false a link that leads out
    of the root is passed over as well.

    Raises
    ------
    ArchiveError
        If a folder or a link may not be read, or a name is not valid UTF-8.
    FileNotFoundError
        If `root` does not exist.
    """
    entries, identity = _entries(str(root))
    open_folders = [(iter(entries), "", identity)]
    listed = {identity}
    inside = None if links_may_leave else root.resolve()
    while open_folders:
        remaining, prefix, _ = open_folders[-1]
        entry = next(remaining, None)
        if entry is None:
            open_folders.pop()
            continue
        try:
            if inside and entry.is_symlink() and not _lies_in(entry.path, inside):
                continue
            if entry.is_dir():
                entries, identity = _entries(entry.path)
                above = {identity for _, _, identity in open_folders}
                if identity not in (listed if entry.is_symlink() else above):
                    open_folders.append((iter(entries), f"{prefix}{entry.name}/", identity))
                    listed.add(identity)
            elif entry.is_file():
                status = entry.stat()
                yield ListedFile(prefix + entry.name, status.st_size, status.st_mtime_ns)
        except OSError as error:
            if error.errno not in _LEADS_NOWHERE:
                raise ArchiveError(
                    f"{entry.path}: the link or file cannot be read: {error.strerror}; check its "
                    "permissions"
                ) from None


def content_key(path: Path) -> str:
    """Return 32 hexadecimal digits that follow from all of a file's content and from that alone.

    The file is streamed, each byte read once.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def lies_below(path: Path, root: Path) -> bool:
    """Tell whether `path`, all links followed, lies below `root`, all links followed."""
    return _lies_in(str(path), root.resolve())


def _lies_in(path: str, resolved: Path) -> bool:
    try:
        return Path(path).resolve(strict=True).is_relative_to(resolved)
    except (OSError, RuntimeError):
        return False


def _entries(folder: str) -> tuple[list[os.DirEntry[str]], tuple[int, int]]:
    """Return the entries of a folder by name, without junk, and what identifies the folder."""
    try:
        status = Path(folder).stat()
        with os.scandir(folder) as scan:
            entries = sorted((entry for entry in scan if not _is_junk(entry.name)), key=_name)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ArchiveError(
            f"{folder}: the folder cannot be listed: {error.strerror}; check its permissions"
        ) from None
    for entry in entries:
        if not _is_text(entry.name):
            raise ArchiveError(
                f"{folder}: the name {entry.name!r} is not valid UTF-8; rename the file"
            )
    return entries, (status.st_dev, status.st_ino)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_junk(name: str) -> bool:
    return name.startswith(_JUNK_PREFIXES) or name.lower() in _JUNK_NAMES


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
