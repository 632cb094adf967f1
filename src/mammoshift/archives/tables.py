"""Tables that come with archives: CSV and XLSX, read as text and with bounds.

Nothing in them is evaluated: a cell that looks like a formula is text, and a workbook is read
for the values that it stores.
"""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammoshift.errors import ArchiveError

MAXIMUM_CSV_BYTES = 1024**3
MAXIMUM_XLSX_BYTES = 64 * 1024**2
MAXIMUM_XLSX_RATIO = 200
"""How far a part of a workbook may unpack: a table reaches ten to thirty times its packed size,
and a megabyte of empty elements, which takes a hundred megabytes of memory, eight hundred."""
MAXIMUM_XLSX_MEMBERS = 2000
MAXIMUM_SHEET_ROWS = 200_000
MAXIMUM_SHEET_COLUMNS = 64
_DELIMITERS = (",", ";", "\t")
_XML_HEAD_BYTES = 64 * 1024
_SMALL_PART_BYTES = 1024**2
_NAMES_SHOWN, _NAME_SHOWN = 40, 80


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table with a header.

    `number` is the row's place as a spreadsheet counts, the header being row 1; `cells` maps
    a column's name to its text, without blanks and line ends around it.
    """

    number: int
    cells: dict[str, str]


def read_rows(path: Path, wanted: Sequence[str]) -> Iterator[TableRow]:
    """Yield the rows of a table with a header: of an .xlsx workbook its first sheet's, else CSV.

    Raises
    ------
    ArchiveError
        As `read_csv` and `read_sheet_with_header`.
    """
    if path.suffix.lower() == ".xlsx":
        return read_sheet_with_header(path, wanted)
    return read_csv(path, wanted)


def read_csv(path: Path, wanted: Sequence[str]) -> Iterator[TableRow]:
    """Yield the rows of a CSV file that has at least the columns `wanted`.

    The text is UTF-8, with or without a byte order mark, or else Latin-1; the delimiter is the
    one of comma, semicolon and tabulator that the header uses most. Rows without any text are
    passed over.

    Raises
    ------
    ArchiveError
        If a column is missing or occurs twice, a row has more cells than the header, or the
        file is too large or cannot be parsed.
    """
    text = read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(path, header, wanted)
        for number, cells in enumerate(reader, start=2):
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            if len(cells) > len(header) and any(stripped[len(header) :]):
                raise ArchiveError(
                    f"{path}: row {number} has {len(cells)} cells and the header {len(header)}; "
                    "quote cells that hold the delimiter"
                )
            stripped += [""] * (len(header) - len(stripped))
            yield TableRow(number, dict(zip(header, stripped, strict=False)))
    except csv.Error as error:
        raise ArchiveError(f"{path}: line {reader.line_num} is not valid CSV: {error}") from None


def read_sheet(path: Path, sheet: str | None = None) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the number, from 1, and the cells of each row of a workbook's sheet, as text.

    `sheet` is matched without regard to case and blanks around it; None is the first sheet.
    Empty cells are empty texts and left off at the end of a row; a whole number has no decimal
    point; rows without any text are passed over.

    Raises
    ------
    ArchiveError
        If the file is no workbook, larger than the bounds of this module, or lacks the sheet.
    """
    import openpyxl

    _check_workbook_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            worksheet = workbook[_sheet_name(path, workbook.sheetnames, sheet)]
            # The dimensions that a workbook states of itself may be wrong or absurd.
            worksheet.reset_dimensions()
            rows = worksheet.iter_rows(max_col=MAXIMUM_SHEET_COLUMNS, values_only=True)
            for number, values in enumerate(rows, start=1):
                if number > MAXIMUM_SHEET_ROWS:
                    raise ArchiveError(
                        f"{path}: the sheet has more than {MAXIMUM_SHEET_ROWS} rows; it is not "
                        "the workbook of this archive"
                    )
                cells = [_cell_text(value) for value in values]
                while cells and not cells[-1]:
                    cells.pop()
                if cells:
                    yield number, tuple(cells)
        finally:
            workbook.close()
    except ArchiveError:
        raise
    except Exception:  # noqa: BLE001 - a parser fed with hostile bytes may raise anything
        raise ArchiveError(
            f"{path}: not a workbook that can be read; open and save it again as .xlsx, or fetch "
            "it again"
        ) from None


def sheet_names(path: Path) -> tuple[str, ...]:
    """Return the names of a workbook's sheets, the first of which is read by default.

    Raises
    ------
    ArchiveError
        If the file is no workbook, or larger than the bounds of this module.
    """
    import openpyxl

    _check_workbook_size(path)
    try:
        workbook = openpyxl.load_workbook(path, read_only=True)
        names = tuple(map(str, workbook.sheetnames))
        workbook.close()
    except Exception:  # noqa: BLE001 - a parser fed with hostile bytes may raise anything
        raise ArchiveError(f"{path}: not a workbook that can be read") from None
    return names


def read_sheet_with_header(
    path: Path, wanted: Sequence[str], sheet: str | None = None
) -> Iterator[TableRow]:
    """Yield the rows of a sheet whose first row names at least the columns `wanted`.

    Raises
    ------
    ArchiveError
        As `read_sheet`, and if a column is missing or occurs twice.
    """
    rows = read_sheet(path, sheet)
    _, first = next(rows, (1, ()))
    _check_header(path, [name for name in first if name], wanted)
    for number, cells in rows:
        named = {name: cell for name, cell in zip(first, cells, strict=False) if name}
        yield TableRow(number, {name: named.get(name, "") for name in first if name})


def read_text(path: Path, maximum_bytes: int | None = None) -> str:
    """Return a text file's content: UTF-8, with or without a byte order mark, or else Latin-1.

    Raises
    ------
    ArchiveError
        If the file cannot be read or has more than `maximum_bytes` (`MAXIMUM_CSV_BYTES`).
    """
    try:
        size = path.stat().st_size
        if size > (maximum_bytes or MAXIMUM_CSV_BYTES):
            raise ArchiveError(f"{path}: {size} bytes are too many for a table or text")
        content = path.read_bytes()
    except OSError as error:
        raise ArchiveError(f"{path}: the file cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _delimiter(text: str) -> str:
    end = text.find("\n")
    return max(_DELIMITERS, key=text[: end if end >= 0 else None].count)


def _check_header(path: Path, header: list[str], wanted: Sequence[str]) -> None:
    missing = [column for column in wanted if column not in header]
    if missing:
        shown = ", ".join(repr(name[:_NAME_SHOWN]) for name in header[:_NAMES_SHOWN])
        more = f" and {len(header) - _NAMES_SHOWN} more" if len(header) > _NAMES_SHOWN else ""
        raise ArchiveError(
            f"{path}: the header lacks {', '.join(map(repr, missing))}; it has "
            f"{shown or 'no columns'}{more}"
        )
    twice = sorted({column for column in wanted if header.count(column) > 1})
    if twice:
        raise ArchiveError(f"{path}: the header names {', '.join(map(repr, twice))} twice")


def _check_workbook_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > MAXIMUM_XLSX_BYTES or len(members) > MAXIMUM_XLSX_MEMBERS:
                raise ArchiveError(
                    f"{path}: the workbook unpacks to {total} bytes in {len(members)} parts, more "
                    f"than {MAXIMUM_XLSX_BYTES} or {MAXIMUM_XLSX_MEMBERS}; it is not read"
                )
            for member in members:
                ratio = member.file_size / max(member.compress_size, 1)
                if member.file_size > _SMALL_PART_BYTES and ratio > MAXIMUM_XLSX_RATIO:
                    raise ArchiveError(
                        f"{path}: a part of the workbook unpacks to {ratio:.0f} times its size, "
                        f"more than {MAXIMUM_XLSX_RATIO}; it is not read"
                    )
                if not member.filename.endswith((".xml", ".rels")):
                    continue
                with archive.open(member) as stream:
                    if b"<!DOCTYPE" in stream.read(_XML_HEAD_BYTES).upper():
                        raise ArchiveError(
                            f"{path}: the workbook declares XML entities; it is not read"
                        )
    except ArchiveError:
        raise
    except Exception:  # noqa: BLE001 - as above
        raise ArchiveError(f"{path}: not an .xlsx workbook; fetch it again") from None


def _sheet_name(path: Path, names: Sequence[str], sheet: str | None) -> str:
    if sheet is None:
        return names[0]
    for name in names:
        if name.strip().lower() == sheet.lower():
            return name
    raise ArchiveError(f"{path}: there is no sheet {sheet!r}; it has {', '.join(names)}")


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
