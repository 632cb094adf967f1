"""How many images a dataset has, as far as that can be known without reading one."""

from __future__ import annotations

from pathlib import Path

from mammoshift.archives.adapters.csv import Options
from mammoshift.archives.tables import read_rows
from mammoshift.configuration.load import Project
from mammoshift.errors import ArchiveError


def image_count(project: Project, dataset: str) -> int | None:
    """Return the rows of a user's own table, or else the images that a dataset states.

    None where neither is there: a plan is made without data.
    """
    record = project.datasets[dataset]
    stated = record.expected_images
    if record.twin is not None or not isinstance(record.options, Options):
        return stated
    table = project.archive_root(dataset, Path()) / record.options.table
    try:
        return sum(1 for _ in read_rows(table, [])) if table.is_file() else stated
    except ArchiveError:
        return None
