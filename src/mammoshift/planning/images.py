"""How many images a dataset has, as far as that can be known without reading one."""

from __future__ import annotations

from pathlib import Path

from mammoshift.archives.adapters.csv import Options
from mammoshift.archives.tables import read_rows
from mammoshift.configuration.load import Project
from mammoshift.errors import ArchiveError


def image_count(project: Project, dataset: str) -> int | None:
    """Return the images that a dataset states, or else the rows of a user's own table.

    None where neither is there: a plan is made without data.
    """
    record = project.datasets[dataset]
    if record.expected_images is not None or record.twin is not None:
        return record.expected_images
    if not isinstance(record.options, Options):
        return None
    table = project.archive_root(dataset, Path()) / record.options.table
    try:
        return sum(1 for _ in read_rows(table, [])) if table.is_file() else None
    except ArchiveError:
        return None
