"""The contact sheets as the report shows them: each picture inside the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from mammoshift.configuration.judged import ReportSettings
from mammoshift.contracts.contact_sheet import read_record
from mammoshift.errors import TableError


@dataclass(frozen=True)
class SheetView:
    """One contact sheet: whose it is, what it shows, and the picture as a data URI."""

    dataset: str
    title: str
    shown: int
    images: int
    without_breast: int
    width: int
    height: int
    source: str


def sheet_views(settings: ReportSettings, records: tuple[Path, ...]) -> tuple[SheetView, ...]:
    """Return the contact sheets in the order of the study's datasets.

    Raises
    ------
    TableError
        If a record or its picture cannot be read, or is of a dataset that the study has not.
    """
    views: dict[str, SheetView] = {}
    names = [dataset.name for dataset in settings.datasets]
    for path in records:
        record = read_record(path)
        if record.dataset not in names:
            raise TableError(f"{path}: a contact sheet of {record.dataset}, not of this study")
        try:
            picture = path.with_name(Path(record.picture).name).read_bytes()
        except OSError as error:
            raise TableError(f"{path}: its picture cannot be read: {error.strerror}") from None
        views[record.dataset] = SheetView(
            dataset=record.dataset,
            title=settings.dataset(record.dataset).title,
            shown=len(record.shown),
            images=record.images,
            without_breast=sum(not image.breast_found for image in record.shown),
            width=record.width,
            height=record.height,
            source=f"data:image/jpeg;base64,{base64.b64encode(picture).decode('ascii')}",
        )
    return tuple(views[name] for name in names if name in views)
