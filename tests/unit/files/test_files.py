"""A file is whole or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammoshift.files import atomic_path, sha256_of_file, write_text_atomically


def test_an_error_leaves_the_old_content_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_text_atomically(path, "old")
    with pytest.raises(OSError, match="disk full"), atomic_path(path) as temporary:
        temporary.write_text("half of the new", encoding="utf-8")
        raise OSError("disk full")
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_the_suffix_is_kept_for_writers_that_choose_by_it(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "deep" / "x.parquet") as temporary:
        assert temporary.suffix == ".parquet"
        temporary.write_bytes(b"abc")
    assert (tmp_path / "deep" / "x.parquet").read_bytes() == b"abc"


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_of_file(tmp_path / "x").startswith("ba7816bf8f01cfea")
