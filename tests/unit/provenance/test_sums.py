"""A file is hashed again whenever it may be another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mammoshift.files import sha256_of_file
from mammoshift.provenance import sums
from mammoshift.provenance.sums import note_new_time, remembered_sha256


@pytest.fixture(params=["small", "large"])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that this process, or a note beside it, remembers."""
    monkeypatch.setattr(sums, "SMALL_BYTES", 1000 if request.param == "small" else 0)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"a" * 100)
    assert remembered_sha256(path) == sha256_of_file(path)
    return path


def test_an_edit_in_place_is_seen_though_the_time_is_put_back(file: Path) -> None:
    before = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"b")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert remembered_sha256(file) == sha256_of_file(file)


def test_a_note_holds_for_a_file_that_was_touched(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = remembered_sha256(file)
    monkeypatch.setattr(sums, "SMALL_BYTES", 0)
    remembered_sha256(file)
    os.utime(file)
    note_new_time(file)
    monkeypatch.setattr(sums, "sha256_of_file", lambda _: "hashed again")
    assert remembered_sha256(file) == known
