"""The record of a gallery: the hits and misses of an arm, each a picture under an opaque name."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from mammoshift.errors import TableError
from mammoshift.files import write_text_atomically

Kind = Literal["hit", "miss"]


@dataclass(frozen=True)
class ShownCase:
    """One case of a gallery.

    Attributes
    ----------
    domain
        Where it is judged.
    kind
        A miss lies on the wrong side of most cases of the other class, a hit on the right side.
    positive
        Its label.
    logit
        Mean over the models that judge it.
    placement
        Share of the other class's cases that it is on the right side of: 1 is the most confident
        hit, 0 the most confident miss. The mean over the positive cases is the AUC.
    models
        How many models' maps the heat is the mean of.
    picture, sha256
        A file beside the record, and the hash of its content.
    height, width
        Of the picture, in pixels.
    note
        What was assumed or found of the image.
    """

    domain: str
    kind: Kind
    positive: bool
    logit: float
    placement: float
    models: int
    picture: str
    sha256: str
    height: int
    width: int
    note: str


@dataclass(frozen=True)
class GalleryRecord:
    """The gallery of an arm; `domains` are those that were looked at, in the study's order."""

    arm: str
    domains: tuple[str, ...]
    cases: tuple[ShownCase, ...]


def write_gallery_record(record: GalleryRecord, path: Path) -> None:
    """Write the record of a gallery as JSON."""
    write_text_atomically(path, json.dumps(asdict(record), indent=1) + "\n")


def read_gallery_record(path: Path) -> GalleryRecord:
    """Read what `write_gallery_record` wrote.

    Raises
    ------
    TableError
        If it is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cases = tuple(ShownCase(**case) for case in content["cases"])
        return GalleryRecord(content["arm"], tuple(content["domains"]), cases)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise TableError(f"{path}: no record of a gallery; delete it and run again") from None
