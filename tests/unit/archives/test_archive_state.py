"""A changed file is seen, a touched one is not, and unchanged ones are not read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mammoshift.archives import state
from mammoshift.archives.state import file_state, listing_state


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    root = tmp_path / "archive"
    (root / "a").mkdir(parents=True)
    (root / "a" / "1.pgm").write_bytes(b"1" * 100)
    (root / "labels.csv").write_text("image,label\n1,B\n", encoding="utf-8")
    return root


def test_touching_changes_nothing(archive: Path, tmp_path: Path) -> None:
    before = listing_state(archive, tmp_path / "cache.json")
    os.utime(archive / "labels.csv", (1, 1))
    assert listing_state(archive, tmp_path / "cache.json") == before


def test_a_label_of_the_same_length_is_seen(archive: Path, tmp_path: Path) -> None:
    before = listing_state(archive, tmp_path / "cache.json")
    (archive / "labels.csv").write_text("image,label\n1,M\n", encoding="utf-8")
    assert listing_state(archive, tmp_path / "cache.json") != before


def test_a_label_anywhere_in_a_long_table_is_seen(archive: Path, tmp_path: Path) -> None:
    rows = [f"{number:06d},B\n" for number in range(40_000)]
    (archive / "labels.csv").write_text("".join(rows), encoding="utf-8")
    before = listing_state(archive, tmp_path / "cache.json")
    rows[15_000] = rows[15_000].replace("B", "M")
    (archive / "labels.csv").write_text("".join(rows), encoding="utf-8")
    assert listing_state(archive, tmp_path / "cache.json") != before


def test_a_new_and_a_removed_file_are_seen(archive: Path, tmp_path: Path) -> None:
    states = {listing_state(archive, tmp_path / "cache.json")}
    (archive / "a" / "2.pgm").write_bytes(b"2")
    states.add(listing_state(archive, tmp_path / "cache.json"))
    (archive / "a" / "1.pgm").unlink()
    states.add(listing_state(archive, tmp_path / "cache.json"))
    assert len(states) == 3


def test_an_unchanged_file_is_not_read_again(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing_state(archive, tmp_path / "cache.json")

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(state, "change_key", refuse)
    assert listing_state(archive, tmp_path / "cache.json") == before


def test_the_cache_decides_nothing(archive: Path, tmp_path: Path) -> None:
    before = listing_state(archive, tmp_path / "cache.json")
    (tmp_path / "cache.json").write_text("not JSON", encoding="utf-8")
    assert listing_state(archive, tmp_path / "cache.json") == before
    moved = archive.rename(tmp_path / "elsewhere")
    assert listing_state(moved, tmp_path / "cache.json") == before
    assert listing_state(archive, tmp_path / "cache.json") == "absent"


def test_a_changed_byte_anywhere_in_a_weights_file_is_seen(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    content = bytearray(1_000_000)
    weights.write_bytes(content)
    before = file_state(str(weights), tmp_path / "cache")
    os.utime(weights, (1.0, 1.0))
    assert file_state(str(weights), tmp_path / "cache") == before
    content[300_000] = 1
    weights.write_bytes(content)
    assert file_state(str(weights), tmp_path / "cache") != before
    weights.unlink()
    assert file_state(str(weights), tmp_path / "cache") == "absent"
