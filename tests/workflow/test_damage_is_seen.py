"""A flipped bit in any kind of result is seen by `verify`, and before anybody uses the file."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from miniature import Project

from mammoshift.archives.ingest import check_receipt
from mammoshift.archives.memory import NAME as MEMORY
from mammoshift.errors import MammoshiftError
from mammoshift.models.saved_model import read_state
from mammoshift.pixelstore.bundle import check_sources, collect_bundles
from mammoshift.pixelstore.receipt import checked_folders
from mammoshift.provenance.inputs import check_inputs
from mammoshift.provenance.reuse import Store
from mammoshift.provenance.verify import (
    problems,
    verify_archive,
    verify_results,
    verify_store,
    verify_twins,
)

pytestmark = pytest.mark.workflow

Use = Callable[[Path, Path], object]


def _as_input(_results: Path, file: Path) -> None:
    check_inputs([file])


def _as_shard(_results: Path, file: Path) -> None:
    checked_folders(file.parents[2] / "store.json")


def _as_exclusions(_results: Path, file: Path) -> None:
    store = file.parents[2]
    collect_bundles(sorted((store / "bundles").glob("[0-9].json")), store, store / "new.csv")


def _as_twin(results: Path, file: Path) -> None:
    name = file.relative_to(results / "archives").parts[0]
    check_receipt(results / "archives" / f"{name}.json", results / "archives" / name)


def _as_raw_file(results: Path, file: Path) -> None:
    table = results / "datasets" / "mias" / "files.parquet"
    root = results.parent / "archives" / "mias"
    assert file.is_relative_to(root)
    check_sources(pd.read_parquet(table), (0, 1), root, table.with_name(MEMORY))


def _as_model(_results: Path, file: Path) -> None:
    read_state(file.parent)


KINDS: dict[str, tuple[str, Use]] = {
    "a file of a twin": ("results/archives/cbis_ddsm/**/*.dcm", _as_twin),
    "a file of an archive": ("archives/mias/**/*.pgm", _as_raw_file),
    "a receipt of a twin": ("results/archives/cbis_ddsm.json", _as_input),
    "a manifest": ("results/datasets/*/manifest.parquet", _as_input),
    "annotations": ("results/datasets/*/annotations.parquet", _as_input),
    "exclusions": ("results/datasets/*/exclusions.csv", _as_input),
    "a list of files": ("results/datasets/*/files.parquet", _as_input),
    "an array": ("results/pixels/*/*/shards/*/shard.npy", _as_shard),
    "an index": ("results/pixels/*/*/shards/*/index.parquet", _as_shard),
    "exclusions of a shard": ("results/pixels/*/*/shards/*/exclusions.csv", _as_exclusions),
    "a receipt of a bundle": ("results/pixels/*/*/bundles/[0-9].json", _as_input),
    "a receipt of a store": ("results/pixels/*/*/store.json", _as_input),
    "cases": ("results/small/domains/*/cases.parquet", _as_input),
    "an audit": ("results/small/domains/*/lineages/*.csv", _as_input),
    "converted weights": ("results/weights/tiny.safetensors", _as_input),
    "a model": ("results/small/*/seed-*/fold-0/model.safetensors", _as_model),
    "a record": ("results/small/*/seed-*/fold-0/model.json", _as_input),
    "a history": ("results/small/*/seed-*/fold-0/history.csv", _as_input),
    "predictions": ("results/small/*/*/predictions.parquet", _as_input),
    "a table": ("results/small/tables/*.csv", _as_input),
}


def _all_problems(results: Path) -> list[Path]:
    found = [
        verify_results(results, results),
        verify_store(Store(results / "kept")),
        verify_twins(results),
        verify_archive(results, "mias", results.parent / "archives" / "mias"),
    ]
    return [one.path for checked in found for one in problems(checked)]


@pytest.fixture(scope="module")
def results(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of which each test flips a bit and puts it back."""
    copy = finished.copy_to(tmp_path_factory.mktemp("damage") / "project")
    assert _all_problems(copy.folder / "results") == []
    return copy.folder / "results"


@pytest.mark.parametrize("kind", KINDS)
def test_a_random_flipped_bit_is_seen_by_verify_and_before_use(results: Path, kind: str) -> None:
    pattern, use = KINDS[kind]
    generator = random.Random(kind)
    file = generator.choice(sorted(results.parent.glob(pattern)))
    sound = file.read_bytes()
    damaged = bytearray(sound)
    damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
    use(results, file)
    file.write_bytes(damaged)
    try:
        with pytest.raises(MammoshiftError, match=file.name):
            use(results, file)
        assert file in _all_problems(results)
    finally:
        file.write_bytes(sound)


@pytest.mark.parametrize(
    "pattern", ["small/**/.*.key.json", "pixels/**/shard.json", "kept/*/*/model.safetensors"]
)
def test_a_flipped_bit_in_what_is_beside_the_results_is_named(results: Path, pattern: str) -> None:
    file = sorted(results.glob(pattern))[0]
    sound = file.read_bytes()
    middle = len(sound) // 2
    file.write_bytes(sound[:middle] + bytes([sound[middle] ^ 4]) + sound[middle + 1 :])
    try:
        assert file in _all_problems(results)
    finally:
        file.write_bytes(sound)


def test_commands_that_verify_and_why_print_mend_as_they_are(project: Project) -> None:
    sound = project.mammoshift("verify", "--raw")
    assert sound.returncode == 0, sound.stderr
    assert sound.stdout.endswith("files are what was written.\n")
    model = project.folder / "results/small/plain/seed-0/fold-0/model.safetensors"
    model.unlink()
    given = ("--configfile", "config/config.yaml")
    (said,) = project.mammoshift("why", *given).stdout.splitlines()
    path = model.relative_to(project.folder)
    command = f"snakemake {path} --force --configfile config/config.yaml"
    assert f"{path}; `{command}` makes it again" in said
    _execute(project, command)
    assert model.is_file()
    table = project.folder / "results" / "small" / "tables" / "metrics.csv"
    table.write_bytes(table.read_bytes().replace(b"auc", b"auk", 1))
    done = project.mammoshift("verify", "results/small/tables", *given)
    assert done.returncode == 1
    name = table.relative_to(project.folder)
    found = re.fullmatch(rf"{name}: is not what was written. To mend it: `(.+)`\n", done.stdout)
    assert found is not None
    assert re.fullmatch(
        r"Error: 1 of \d+ files are not as they should be; see above\n", done.stderr
    )
    _execute(project, found[1])
    again = project.mammoshift("verify")
    assert again.returncode == 0, again.stdout


def _execute(project: Project, command: str) -> None:
    environment = project.environment()
    subprocess.run(command, shell=True, cwd=project.folder, env=environment, check=True)
