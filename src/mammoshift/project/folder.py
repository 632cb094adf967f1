"""What lies in a stranger's folder: images, tables, and which table describes the images.

A message of this module counts and names columns and files of tables; it never quotes a cell or
the name of an image, which may name a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mammoshift.archives.adapters.csv import SUFFIXES
from mammoshift.archives.listing import iterate_files
from mammoshift.archives.tables import TableRow, read_rows, read_text
from mammoshift.errors import ArchiveError
from mammoshift.project.unmatched import listed, names_no_image, plain_path

IMAGE_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".pgm"})
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
FOUND_BY_ITSELF = frozenset({".csv", ".tsv", ".xlsx"})
"""Suffixes of what is surely a table; a text file is one where it is named."""

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabulators"}
"""What may divide the cells of a text, and its name."""

OTHER_TABLES = frozenset({".xls", ".xlsm", ".ods", ".numbers", ".sav", ".txt"})
"""Suffixes of what may be a table and is not read by itself."""

_DICOM_MARK, _MARK_AT = b"DICM", 128
_TWO_BYTES = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Contents:
    """The images and tables below a folder, as paths relative to it with forward slashes.

    `others` are files that may be tables of a kind that is not read by itself.
    """

    root: Path
    images: frozenset[str]
    tables: tuple[str, ...]
    others: tuple[str, ...] = ()

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
        raise ArchiveError(f"{root}: there is no such folder; {_nearest(root)} is there")
    if (root / "Snakefile").is_file():
        raise ArchiveError(
            f"{root.resolve()}: is this project's own folder; give the one with your images. A "
            "variable such as $CLINIC may not be set in this shell"
        )
    images, tables, others = set(), [], []
    for file in iterate_files(root, links_may_leave=False):
        suffix = PurePosixPath(file.path).suffix.lower()
        if suffix in IMAGE_SUFFIXES | DICOM_SUFFIXES or (not suffix and _is_dicom(root, file.path)):
            images.add(file.path)
        elif suffix in FOUND_BY_ITSELF:
            tables.append(file.path)
        elif suffix in OTHER_TABLES:
            others.append(file.path)
    if not images:
        raise ArchiveError(
            f"{root}: there is no image; images are DICOM (.dcm, or without a suffix), PNG, TIFF, "
            "JPEG or PGM files"
        )
    return Contents(root, frozenset(images), tuple(tables), tuple(others))


def _nearest(path: Path) -> Path:
    """Return the part of a path that leads to a folder that is there."""
    return next(folder for folder in path.absolute().parents if folder.is_dir())


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
            f"{listed([match.table.path for match in found])}; choose one with --table"
        )
    if not found:
        raise names_no_image(contents, tables, None if image is None else (image,))
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
    if path.suffix.lower() != ".xlsx":
        _check_one_delimiter(path)
    rows = tuple(read_rows(path, []))
    if not rows:
        raise ArchiveError(f"{path}: the table has no row below its header")
    return Table(name, tuple(column for column in rows[0].cells if column), rows)


def _check_has_header(contents: Contents, table: Table) -> None:
    """Refuse a table whose first row names an image, and quote nothing of it."""
    if any(plain_path(column) in contents.images for column in table.columns):
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


def _check_one_delimiter(path: Path) -> None:
    """Refuse a text whose header is divided by another character than a row below it."""
    header, *rows = read_text(path).splitlines() or [""]
    mark = max(DELIMITERS, key=header.count)
    if mark not in header:
        return
    for number, row in enumerate(rows, start=2):
        other = max(DELIMITERS, key=row.count)
        if mark not in row and row.count(other) >= header.count(mark):
            raise ArchiveError(
                f"{path}: the header is divided by {DELIMITERS[mark]} and row {number} by "
                f"{DELIMITERS[other]}; write one of them in all rows"
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
            column: sum(f"{prefix}{plain_path(cell)}" in contents.images for cell in set_of)
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
    if contents.others:
        return ArchiveError(
            f"{contents.root}: there are {len(contents.images)} {kind} and no table (.csv, .tsv or "
            f".xlsx) but {listed(contents.others)}; name a text file with --table, save another "
            "kind as CSV (UTF-8) or .xlsx"
        )
    return ArchiveError(
        f"{contents.root}: there are {len(contents.images)} {kind} and no table (.csv, .tsv or "
        ".xlsx). A label for each image is needed: write a table with the columns file, label and, "
        "if known, patient, one row for each image, and put it into the folder"
    )


def _is_dicom(root: Path, path: str) -> bool:
    try:
        with (root / path).open("rb") as stream:
            return stream.read(_MARK_AT + len(_DICOM_MARK))[_MARK_AT:] == _DICOM_MARK
    except OSError:
        return False
