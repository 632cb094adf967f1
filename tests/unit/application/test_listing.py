from __future__ import annotations

import io
from pathlib import Path

import pytest

from mammoshift.application.listing import named_files
from mammoshift.errors import TableError


def test_folders_lists_and_standard_input_stand_for_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b/2.dcm", "b/1.PNG", "a/bare", "a/notes.txt", ".hidden/x.png", "a/.x.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    names = [str(path.relative_to(tmp_path)) for path in named_files([str(tmp_path)])]
    assert names == ["a/bare", "b/1.PNG", "b/2.dcm"]
    listed = tmp_path / "list.txt"
    listed.write_bytes(b"one.png\n\n/two of.dcm\nb\xffd.png\n")
    found = [str(path) for path in named_files(["zero.png", f"@{listed}"])]
    assert found == ["zero.png", "one.png", "/two of.dcm", "b\udcffd.png"]
    monkeypatch.setattr("sys.stdin", io.StringIO("three.png\nfour.png\n"))
    assert [str(path) for path in named_files(["-"])] == ["three.png", "four.png"]


def test_a_list_that_is_not_there_is_named() -> None:
    with pytest.raises(TableError, match=r"absent\.txt: the list cannot be read"):
        list(named_files(["@absent.txt"]))


def test_a_folder_without_images_is_named_in_their_place(tmp_path: Path) -> None:
    assert list(named_files([str(tmp_path)])) == [tmp_path]
