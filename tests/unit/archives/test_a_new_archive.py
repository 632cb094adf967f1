"""A new archive costs one module for its adapter and one for its twin, and no other edit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mammoshift

ADAPTER = '''
"""A toy archive: one PGM for each patient, and a list of labels."""

from typing import Literal

from mammoshift.archives.archive import Archive, ImageRecord, Region
from mammoshift.archives.registry import AdapterOptions
from mammoshift.archives.tables import read_csv

SOURCE = "The toy archive is made by its twin: put list.csv and the images below the root"


class Options(AdapterOptions):
    """What the label `?` is taken for."""

    doubtful: Literal["benign", "malignant"] = "benign"


def read_records(archive, options):
    words = {"+": "malignant", "-": "benign", "?": options.doubtful}
    labels = {r.cells["file"]: words[r.cells["label"]]
              for r in read_csv(archive.root / "list.csv", ("file", "label"))}
    for file in archive.inspect(sorted(labels)):
        circle = Region(shape="circle", points=(1.0, 2.0), radius=1.0, source="list.csv")
        yield ImageRecord(image_id=file.path[:-4], file=file, pathology=labels[file.path],
                          regions=(circle,))
'''
TWIN = '''
"""A twin of the toy archive."""

import numpy as np

from mammoshift.phantoms.twins.layout import Layout
from mammoshift.phantoms.twins.mias import write_pgm


def write_patient(twin, number, root):
    write_pgm(np.full((4, 5), number, np.uint8), root / f"t{number}.pgm")
    return f"t{number}.pgm,{'+-?'[number % 3]}"


def write_tables(twin, patients, root):
    (root / "list.csv").write_text("\\n".join(["file,label", *patients]))


LAYOUT = Layout(write_patient, write_tables)
'''
PROGRAM = """
import json, sys
from pathlib import Path
from mammoshift.archives.adapter import ingest_archive
from mammoshift.archives.ingest import write_ingested
from mammoshift.configuration.load import load_project, read_yaml
from mammoshift.configuration.schemas import schema_texts
from mammoshift.phantoms.twin import write_twin

folder = Path(sys.argv[1])
project = load_project(read_yaml(folder / "config/config.yaml"), folder)
record = project.datasets["mias"]
root = folder / "twin"
write_twin(record.adapter, record.twin, root)
result = ingest_archive("mias", record, root)
out = folder / "out"
write_ingested(result, out / "m.parquet", out / "a.parquet", out / "e.csv", out / "f.parquet")
schema = json.loads(schema_texts()["datasets.schema.json"])
print(json.dumps({
    "labels": result.manifest["pathology"].tolist(),
    "regions": len(result.annotations),
    "written": sorted(path.name for path in out.iterdir()),
    "enum": schema["$defs"]["Dataset"]["properties"]["adapter"]["enum"],
    "section": "toy" in schema["$defs"]["Dataset"]["properties"],
}))
"""
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package to which a toy archive was added."""
    package = tmp_path / "src" / "mammoshift"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(mammoshift.__file__).parent, package, ignore=ignored)
    (package / "archives" / "adapters" / "toy.py").write_text(ADAPTER, encoding="utf-8")
    (package / "phantoms" / "twins" / "toy.py").write_text(TWIN, encoding="utf-8")
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    return tmp_path


def _run(folder: Path, adapter: str, section: str = "") -> subprocess.CompletedProcess[str]:
    path = folder / "config" / "datasets" / "twins.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("adapter: mias", f"adapter: {adapter}{section}"), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env={**os.environ, "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_found_validated_and_ingested(grown: Path) -> None:
    done = _run(grown, "toy", "\n  toy: {doubtful: malignant}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["labels"]) == 80
    assert set(found["labels"][:3]) <= {"benign", "malignant"}
    assert found["labels"].count("malignant") == 53
    assert found["regions"] == 80
    assert found["written"] == ["a.parquet", "e.csv", "f.parquet", "m.parquet"]
    assert "toy" in found["enum"]
    assert found["section"]


@pytest.mark.parametrize(
    ("adapter", "section", "said"),
    [
        ("tyo", "", ["mias.adapter", "'tyo'", "Did you mean 'toy'?", "'cbis_ddsm'"]),
        ("toy", "\n  toy: {doubtfull: benign}", ["mias.toy.doubtfull", "'doubtful'"]),
        ("toy", "\n  toy: {doubtful: normal}", ["mias.toy.doubtful", "'benign' or 'malignant'"]),
        ("toy", "\n  cmmd: {unlabelled: normal}", ["section cmmd belongs to the adapter cmmd"]),
        ("csv", "", ["needs the section csv"]),
    ],
)
def test_its_words_are_those_of_the_configuration(
    grown: Path, adapter: str, section: str, said: list[str]
) -> None:
    done = _run(grown, adapter, section)
    assert done.returncode != 0
    for part in said:
        assert part in done.stderr
    assert "twins.yaml" in done.stderr


def test_a_module_that_is_no_adapter_is_named(grown: Path) -> None:
    (grown / "src/mammoshift/archives/adapters/toy.py").write_text("SOURCE = ''", encoding="utf-8")
    done = _run(grown, "mias")
    assert "the adapter toy (mammoshift.archives.adapters.toy) lacks Options, read" in done.stderr
