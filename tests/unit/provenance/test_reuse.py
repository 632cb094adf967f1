"""Finished results are restored whole, or not at all."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mammoshift.provenance import reuse
from mammoshift.provenance.reuse import ENTRY, GIGABYTE, Store, result_key
from mammoshift.provenance.versions import RERUN, SETTING

KEYS = ("aa1", "bb2", "cc3")


@pytest.fixture
def finished(tmp_path: Path) -> dict[str, Path]:
    outputs = {name: tmp_path / "out" / name for name in ("model", "history")}
    for name, path in outputs.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"content of {name}", encoding="utf-8")
    return outputs


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_result_survives_the_deletion_of_its_outputs(
    store: Store, finished: dict[str, Path]
) -> None:
    store.keep("k1", finished)
    for path in finished.values():
        path.unlink()
    assert store.restore("k1", finished)
    assert finished["model"].read_text(encoding="utf-8") == "content of model"
    assert sorted(path.name for path in finished["model"].parent.iterdir()) == ["history", "model"]


def test_an_earlier_key_is_restored_after_a_later_one(
    store: Store, finished: dict[str, Path]
) -> None:
    store.keep("first", finished)
    finished["model"].write_text("another", encoding="utf-8")
    store.keep("second", finished)
    assert not store.restore("third", finished)
    assert store.restore("first", finished)
    assert finished["model"].read_text(encoding="utf-8") == "content of model"


def test_an_edit_in_place_of_a_result_or_of_a_restored_one_damages_nothing_kept(
    store: Store, finished: dict[str, Path]
) -> None:
    store.keep("k1", finished)
    for _ in range(2):
        with finished["model"].open("r+") as stream:
            stream.write("EDITED")
        assert store.restore("k1", finished)
        assert finished["model"].read_text(encoding="utf-8") == "content of model"


def test_a_kept_file_that_was_damaged_is_not_restored_and_is_named(
    store: Store, finished: dict[str, Path]
) -> None:
    store.keep("k1", finished, of="a training")
    (entry,) = store.entries()
    assert (entry.key, entry.of, store.damaged(entry)) == ("k1", "a training", [])
    (entry.folder / "model").write_text("edited in place", encoding="utf-8")
    assert store.damaged(entry) == [entry.folder / "model"]
    assert not store.restore("k1", finished)


def test_an_entry_in_the_place_of_another_is_not_restored_and_is_named(
    store: Store, finished: dict[str, Path]
) -> None:
    for key in KEYS[:2]:
        finished["model"].write_text(key, encoding="utf-8")
        store.keep(key, finished)
    one, other = (store.folder / key[:2] / key for key in KEYS[:2])
    one.rename(store.folder / "aside")
    other.rename(one)
    (store.folder / "aside").rename(other)
    assert not any(store.restore(key, finished) for key in KEYS[:2])
    assert sorted(file for entry in store.entries() for file in store.damaged(entry)) == [
        one / ENTRY,
        other / ENTRY,
    ]


@pytest.mark.parametrize("record", [b"", b"[]", b"null", b"\xff\xfe"])
def test_a_damaged_record_restores_nothing(
    store: Store, finished: dict[str, Path], record: bytes
) -> None:
    store.keep("k1", finished)
    (entry,) = store.entries()
    (entry.folder / ENTRY).write_bytes(record)
    assert not store.restore("k1", finished)
    assert [(e.of, store.damaged(e)) for e in store.entries()] == [
        ("damaged", [entry.folder / ENTRY])
    ]


def test_what_was_not_used_for_longest_goes_first(
    store: Store, finished: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for time, key in enumerate(KEYS):
        store.keep(key, finished)
        os.utime(store.folder / key[:2] / key / ENTRY, (time, time))
    assert store.restore(KEYS[0], finished)
    each = next(store.entries()).size / GIGABYTE
    monkeypatch.setattr(reuse, "_ASKED_FROM", 0)
    Store(store.folder, 2.5 * each).keep("dd4", finished)
    assert {entry.key for entry in store.entries()} == {KEYS[0], "dd4"}


def test_a_result_larger_than_the_store_is_not_kept(
    tmp_path: Path, finished: dict[str, Path]
) -> None:
    none = Store(tmp_path / "store", 0.0)
    none.keep("k1", finished)
    assert list(none.entries()) == []


def test_results_of_other_versions_are_restored_unless_the_setting_says_otherwise(
    store: Store, finished: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"versions": {"numpy": "0.1"}, "seconds": 1.0, "machines": []}
    store.keep("k1", finished, made=made)
    assert store.restore("k1", finished)
    monkeypatch.setenv(SETTING, RERUN)
    assert not store.restore("k1", finished)


def test_the_key_depends_on_parameters_and_contents_only(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"same")
    second.write_bytes(b"same")
    assert result_key({"x": 1, "y": 2}, [first]) == result_key({"y": 2, "x": 1}, [second])
    assert result_key({"x": 1}, [first]) != result_key({"x": 2}, [first])
    second.write_bytes(b"other")
    assert result_key({"x": 1}, [first]) != result_key({"x": 1}, [second])


def test_what_a_killed_job_half_kept_is_no_entry(store: Store, finished: dict[str, Path]) -> None:
    half = store.folder / "k1" / ".k1-12345"
    half.mkdir(parents=True)
    (half / ENTRY).write_text("{}", encoding="utf-8")
    store.keep("k2", finished)
    assert [entry.key for entry in store.entries()] == ["k2"]


class FullDisk:
    """A disk that has room for a number of files, and gains it when a folder is removed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int, number: int) -> None:
        self.room, self.number = room, number
        self.copy, self.remove = reuse._copy, reuse.shutil.rmtree
        monkeypatch.setattr(reuse, "_copy", self.copied)
        monkeypatch.setattr(reuse.shutil, "rmtree", self.removed)

    def copied(self, source: Path, destination: Path) -> None:
        if self.room == 0:
            raise OSError(self.number, os.strerror(self.number))
        self.room -= 1
        self.copy(source, destination)

    def removed(self, folder: Path, **options: Any) -> None:
        self.room += len([*folder.glob("[!.]*")]) if folder.is_dir() else 0
        self.remove(folder, **options)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_a_store_that_cannot_keep_fails_no_job(
    store: Store,
    finished: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    FullDisk(monkeypatch, room=1, number=number)
    assert not store.keep("k1", finished, of="training of plain")
    said = capsys.readouterr().out
    assert said.startswith("warning: training of plain, k1, is not kept in ")
    assert os.strerror(number) in said
    assert not [path for path in store.folder.rglob("*") if path.is_file()]
    assert all(path.is_file() for path in finished.values())


def test_on_a_full_disk_what_was_not_used_for_longest_makes_room(
    store: Store, finished: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for time, key in enumerate(KEYS):
        store.keep(key, finished)
        os.utime(store.folder / key[:2] / key / ENTRY, (time, time))
    FullDisk(monkeypatch, room=1, number=errno.ENOSPC)
    assert store.keep("dd4", finished)
    assert {entry.key for entry in store.entries()} == {*KEYS[1:], "dd4"}


def test_a_store_in_a_place_that_is_no_folder_fails_no_job(
    tmp_path: Path, finished: dict[str, Path]
) -> None:
    (tmp_path / "store").write_text("a file")
    assert not Store(tmp_path / "store").once("k1", finished, lambda: None, of="it")


def test_what_dead_processes_half_kept_is_dropped(store: Store, finished: dict[str, Path]) -> None:
    shelf, host = store.folder / "k1", socket.gethostname()
    dead = subprocess.Popen(["true"])
    dead.wait()
    names = {
        f".k1a-{dead.pid}-{host}": False,
        f".k1b-{os.getpid()}-{host}": True,
        f".k1c-{dead.pid}-another": True,
        ".k1d-1-another": False,
    }
    for name in names:
        (shelf / name).mkdir(parents=True)
    os.utime(shelf / ".k1d-1-another", (1.0, 1.0))
    store.keep("k1", finished)
    assert {name: (shelf / name).exists() for name in names} == names


def test_what_another_user_kept_is_restored(
    store: Store, finished: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.keep("k1", finished)

    def refused(path: Path, *_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))

    monkeypatch.setattr(reuse.os, "utime", refused)
    finished["model"].unlink()
    assert store.restore("k1", finished)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_what_is_kept_may_be_read_by_whom_the_umask_allows(
    store: Store, finished: dict[str, Path], mask: int, mode: int
) -> None:
    before = os.umask(mask)
    try:
        store.keep("k1", finished)
    finally:
        os.umask(before)
    (entry,) = store.entries()
    assert {path.stat().st_mode & 0o777 for path in entry.folder.iterdir()} == {mode}
    executable = mode | (mode & 0o444) >> 2
    assert {path.stat().st_mode & 0o777 for path in (entry.folder, store.folder)} == {executable}
