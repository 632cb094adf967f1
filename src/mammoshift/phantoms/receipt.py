"""What a twin consists of: every file with its size and hash."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mammoshift.files import sha256_of_file, write_text_atomically


@dataclass(frozen=True)
class WrittenFile:
    """One file of the archive; `path` is relative to its root, with forward slashes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class TwinReceipt:
    """The whole archive, sorted by path."""

    layout: str
    files: tuple[WrittenFile, ...]

    def to_json(self) -> str:
        """Return the receipt as JSON with one line for each file."""
        files = ",\n    ".join(json.dumps(asdict(file)) for file in self.files)
        return f'{{\n  "layout": {json.dumps(self.layout)},\n  "files": [\n    {files}\n  ]\n}}\n'

    def write(self, path: Path) -> None:
        """Write the receipt as JSON, whole or not at all."""
        write_text_atomically(path, self.to_json())


def receipt_of(layout: str, root: Path) -> TwinReceipt:
    """Hash every file below `root`."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return TwinReceipt(
        layout,
        tuple(
            WrittenFile(path.relative_to(root).as_posix(), path.stat().st_size, digest)
            for path, digest in ((path, sha256_of_file(path)) for path in files)
        ),
    )
