"""The record of a contact sheet: which images of a dataset a picture shows, by opaque names."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mammoshift.errors import TableError
from mammoshift.files import write_text_atomically


@dataclass(frozen=True)
class ShownImage:
    """What a sheet says of one image; `name` is opaque."""

    name: str
    filled_share: float
    certainty: float
    breast_found: bool


@dataclass(frozen=True)
class SheetRecord:
    """A contact sheet: of which dataset, its picture (a file beside the record), and its images.

    `images` is the number that `shown` was chosen from; `height` and `width` are the picture's.
    """

    dataset: str
    picture: str
    height: int
    width: int
    images: int
    shown: tuple[ShownImage, ...]


def write_record(record: SheetRecord, path: Path) -> None:
    """Write the record of a sheet as JSON."""
    write_text_atomically(path, json.dumps(asdict(record), indent=1) + "\n")


def read_record(path: Path) -> SheetRecord:
    """Read what `write_record` wrote.

    Raises
    ------
    TableError
        If it is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        shown = tuple(ShownImage(**image) for image in content.pop("shown"))
        return SheetRecord(**content, shown=shown)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise TableError(f"{path}: no record of a contact sheet; delete it and run again") from None
