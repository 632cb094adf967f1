"""What lies in an archive's folder: file names, sizes and keys of their content.

Standard library only: this is imported while Snakemake parses.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mammoshift.errors import ArchiveError

_BLOCK = 64 * 1024
_JUNK_NAMES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "lost+found"})
_JUNK_PREFIXES = (".", "~$")
_TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".xlsx", ".xls", ".json", ".xml"})
_LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file: its path relative to the root, with forward slashes, and its size in bytes."""

    path: str
    size: int


def iterate_files(root: Path) -> Iterator[ListedFile]:
    """Yield the regular files below `root`, each folder's entries in the order of their names.

    Hidden files and what operating systems and office programs leave behind (`.DS_Store`,
    `._*`, `~$*`, `Thumbs.db`) are passed over. Links are followed, so that an archive may be
    put together from several disks; a link that leads nowhere, or to a folder that was listed
    already or lies above it, is passed over.

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
    while open_folders:
        remaining, prefix, _ = open_folders[-1]
        entry = next(remaining, None)
        if entry is None:
            open_folders.pop()
            continue
        try:
            if entry.is_dir():
                entries, identity = _entries(entry.path)
                above = {identity for _, _, identity in open_folders}
                if identity not in (listed if entry.is_symlink() else above):
                    open_folders.append((iter(entries), f"{prefix}{entry.name}/", identity))
                    listed.add(identity)
            elif entry.is_file():
                yield ListedFile(prefix + entry.name, entry.stat().st_size)
        except OSError as error:
            if error.errno not in _LEADS_NOWHERE:
                raise ArchiveError(
                    f"{entry.path}: the link or file cannot be read: {error.strerror}; check its "
                    "permissions"
                ) from None


def listing_digest(root: Path) -> str:
    """Return a digest of the paths and sizes below `root`, or `absent` where there is no folder.

    No file is opened, so half a million files take seconds; a change that keeps a file's size
    is not seen.
    """
    if not root.is_dir():
        return "absent"
    digest = hashlib.sha256()
    for file in iterate_files(root):
        digest.update(f"{file.path}\0{file.size}\n".encode())
    return digest.hexdigest()[:32]


def content_key(path: Path) -> str:
    """Return 24 hexadecimal digits that follow from a file's size and three of its blocks.

    The blocks of 64 KiB lie at the start, in the middle and at the end. The key does not depend
    on name or times, and costs the same for a file of any size.
    """
    digest = hashlib.blake2b(digest_size=12)
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        digest.update(size.to_bytes(8, "little"))
        if size <= 3 * _BLOCK:
            digest.update(stream.read(3 * _BLOCK))
        else:
            for offset in (0, (size - _BLOCK) // 2, size - _BLOCK):
                stream.seek(offset)
                digest.update(stream.read(_BLOCK))
    return digest.hexdigest()


def table_key(path: Path) -> str:
    """Return 24 hexadecimal digits that follow from all of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=12)).hexdigest()


def change_key(path: Path) -> str:
    """Return the key that tells a changed file: of all of a table, and of blocks of an image.

    One cell of a table may change anywhere and keep its length; tables are told by their suffix.
    """
    return table_key(path) if path.suffix.lower() in _TABLE_SUFFIXES else content_key(path)


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
