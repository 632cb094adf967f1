from __future__ import annotations

import zipfile

import pytest

from mammoshift.archives import tables
from mammoshift.archives.tables import read_csv, read_sheet, read_sheet_with_header
from mammoshift.errors import ArchiveError


def test_cells_lose_blanks_and_line_ends_and_rows_keep_their_number(tmp_path, write_file):
    path = write_file(tmp_path / "t.csv", '\ufeffa , b\n1,"x\n"\n,\n2, y \n')
    rows = list(read_csv(path, ("a", "b")))
    assert [(row.number, row.cells) for row in rows] == [
        (2, {"a": "1", "b": "x"}),
        (4, {"a": "2", "b": "y"}),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_usual_delimiters_are_recognised(tmp_path, write_file, delimiter):
    path = write_file(tmp_path / "t.csv", f"a{delimiter}b\r\n1{delimiter}2\r\n")
    assert next(read_csv(path, ("a", "b"))).cells == {"a": "1", "b": "2"}


def test_text_that_is_not_utf8_is_latin1(tmp_path, write_file):
    path = write_file(tmp_path / "t.csv", "a\nMünchen\n".encode("latin-1"))
    assert next(read_csv(path, ("a",))).cells == {"a": "München"}


def test_formulas_stay_text(tmp_path, write_file):
    path = write_file(tmp_path / "t.csv", "a\n=1+1\n")
    assert next(read_csv(path, ("a",))).cells == {"a": "=1+1"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,c\n1,2\n", "lacks 'b'; it has 'a', 'c'"),
        ("", "lacks 'a', 'b'; it has no columns"),
        ("a,b,b\n1,2,3\n", "names 'b' twice"),
        ("a,b\n1,2\n1,2,3\n", "row 3 has 3 cells and the header 2"),
    ],
)
def test_a_wrong_csv_is_an_error_with_its_place(tmp_path, write_file, content, message):
    path = write_file(tmp_path / "t.csv", content)
    with pytest.raises(ArchiveError, match=message) as raised:
        list(read_csv(path, ("a", "b")))
    assert str(path) in str(raised.value)


def test_the_message_about_a_long_header_is_short(tmp_path, write_file):
    path = write_file(tmp_path / "t.csv", ",".join(f"c{number}" for number in range(10_000)))
    with pytest.raises(ArchiveError, match=r"lacks 'a'; it has 'c0'.*and 9960 more") as raised:
        list(read_csv(path, ("a",)))
    assert len(str(raised.value)) < 2000


def test_a_missing_or_oversized_csv_is_an_error(tmp_path, write_file, monkeypatch):
    with pytest.raises(ArchiveError, match="cannot be read"):
        list(read_csv(tmp_path / "none.csv", ()))
    path = write_file(tmp_path / "t.csv", "a\n" + "1\n" * 100)
    monkeypatch.setattr(tables, "MAXIMUM_CSV_BYTES", 100)
    with pytest.raises(ArchiveError, match="too many for a table"):
        list(read_csv(path, ("a",)))


def test_sheets_are_read_as_text_by_name(tmp_path, write_workbook):
    path = write_workbook(
        tmp_path / "t.xlsx", {"first": [["x"]], "All ": [["a", "b"], [None, None], [1.0, " c "]]}
    )
    assert list(read_sheet(path, "all")) == [(1, ("a", "b")), (3, ("1", "c"))]
    assert [cells for _, cells in read_sheet(path)] == [("x",)]
    rows = list(read_sheet_with_header(path, ("a",), "all"))
    assert [(row.number, row.cells) for row in rows] == [(3, {"a": "1", "b": "c"})]
    with pytest.raises(ArchiveError, match="no sheet 'other'; it has first, All"):
        list(read_sheet(path, "other"))
    with pytest.raises(ArchiveError, match="lacks 'z'"):
        list(read_sheet_with_header(path, ("z",), "all"))


def test_a_formula_in_a_workbook_is_not_evaluated(tmp_path, write_workbook):
    path = write_workbook(tmp_path / "t.xlsx", {"s": [["a", "=1+1", "b"]]})
    assert list(read_sheet(path)) == [(1, ("a", "", "b"))]


def test_a_file_that_is_no_workbook_is_an_error(tmp_path, write_file):
    path = write_file(tmp_path / "t.xlsx", b"not a zip")
    with pytest.raises(ArchiveError, match=r"not an \.xlsx workbook"):
        list(read_sheet(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", "x")
    with pytest.raises(ArchiveError, match="not a workbook that can be read"):
        list(read_sheet(path))


def test_a_damaged_workbook_is_an_error(tmp_path, write_workbook):
    path = write_workbook(tmp_path / "t.xlsx", {"s": [["a"] * 9] * 500})
    content = bytearray(path.read_bytes())
    for offset in range(30, len(content), 397):
        damaged = tmp_path / "damaged.xlsx"
        damaged.write_bytes(
            content[:offset] + bytes([content[offset] ^ 0xFF]) + content[offset + 1 :]
        )
        try:
            list(read_sheet(damaged))
        except ArchiveError as error:
            assert str(damaged) in str(error)


def test_a_workbook_that_unpacks_to_too_much_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 2_000_000)
    monkeypatch.setattr(tables, "MAXIMUM_XLSX_BYTES", 1_000_000)
    with pytest.raises(ArchiveError, match="unpacks to 2000000 bytes"):
        list(read_sheet(path))


def test_a_workbook_of_empty_elements_is_not_read(tmp_path, write_workbook):
    path = write_workbook(tmp_path / "t.xlsx", {"s": [["a"]]})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/more.xml", b"<c/>" * 500_000)
    with pytest.raises(ArchiveError, match=r"unpacks to \d+ times its size, more than 200"):
        list(read_sheet(path))


def test_a_long_table_is_no_bomb(tmp_path, write_workbook):
    row = ("D1-0001", "R", 44, 2, "calcification", "Benign", None)
    path = write_workbook(tmp_path / "t.xlsx", {"s": [row] * 20_000})
    assert sum(1 for _ in read_sheet(path)) == 20_000


def test_a_workbook_with_entities_is_not_read(tmp_path):
    path = tmp_path / "entities.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "xl/workbook.xml", '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a/>'
        )
    with pytest.raises(ArchiveError, match="declares XML entities"):
        list(read_sheet(path))


def test_a_sheet_with_too_many_rows_or_columns_is_bounded(tmp_path, write_workbook, monkeypatch):
    monkeypatch.setattr(tables, "MAXIMUM_SHEET_ROWS", 50)
    monkeypatch.setattr(tables, "MAXIMUM_SHEET_COLUMNS", 5)
    wide = write_workbook(tmp_path / "wide.xlsx", {"s": [list(range(100))]})
    assert len(next(read_sheet(wide))[1]) == 5
    long = write_workbook(tmp_path / "long.xlsx", {"s": [["a"]] * 60})
    with pytest.raises(ArchiveError, match="more than 50 rows"):
        list(read_sheet(long))
