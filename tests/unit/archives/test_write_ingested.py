"""What ingestion writes, and what it remembers of the files it read."""

from __future__ import annotations

import os

import pyarrow.parquet as pq
import pytest

from mammoshift.archives import memory as memory_module
from mammoshift.archives.adapter import ingest_archive
from mammoshift.archives.ingest import FILES_SCHEMA, remember_archive, write_ingested
from mammoshift.archives.listing import content_key
from mammoshift.archives.memory import ContentMemory
from mammoshift.configuration.dataset import Dataset
from mammoshift.contracts.annotations import read_annotations
from mammoshift.contracts.manifest import read_exclusions, read_manifest

PGM = b"P5\n4 4\n255\n" + bytes(16)
CSV = {
    "table": "images.csv",
    "columns": {"path": "file", "label": "outcome", "patient_id": "patient"},
    "label_values": {"+": "malignant", "-": "benign"},
}


@pytest.fixture
def archive(tmp_path, write_file):
    root = tmp_path / "archive"
    rows = ["file,patient,outcome", "b.pgm,p1,+", "a.pgm,p1,-", "c.pgm,,-"]
    write_file(root / "images.csv", "\n".join(rows))
    for name in "abc":
        write_file(root / f"{name}.pgm", PGM + name.encode())
    write_file(root / "not_in_the_table.pgm", PGM)
    for path in root.iterdir():
        os.utime(path, (1, 1))
    return root


@pytest.fixture
def dataset():
    return Dataset.model_validate(
        {"adapter": "csv", "title": "t", "licence": "l", "root": ".", "csv": CSV}
    )


def test_four_files_are_written(tmp_path, archive, dataset):
    result = ingest_archive("own", dataset, archive)
    names = ("m.parquet", "a.parquet", "e.csv", "f.parquet")
    manifest, annotations, excluded, files = (tmp_path / name for name in names)
    write_ingested(result, manifest, annotations, excluded, files)
    assert read_manifest(manifest).equals(result.manifest)
    assert read_annotations(annotations).empty
    assert read_exclusions(excluded) == []

    table = pq.read_table(files)
    assert table.schema.names == FILES_SCHEMA.names
    rows = {row["path"]: row for row in table.to_pylist()}
    assert table["image_id"].to_pylist() == sorted(table["image_id"].to_pylist())
    assert rows["a.pgm"]["owner"] == rows["b.pgm"]["owner"] == "p1"
    assert rows["c.pgm"]["owner"] == rows["c.pgm"]["image_id"]
    assert rows["a.pgm"]["content_key"] == content_key(archive / "a.pgm")


def test_a_label_changes_nothing_of_the_files_to_decode(tmp_path, archive, dataset, write_file):
    paths = [tmp_path / name for name in ("m.parquet", "a.parquet", "e.csv", "f.parquet")]
    write_ingested(ingest_archive("own", dataset, archive), *paths)
    before = [path.read_bytes() for path in paths]
    table = (archive / "images.csv").read_text(encoding="utf-8")
    write_file(archive / "images.csv", table.replace("b.pgm,p1,+", "b.pgm,p1,-"))
    write_ingested(ingest_archive("own", dataset, archive), *paths)
    after = [path.read_bytes() for path in paths]
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, True, True, True]


def test_every_file_is_read_once_and_only_when_it_looks_changed(
    tmp_path, archive, dataset, monkeypatch
):
    read: list[str] = []

    def note(path):
        read.append(path.name)
        return content_key(path)

    monkeypatch.setattr(memory_module, "content_key", note)

    def run():
        read.clear()
        memory = ContentMemory.read(tmp_path / "memory.json")
        result = ingest_archive("own", dataset, archive, memory)
        remember_archive(memory, archive, links_may_leave=False)
        memory.save(tmp_path / "memory.json")
        return result.manifest.set_index("path")["content_key"], sorted(read)

    everything = ["a.pgm", "b.pgm", "c.pgm", "images.csv", "not_in_the_table.pgm"]
    first, seen = run()
    assert seen == everything
    again, seen = run()
    assert seen == []
    assert again.equals(first)
    (archive / "b.pgm").write_bytes(PGM + b"z")
    changed, seen = run()
    assert seen == ["b.pgm"]
    assert changed["b.pgm"] != first["b.pgm"]
    assert changed.drop("b.pgm").equals(first.drop("b.pgm"))
