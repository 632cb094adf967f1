"""The galleries as the report shows them: each picture inside the page, with what it is."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from mammoshift.configuration.judged import ReportSettings
from mammoshift.contracts.gallery import ShownCase, read_gallery_record
from mammoshift.errors import TableError
from mammoshift.report.formatting import typographic


@dataclass(frozen=True)
class CaseView:
    """One case: its picture as a data URI, its size, what it is and where it is ranked."""

    source: str
    width: int
    height: int
    title: str
    text: str


@dataclass(frozen=True)
class GalleryView:
    """The hits and misses of one arm on one domain."""

    arm: str
    domain: str
    hits: tuple[CaseView, ...]
    misses: tuple[CaseView, ...]


def gallery_views(settings: ReportSettings, records: tuple[Path, ...]) -> tuple[GalleryView, ...]:
    """Return the galleries, arm by arm, each with its domains in the order of the record.

    Raises
    ------
    TableError
        If a record or a picture is not what was written, or of an arm that the study has not.
    """
    views = []
    for path in records:
        record = read_gallery_record(path)
        if record.arm not in settings.arm_names:
            raise TableError(f"{path}: a gallery of {record.arm}, not an arm of this study")
        for domain in record.domains:
            own = [case for case in record.cases if case.domain == domain]
            hits, misses = (
                tuple(_case(case, path.parent) for case in own if case.kind == kind)
                for kind in ("hit", "miss")
            )
            views.append(GalleryView(record.arm, domain, hits, misses))
    return tuple(views)


def _case(case: ShownCase, folder: Path) -> CaseView:
    path = folder / Path(case.picture).name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: the picture cannot be read: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != case.sha256:
        raise TableError(
            f"{path}: is not the picture that its record lists; delete gallery.json beside it and "
            "run again"
        )
    others, side = ("negative", "above") if case.positive else ("positive", "below")
    text = f"ranked {side} {case.placement:.0%} of the {others} cases, logit {case.logit:+.2f}"
    return CaseView(
        source=f"data:image/jpeg;base64,{base64.b64encode(content).decode('ascii')}",
        width=case.width,
        height=case.height,
        title="Positive case" if case.positive else "Negative case",
        text=typographic(f"{text}; {case.note}" if case.note else text),
    )
