"""A changed file is seen, a touched one is not, and unchanged ones are not read again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mammoshift.archives import memory
from mammoshift.archives.listing import content_key, iterate_files
from mammoshift.archives.memory import ContentMemory
from mammoshift.archives.state import FORGOTTEN, file_state, listing_state


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    root = tmp_path / "archive"
    (root / "a").mkdir(parents=True)
    _write(root / "a" / "1.pgm", b"1" * 100)
    _write(root / "labels.csv", b"image,label\n1,B\n")
    return root


@pytest.fixture
def remembered(tmp_path: Path) -> Path:
    return tmp_path / "results" / ".content.json"


def _write(path: Path, content: bytes, hour: int = 1) -> None:
    """Write a file as of some hour of an old day."""
    path.write_bytes(content)
    os.utime(path, (3600 * hour, 3600 * hour))


def _ingest(archive: Path, remembered: Path) -> None:
    """Read all files, as the ingest job does."""
    known = ContentMemory.read(remembered)
    known.learn(archive, iterate_files(archive))
    known.save(remembered)


def _refuse(path: Path) -> str:
    raise AssertionError(f"{path} was read")


def test_the_first_look_reads_tables_alone(
    archive: Path, remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def note(path: Path) -> str:
        read.append(path.name)
        return content_key(path)

    monkeypatch.setattr(memory, "content_key", note)
    listing_state(archive, remembered)
    assert read == ["labels.csv"]
    assert not remembered.exists()


def test_the_state_is_the_same_before_and_after_the_ingest_job(
    archive: Path, remembered: Path
) -> None:
    first = listing_state(archive, remembered)
    _ingest(archive, remembered)
    assert listing_state(archive, remembered) == first
    _ingest(archive, remembered)
    assert listing_state(archive, remembered) == first


def test_touching_changes_nothing(archive: Path, remembered: Path) -> None:
    first = listing_state(archive, remembered)
    _ingest(archive, remembered)
    for path in archive.rglob("*"):
        os.utime(path)
    assert listing_state(archive, remembered) == first
    _ingest(archive, remembered)
    assert listing_state(archive, remembered) == first


def test_moving_changes_nothing(archive: Path, remembered: Path) -> None:
    first = listing_state(archive, remembered)
    _ingest(archive, remembered)
    moved = archive.rename(archive.with_name("elsewhere"))
    assert listing_state(moved, remembered) == first
    assert listing_state(archive, remembered) == "absent"


def test_a_changed_image_of_the_same_size_is_seen_and_stays_seen(
    archive: Path, remembered: Path
) -> None:
    first = listing_state(archive, remembered)
    _ingest(archive, remembered)
    _write(archive / "a" / "1.pgm", b"1" * 50 + b"2" + b"1" * 49, hour=2)
    changed = listing_state(archive, remembered)
    assert changed != first
    assert listing_state(archive, remembered) == changed
    _ingest(archive, remembered)
    assert listing_state(archive, remembered) == changed
    os.utime(archive / "a" / "1.pgm")
    assert listing_state(archive, remembered) == changed


def test_a_change_that_is_taken_back_is_no_change(archive: Path, remembered: Path) -> None:
    first = listing_state(archive, remembered)
    _ingest(archive, remembered)
    _write(archive / "a" / "1.pgm", b"2" * 100, hour=2)
    assert listing_state(archive, remembered) != first
    _ingest(archive, remembered)
    _write(archive / "a" / "1.pgm", b"1" * 100, hour=3)
    assert listing_state(archive, remembered) == first


def test_a_file_that_comes_back_changed_is_seen(archive: Path, remembered: Path) -> None:
    first = listing_state(archive, remembered)
    _ingest(archive, remembered)
    (archive / "a" / "1.pgm").unlink()
    assert listing_state(archive, remembered) != first
    _ingest(archive, remembered)
    _write(archive / "a" / "1.pgm", b"2" * 100, hour=2)
    assert listing_state(archive, remembered) != first


def test_a_write_right_after_the_reading_is_seen(archive: Path, remembered: Path) -> None:
    first = listing_state(archive, remembered)
    image = archive / "a" / "1.pgm"
    now = time.time_ns()
    os.utime(image, ns=(now, now))
    _ingest(archive, remembered)
    image.write_bytes(b"2" * 100)
    os.utime(image, ns=(now, now))
    assert listing_state(archive, remembered) != first


def test_a_new_image_changes_the_state_and_is_not_read(
    archive: Path, remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = listing_state(archive, remembered)
    _ingest(archive, remembered)
    (archive / "a" / "2.pgm").write_bytes(b"2")
    with monkeypatch.context() as patch:
        patch.setattr(memory, "content_key", _refuse)
        grown = listing_state(archive, remembered)
    assert grown != first
    _ingest(archive, remembered)
    assert listing_state(archive, remembered) == grown


@pytest.mark.parametrize("known", [False, True])
def test_a_label_anywhere_in_a_long_table_is_seen(
    archive: Path, remembered: Path, known: bool
) -> None:
    rows = [f"{number:06d},B\n" for number in range(40_000)]
    _write(archive / "labels.csv", "".join(rows).encode())
    before = listing_state(archive, remembered)
    if known:
        _ingest(archive, remembered)
        assert listing_state(archive, remembered) == before
    rows[15_000] = rows[15_000].replace("B", "M")
    _write(archive / "labels.csv", "".join(rows).encode(), hour=2)
    assert listing_state(archive, remembered) != before


def test_an_unchanged_file_is_not_read_again(
    archive: Path, remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = listing_state(archive, remembered)
    _ingest(archive, remembered)
    monkeypatch.setattr(memory, "content_key", _refuse)
    assert listing_state(archive, remembered) == first
    _ingest(archive, remembered)


def test_a_damaged_memory_is_an_empty_one(archive: Path, remembered: Path) -> None:
    first = listing_state(archive, remembered)
    _ingest(archive, remembered)
    for damaged in ("not JSON", "[]", '{"files": {"a/1.pgm": [1]}}'):
        remembered.write_text(damaged, encoding="utf-8")
        assert listing_state(archive, remembered) == first


def test_a_look_at_many_files_that_were_never_read_is_fast(
    tmp_path: Path, remembered: Path
) -> None:
    for folder in range(20):
        (tmp_path / "many" / str(folder)).mkdir(parents=True)
        for number in range(250):
            (tmp_path / "many" / str(folder) / f"{number}.dcm").write_bytes(b"x")
    floor = _seconds(lambda: [path.stat() for path in (tmp_path / "many").rglob("*")])
    first = _seconds(lambda: listing_state(tmp_path / "many", remembered))
    _ingest(tmp_path / "many", remembered)
    later = _seconds(lambda: listing_state(tmp_path / "many", remembered))
    assert first < 3 * floor
    assert later < 3 * floor


def _seconds(work: Callable[[], object]) -> float:
    """The least processor time of three runs."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


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


@pytest.mark.parametrize("damage", ["flipped", "deleted"])
def test_an_ingested_archive_whose_memory_is_not_whole_is_ingested_again(
    archive: Path, remembered: Path, damage: str
) -> None:
    """Else every edit that leaves a file's size would go unseen from then on."""
    _ingest(archive, remembered)
    (remembered.parent / "manifest.parquet").write_bytes(b"")
    first = listing_state(archive, remembered)
    content = remembered.read_bytes()
    if damage == "deleted":
        remembered.unlink()
    else:
        place = content.index(b"1.pgm")
        remembered.write_bytes(content[:place] + b"2" + content[place + 1 :])
    assert listing_state(archive, remembered) == FORGOTTEN != first
