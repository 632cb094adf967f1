"""What lies in a stranger's folder: images, tables, and which table describes the images.

A message of this module counts and names columns and files of tables; it never quotes a cell or
the name of an image, which may name a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mammoshift.archives.adapters.csv import SUFFIXES
from mammoshift.archives.listing import iterate_files
from mammoshift.archives.tables import TableRow, read_rows
from mammoshift.errors import ArchiveError

IMAGE_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".pgm"})
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
FOUND_BY_ITSELF = frozenset({".csv", ".tsv", ".xlsx"})
"""Suffixes of what is surely a table; a text file is one where it is named."""

_DICOM_MARK, _MARK_AT = b"DICM", 128
_TWO_BYTES = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Contents:
    """The images and tables below a folder, as paths relative to it with forward slashes."""

    root: Path
    images: frozenset[str]
    tables: tuple[str, ...]

    @property
    def is_dicom(self) -> bool:
        """Whether no image is of another format than DICOM."""
        return all(
            PurePosixPath(path).suffix.lower() in DICOM_SUFFIXES | {""} for path in self.images
        )


@dataclass(frozen=True)
class Table:
    """A table of the folder: its path, its columns in their order, and its rows."""

    path: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]

    def cells(self, column: str) -> list[str]:
        """Return the texts of one column."""
        return [row.cells[column] for row in self.rows]


@dataclass(frozen=True)
class Described:
    """The table that describes the images of a folder.

    `image` is its column of paths, relative to `root`, and `present` the number of rows whose file
    is there.
    """

    root: Path
    table: Table
    image: str
    present: int


def look_at(root: Path) -> Contents:
    """List a folder.

    Raises
    ------
    ArchiveError
        If there is no such folder, or not one image in it.
    """
    if root.is_file():
        raise ArchiveError(
            f"{root}: is a file; give the folder that holds the images and the table, "
            f"{root.parent}, and name a table with --table"
        )
    if not root.is_dir():
        raise ArchiveError(f"{root}: there is no such folder")
    images, tables = set(), []
    for file in iterate_files(root, links_may_leave=False):
        suffix = PurePosixPath(file.path).suffix.lower()
        if suffix in IMAGE_SUFFIXES | DICOM_SUFFIXES or (not suffix and _is_dicom(root, file.path)):
            images.add(file.path)
        elif suffix in FOUND_BY_ITSELF:
            tables.append(file.path)
    if not images:
        raise ArchiveError(
            f"{root}: there is no image; images are DICOM (.dcm, or without a suffix), PNG, TIFF, "
            "JPEG or PGM files"
        )
    return Contents(root, frozenset(images), tuple(tables))


def described(contents: Contents, table: str | None, image: str | None) -> Described:
    """Return the table that names the images, and its column of paths.

    Parameters
    ----------
    contents
        What lies in the folder.
    table
        Path of the table, relative to the folder; None to find it.
    image
        The column of paths; None to find it by what it holds.

    Raises
    ------
    ArchiveError
        If there is no table, there are several, or the table names no image that is there.
    """
    names = [_named(contents, table)] if table else list(contents.tables)
    if not names:
        raise _no_table(contents)
    tables = [read_table(contents.root / name, name) for name in names]
    found = [
        match for candidate in tables if (match := _match(contents, candidate, image)) is not None
    ]
    if len(found) > 1:
        raise ArchiveError(
            f"{contents.root}: there are several tables that name images: "
            f"{', '.join(match.table.path for match in found)}; choose one with --table"
        )
    if not found:
        raise _names_no_image(contents, tables, image)
    _check_has_header(contents, found[0].table)
    return found[0]


def read_table(path: Path, name: str) -> Table:
    """Read a table with a header.

    Raises
    ------
    ArchiveError
        If it cannot be read, or has no row below its header.
    """
    _check_is_text(path)
    rows = tuple(read_rows(path, []))
    if not rows:
        raise ArchiveError(f"{path}: the table has no row below its header")
    return Table(name, tuple(column for column in rows[0].cells if column), rows)


def _check_has_header(contents: Contents, table: Table) -> None:
    """Refuse a table whose first row names an image, and quote nothing of it."""
    if any(_plain(column) in contents.images for column in table.columns):
        raise ArchiveError(
            f"{contents.root / table.path}: its first row names an image and no columns; write a "
            "header above it, such as file,label,patient"
        )


def _check_is_text(path: Path) -> None:
    """Refuse a table of text with two bytes for each character, as spreadsheets may write."""
    with path.open("rb") as stream:
        begin = stream.read(4)
    if begin[:2] in _TWO_BYTES and not path.name.lower().endswith(".xlsx"):
        raise ArchiveError(
            f"{path}: is text in UTF-16, such as a spreadsheet's 'Unicode text'; export it as "
            "'CSV UTF-8'"
        )


def _match(contents: Contents, table: Table, image: str | None) -> Described | None:
    """Return the table with its column of paths; None when no column names an image."""
    if image is not None and image not in table.columns:
        raise ArchiveError(
            f"{contents.root / table.path}: there is no column {image!r}; it has "
            f"{', '.join(map(repr, table.columns))}"
        )
    folder = str(PurePosixPath(table.path).parent)
    for prefix in dict.fromkeys(("", "" if folder == "." else f"{folder}/")):
        count = {
            column: sum(f"{prefix}{_plain(cell)}" in contents.images for cell in set_of)
            for column, set_of in _distinct(table, image)
        }
        best = max(count, key=lambda column: count[column])
        if count[best]:
            name = table.path[len(prefix) :]
            return Described(
                contents.root / prefix, Table(name, table.columns, table.rows), best, count[best]
            )
    return None


def _distinct(table: Table, image: str | None) -> list[tuple[str, set[str]]]:
    columns = table.columns if image is None else (image,)
    return [(column, set(table.cells(column))) for column in columns]


def _plain(cell: str) -> str:
    """Return a path as the listing writes it."""
    return str(PurePosixPath(cell.replace("\\", "/")))


def _named(contents: Contents, table: str) -> str:
    """Return the path of a table that was named, relative to the folder."""
    for candidate in (contents.root / table, Path(table)):
        if candidate.is_file():
            if not candidate.name.lower().endswith(SUFFIXES):
                raise ArchiveError(
                    f"{table}: a table ends in {', '.join(SUFFIXES)}; export it as CSV"
                )
            try:
                return candidate.resolve().relative_to(contents.root.resolve()).as_posix()
            except ValueError:
                raise ArchiveError(
                    f"{table}: the table must lie below {contents.root}; copy it there"
                ) from None
    raise ArchiveError(f"{table}: there is no such table, neither here nor below {contents.root}")


def _no_table(contents: Contents) -> ArchiveError:
    kind = "DICOM files" if contents.is_dicom else "images"
    return ArchiveError(
        f"{contents.root}: there are {len(contents.images)} {kind} and no table (.csv, .tsv or "
        ".xlsx). A label for each image is needed: write a table with the columns file, label and, "
        "if known, patient, one row for each image, and put it into the folder"
    )


def _names_no_image(contents: Contents, tables: Sequence[Table], image: str | None) -> ArchiveError:
    """Return why no table fits, with what would mend it where that can be seen."""
    where = ", ".join(table.path for table in tables)
    column = "no column" if image is None else f"column {image!r}"
    names = {PurePosixPath(path).name for path in contents.images}
    stems = {PurePosixPath(path).stem for path in contents.images}
    for table in tables:
        for name, cells in _distinct(table, image):
            plain = {_plain(cell) for cell in cells if cell}
            if any(PurePosixPath(cell).name in names for cell in plain):
                return ArchiveError(
                    f"{contents.root}: column {name!r} of {table.path} names images, but not where "
                    "they lie; write paths relative to the folder, as in images/NAME, or put the "
                    "table beside the images"
                )
            if any(PurePosixPath(cell).name in stems for cell in plain):
                return ArchiveError(
                    f"{contents.root}: column {name!r} of {table.path} names images without their "
                    "suffix; write the whole name of the file"
                )
    return ArchiveError(
        f"{contents.root}: {column} of {where} names one of the {len(contents.images)} images; a "
        "column must hold their paths, relative to the folder"
    )


def _is_dicom(root: Path, path: str) -> bool:
    try:
        with (root / path).open("rb") as stream:
            return stream.read(_MARK_AT + len(_DICOM_MARK))[_MARK_AT:] == _DICOM_MARK
    except OSError:
        return False
