"""What is remembered of an archive's files, so that only changed ones are read again.

Files are hashed whole, by the ingest job, which reads them anyway. While Snakemake plans, sizes
and times alone decide whether a file is looked at:

- a file that was never hashed is what its path and size say it is (the provisional state);
- a file with the size and time of the last look keeps its content key, unread;
- any other is read. When its content is the one that was hashed first, it still is what its path
  and size say; else it is what its content key says.

The state of a file that nobody changed is thus the same before and after the ingest job hashed
it, and touching changes nothing, while a change of content is seen whatever the size. The memory
lies beside the results that it belongs to and carries a checksum. Without it results would be
compared by path and size alone, so that an archive that was ingested and whose memory is gone or
damaged has a state of its own, and is ingested again.

Standard library only: this is imported while Snakemake parses.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mammoshift.archives.listing import ListedFile, content_key
from mammoshift.files import write_text_atomically

NAME = ".content.json"
"""Name of the memory in the folder of a dataset's manifest."""

READING_THREADS = min(16, 4 * (os.cpu_count() or 1))

_JUST_NOW_NS = 100_000_000
_UNKNOWN_TIME = -1
_MUCH_BYTES = 2 * 1024**3


class Look(NamedTuple):
    """A file as it was last read, and the key of its content when it was read first."""

    size: int
    mtime_ns: int
    key: str
    first: str


@dataclass
class ContentMemory:
    """The files of one archive that were read, by their paths relative to its root.

    `looks` were read before, `news` by this process, `recent` of them right after a write.
    Entries are never dropped, so that a file that comes back is compared with what it was.
    """

    looks: dict[str, Look] = field(default_factory=dict)
    news: dict[str, Look] = field(default_factory=dict)
    recent: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, file: Path) -> ContentMemory:
        """Return the memory kept in `file`; an empty one where there is none or it is damaged."""
        return cls(_read(file))

    def save(self, file: Path) -> None:
        """Add what was learned to `file`, keeping what others added meanwhile."""
        if self.news:
            # A write within the resolution of the clock would go unseen: such a file is read again.
            news = {
                path: look._replace(mtime_ns=_UNKNOWN_TIME) if path in self.recent else look
                for path, look in self.news.items()
            }
            looks = _read(file) | news
            rows = {p: [k.size, k.mtime_ns, k.key, k.first] for p, k in sorted(looks.items())}
            text = json.dumps({"files": rows})
            write_text_atomically(file, f"{_checksum(text)}\n{text}")

    def key(self, root: Path, path: str) -> str:
        """Return the content key of a file, which is read only when it looks changed.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        status = (root / path).stat()
        return self._key(root, ListedFile(path, status.st_size, status.st_mtime_ns))

    def holds(self, root: Path, path: str, key: str) -> bool:
        """Tell whether a file has a content; one that cannot be read is left to its reader."""
        try:
            return self.key(root, path) == key
        except OSError:
            return True

    def learn(self, root: Path, files: Iterable[ListedFile]) -> None:
        """Read all files that were never read or look changed; unreadable ones are passed over."""

        def look(file: ListedFile) -> None:
            try:
                self._key(root, file)
            except OSError:
                return

        with ThreadPoolExecutor(READING_THREADS) as pool:
            for _ in pool.map(look, [file for file in files if self._looks_changed(file)]):
                pass

    def state(self, root: Path, file: ListedFile) -> str:
        """Return what tells this file's content from others of its path and size.

        It is empty for an image that was never read or still is what it was when it was first
        read, and the content key for any other, and for every table.
        """
        if not file.is_table and file.path not in self.looks:
            return ""
        key = self._key(root, file)
        return "" if not file.is_table and key == self._last(file.path).first else key

    def catch_up(self, root: Path, files: Iterable[ListedFile]) -> None:
        """Read, several at once, the files known by content that look changed."""
        changed = [f for f in files if f.path in self.looks and self._looks_changed(f)]
        total = sum(file.size for file in changed)
        if total > _MUCH_BYTES:
            print(
                f"{root}: {len(changed)} files ({total / 1024**3:.0f} GiB) have another time than "
                "when they were read; comparing their content",
                file=sys.stderr,
            )
        self.learn(root, changed)

    def _last(self, path: str) -> Look:
        return self.news.get(path) or self.looks[path]

    def _looks_changed(self, file: ListedFile) -> bool:
        look = self.news.get(file.path) or self.looks.get(file.path)
        return look is None or (look.size, look.mtime_ns) != (file.size, file.mtime_ns)

    def _key(self, root: Path, file: ListedFile) -> str:
        if not self._looks_changed(file):
            return self._last(file.path).key
        key = content_key(root / file.path)
        earlier = self.looks.get(file.path)
        self.news[file.path] = Look(
            file.size, file.mtime_ns, key, earlier.first if earlier else key
        )
        if time.time_ns() - file.mtime_ns < _JUST_NOW_NS:
            self.recent.add(file.path)
        return key


def changed_files(
    memory: ContentMemory, files: Iterable[ListedFile], since: float
) -> dict[str, list[str]]:
    """Return the paths of an archive's files that differ from those that are remembered.

    Parameters
    ----------
    memory
        After it has caught up with `files`.
    files
        Those that are there now.
    since
        When the archive was last read, in seconds since the epoch; a file that was replaced before
        is not named.

    Returns
    -------
    The words `replaced`, `new` and `removed`, each with the paths.
    """
    present = {file.path: file for file in files}
    replaced = [
        path
        for path, file in present.items()
        if (look := memory.looks.get(path)) is not None
        and look.key != look.first
        and file.mtime_ns > since * 1e9
    ]
    return {
        "replaced": replaced,
        "new": [path for path in present if path not in memory.looks],
        "removed": [path for path in memory.looks if path not in present],
    }


def _read(file: Path) -> dict[str, Look]:
    try:
        checksum, _, text = file.read_text(encoding="utf-8").partition("\n")
        if checksum != _checksum(text):
            return {}
        content: Any = json.loads(text)
        return {path: Look(*row) for path, row in content["files"].items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
