"""Parquet with a checksum on every page, so that a flipped bit is an error and never a number."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mammoshift.errors import DamagedFileError
from mammoshift.files import atomic_path


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table so that `path` is never seen half-written."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)


def read_table(path: Path, schema: pa.Schema | None = None) -> pa.Table:
    """Read a table that `write_table` wrote.

    Raises
    ------
    DamagedFileError
        If a page is not what was written.
    """
    try:
        return pq.read_table(path, schema=schema, page_checksum_verification=True)
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise DamagedFileError(
            f"{path}: the file is damaged ({error}); delete it and run again"
        ) from error
