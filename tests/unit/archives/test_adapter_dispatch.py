from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from mammoshift.archives.archive import Archive, InspectedFile
from mammoshift.archives.registry import adapter_names, load_adapter
from mammoshift.contracts.exclusion import ReasonCode
from mammoshift.contracts.manifest import (
    MANIFEST_SCHEMA,
    read_exclusions,
    read_manifest,
    write_exclusions,
    write_manifest,
)
from mammoshift.errors import ArchiveError, TableError

PGM = b"P5\n4 4\n255\n" + bytes(16)


@pytest.fixture
def mias(tmp_path, write_file):
    rows = ["mdb001 G CIRC M 535 425 197", "mdb002 G NORM"]
    write_file(tmp_path / "Info.txt", "\n".join(rows))
    for number in (1, 2):
        write_file(tmp_path / f"mdb{number:03d}.pgm", PGM)
    return tmp_path


def test_every_adapter_says_where_its_archive_is_from():
    assert {"cbis_ddsm", "cmmd", "csv", "mias"} <= set(adapter_names())
    for name in adapter_names():
        assert len(load_adapter(name).source) > 20


def test_a_missing_root_says_where_to_get_the_archive(tmp_path, ingest):
    with pytest.raises(ArchiveError, match=r"nowhere: there is no such folder.*all-mias\.tar\.gz"):
        ingest("mias", tmp_path / "nowhere")


def test_an_empty_root_says_what_is_missing(tmp_path, ingest):
    for name in adapter_names():
        if load_adapter(name).needs_section:
            continue
        with pytest.raises(ArchiveError, match="some_dataset"):
            ingest(name, tmp_path)


def test_a_manifest_survives_writing_and_reading(tmp_path, mias, ingest, write_file):
    write_file(mias / "mdb003.pgm", PGM)
    result = ingest("mias", mias, maximum_lost_share=0.5)
    assert list(result.manifest.columns) == MANIFEST_SCHEMA.names
    write_manifest(result.manifest, tmp_path / "out" / "manifest.parquet")
    assert read_manifest(tmp_path / "out" / "manifest.parquet").equals(result.manifest)
    write_exclusions(result.exclusions, tmp_path / "out" / "excluded.csv")
    assert read_exclusions(tmp_path / "out" / "excluded.csv") == result.exclusions


def test_the_result_does_not_depend_on_the_order_of_the_disk(mias, ingest, write_file):
    first = ingest("mias", mias).manifest
    for path in sorted(mias.iterdir(), reverse=True):
        content = path.read_bytes()
        path.unlink()
        write_file(path, content)
    assert ingest("mias", mias).manifest.equals(first)


def test_losses_above_the_share_name_share_reasons_and_setting(mias, ingest):
    (mias / "mdb002.pgm").write_bytes(b"broken")
    with pytest.raises(ArchiveError) as raised:
        ingest("mias", mias, maximum_lost_share=0.4)
    message = str(raised.value)
    assert "1 of 2 images (50.0%)" in message
    assert "maximum_lost_share: 40.0%" in message
    assert "1 x not a readable" in message


def test_inspection_keeps_order_and_covers_every_chunk(tmp_path, write_file, monkeypatch):
    monkeypatch.setattr("mammoshift.archives.archive._FILES_AT_ONCE", 3)
    archive = Archive("some_dataset", tmp_path, "")
    for number in range(8):
        write_file(tmp_path / f"{number}.pgm", b"broken" if number == 5 else PGM)
    paths = [f"{number}.pgm" for number in range(8)] + ["gone.pgm"]
    inspected = list(archive.inspect(paths))
    assert all(isinstance(file, InspectedFile) for file in inspected)
    assert [file.path for file in inspected] == [p for p in paths[:8] if p != "5.pgm"]
    assert [e.path for e in archive.exclusions] == ["5.pgm", "gone.pgm"]


def modules_after_importing(module: str) -> set[str]:
    """Return the names of all modules that a fresh interpreter has after one import."""
    code = f"import sys, {module}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_listing_needs_the_standard_library_only():
    loaded = modules_after_importing("mammoshift.archives.listing")
    assert "mammoshift.archives.listing" in loaded
    assert not loaded & {"numpy", "pandas", "pydicom", "PIL", "openpyxl"}


def test_the_vocabulary_of_the_configuration_needs_nothing_heavy():
    loaded = modules_after_importing("mammoshift.configuration.load")
    assert {f"mammoshift.archives.adapters.{name}" for name in adapter_names()} <= loaded
    assert not loaded & {"numpy", "pandas", "pyarrow", "pydicom", "PIL", "openpyxl", "torch"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("image_id", "../mdb001"),
        ("image_id", "D1-\u0660001"),
        ("density", "e"),
        ("birads", "7"),
        ("official_split", "validation"),
        ("view", "mlo"),
        ("patient_pathology", "cancer"),
    ],
)
def test_a_manifest_outside_its_vocabulary_is_refused(tmp_path, mias, ingest, column, value):
    manifest = ingest("mias", mias).manifest.astype({column: "object"})
    manifest.loc[1, column] = value
    with pytest.raises(TableError, match=column):
        write_manifest(manifest, tmp_path / "manifest.parquet")


def test_every_adapter_and_each_of_its_choices_is_documented():
    page = (Path(__file__).resolve().parents[3] / "docs" / "datasets.md").read_text("utf-8")
    for name in adapter_names():
        assert f"`{name}`" in page
        if name != "csv":
            options = load_adapter(name).options.model_fields
            assert [option for option in options if f"`{option}`" not in page] == []


def test_every_code_of_an_exclusion_is_documented():
    page = (Path(__file__).resolve().parents[3] / "docs" / "datasets.md").read_text("utf-8")
    assert [code for code in get_args(ReasonCode) if f"`{code}`" not in page] == []
