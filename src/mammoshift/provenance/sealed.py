"""Small JSON records that carry a checksum of themselves, so that a flipped bit is seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammoshift.errors import DamagedFileError
from mammoshift.files import write_text_atomically

SEAL = "checksum"


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record as JSON with the hash of its content; equal records give equal bytes."""
    text = json.dumps({**content, SEAL: _seal(content)}, indent=1, sort_keys=False)
    write_text_atomically(path, text + "\n")


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Return the content of a record, None where there is no such file.

    Raises
    ------
    DamagedFileError
        If the content is not what was written.
    """
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path}: the record is damaged ({error}); delete it") from error
    if not isinstance(content, dict) or content.pop(SEAL, None) != _seal(content):
        raise DamagedFileError(f"{path}: the record is not what was written; delete it")
    return content


def _seal(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
