"""Finished results are restored whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammoshift.provenance.reuse import keep, restore, result_key


@pytest.fixture
def finished(tmp_path: Path) -> dict[str, Path]:
    outputs = {name: tmp_path / "out" / name for name in ("model", "history")}
    for name, path in outputs.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"content of {name}", encoding="utf-8")
    return outputs


def test_a_result_survives_the_deletion_of_its_outputs(
    tmp_path: Path, finished: dict[str, Path]
) -> None:
    keep(tmp_path / "store", "k1", finished)
    for path in finished.values():
        path.unlink()
    assert restore(tmp_path / "store", "k1", finished)
    assert finished["model"].read_text(encoding="utf-8") == "content of model"


def test_another_key_restores_nothing_and_replaces_the_old_one(
    tmp_path: Path, finished: dict[str, Path]
) -> None:
    keep(tmp_path / "store", "k1", finished)
    assert not restore(tmp_path / "store", "k2", finished)
    keep(tmp_path / "store", "k2", finished)
    assert not restore(tmp_path / "store", "k1", finished)


def test_a_kept_file_that_was_changed_is_not_restored(
    tmp_path: Path, finished: dict[str, Path]
) -> None:
    keep(tmp_path / "store", "k1", finished)
    finished["model"].write_text("edited in place", encoding="utf-8")
    assert not restore(tmp_path / "store", "k1", finished)


@pytest.mark.parametrize("sums", [b"", b"[]", b"null", b"\xff\xfe"])
def test_damaged_sums_restore_nothing(
    tmp_path: Path, finished: dict[str, Path], sums: bytes
) -> None:
    keep(tmp_path / "store", "k1", finished)
    (tmp_path / "store" / "k1" / "sha256.json").write_bytes(sums)
    assert not restore(tmp_path / "store", "k1", finished)


def test_restoring_over_what_is_there_leaves_nothing_else(
    tmp_path: Path, finished: dict[str, Path]
) -> None:
    keep(tmp_path / "store", "k1", finished)
    assert restore(tmp_path / "store", "k1", finished)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["history", "model"]


def test_the_key_depends_on_parameters_and_contents_only(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"same")
    second.write_bytes(b"same")
    assert result_key({"x": 1, "y": 2}, [first]) == result_key({"y": 2, "x": 1}, [second])
    assert result_key({"x": 1}, [first]) != result_key({"x": 2}, [first])
    second.write_bytes(b"other")
    assert result_key({"x": 1}, [first]) != result_key({"x": 1}, [second])


def test_what_a_killed_job_half_kept_is_gone_after_the_next(
    tmp_path: Path, finished: dict[str, Path]
) -> None:
    (tmp_path / "store" / ".k1-12345").mkdir(parents=True)
    keep(tmp_path / "store", "k2", finished)
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["k2"]
