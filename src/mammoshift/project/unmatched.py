"""Why no table of a stranger's folder names its images, and what would mend it.

Nothing here quotes a cell or the name of an image.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mammoshift.archives.tables import sheet_names
from mammoshift.errors import ArchiveError
from mammoshift.project.labels import quoted

if TYPE_CHECKING:
    from mammoshift.project.folder import Contents, Table

LISTED = 5
"""So many names of tables and columns are written out."""


def plain_path(cell: str) -> str:
    """Return a path as the listing writes it."""
    return str(PurePosixPath(cell.replace("\\", "/")))


def listed(names: Sequence[str]) -> str:
    """Return some names, and how many there are beyond those."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def names_no_image(
    contents: Contents, tables: Sequence[Table], columns: Collection[str] | None = None
) -> ArchiveError:
    """Return why no table fits, with what would mend it where that can be seen.

    Parameters
    ----------
    contents
        What lies in the folder.
    tables
        Those that were looked at.
    columns
        The columns that may hold the paths; None is all of a table.
    """
    for table in tables:
        for column in table.columns if columns is None else columns:
            cells = {plain_path(cell) for cell in table.cells(column) if cell}
            for fits, said in _NEARLY:
                if fits(cells, contents.images):
                    where = f"{contents.root}: column {column!r} of {table.path}"
                    return ArchiveError(f"{where} {said}")
    which = "no column" if columns is None else f"not column {listed(list(map(repr, columns)))}"
    sheets = " ".join(filter(None, (sheets_of(contents.root / t.path) for t in tables)))
    return ArchiveError(
        f"{contents.root}: {which} of {listed([table.path for table in tables])} names one of the "
        f"{len(contents.images)} images; a column must hold their paths, relative to the folder, "
        f"and the first row the names of the columns{f'. {sheets}' if sheets else ''}"
    )


def sheets_of(table: Path) -> str:
    """Return which sheet of a workbook is read, and which are not; empty where there is one."""
    if table.suffix.lower() != ".xlsx":
        return ""
    first, *others = (quoted(name) for name in sheet_names(table))
    if not others:
        return ""
    return (
        f"Of {table.name} the first sheet is read, {first}, and not {listed(others)}; move the "
        "sheet with the images to the front"
    )


def _elsewhere(cells: set[str], images: Collection[str]) -> bool:
    return _share_one(cells, images, lambda path: PurePosixPath(path).name)


def _without_suffix(cells: set[str], images: Collection[str]) -> bool:
    stems = {PurePosixPath(path).stem for path in images}
    return any(PurePosixPath(cell).name in stems for cell in cells)


def _in_other_letters(cells: set[str], images: Collection[str]) -> bool:
    return _share_one(cells, images, str.casefold)


def _in_other_accents(cells: set[str], images: Collection[str]) -> bool:
    return _share_one(cells, images, lambda path: unicodedata.normalize("NFC", path))


def _share_one(cells: set[str], images: Collection[str], form: Callable[[str], str]) -> bool:
    return not {form(cell) for cell in cells}.isdisjoint(map(form, images))


_NEARLY: tuple[tuple[Callable[[set[str], Collection[str]], bool], str], ...] = (
    (
        _in_other_letters,
        "names images in other capitals than the files have, which are other files here; write "
        "them as the folder does",
    ),
    (
        _in_other_accents,
        "writes accents in another Unicode form than the names of the files, as macOS and Windows "
        "do; name the files without accents, and write that into the table",
    ),
    (
        _elsewhere,
        "names images, but not where they lie; write paths relative to the folder, as in "
        "images/NAME, or put the table beside the images",
    ),
    (
        _without_suffix,
        "names images without their suffix; write the whole name of the file",
    ),
)
"""Ways in which a column nearly names the images, each with what is said of it."""
