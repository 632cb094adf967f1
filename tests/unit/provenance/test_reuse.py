"""Finished results are restored whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

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
    monkeypatch.setattr(reuse, "loaded_versions", lambda: {"numpy": "0.1"})
    store.keep("k1", finished)
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
