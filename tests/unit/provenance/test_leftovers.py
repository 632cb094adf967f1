"""What no study has any more is found; what another study was made from is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammoshift.provenance.keys import Key, Output, key_file, write_key
from mammoshift.provenance.leftovers import leftovers, remove


def _made(results: Path, rule: str, path: str, *inputs: str, study: str | None = None) -> str:
    output = results / path
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(b"0123456789")
    key = Key(
        file=key_file(output),
        rule=rule,
        wildcards={} if study is None else {"study": study},
        outputs={output.name: Output("0")},
        inputs=[(str(results / name), None) for name in inputs],
        parameters={},
        versions={},
    )
    write_key(key, results)
    return str(output)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def test_a_removed_arm_goes_with_all_that_lies_beside_its_results(results: Path) -> None:
    arm = "film/new/seed-0/fold-0/model.safetensors"
    wanted = [_made(results, "train_arm", arm, study="film")]
    old = _made(results, "train_arm", arm.replace("new", "old"), study="film")
    (Path(old).parent / "run").mkdir()
    (Path(old).parent / "run" / "state").write_bytes(b"01234")
    _made(results, "score_arm", "film/old/mias/predictions.parquet", study="film")
    (found,) = leftovers(results, wanted, {"film"})
    assert found.paths == (results / "film" / "old",)
    assert found.of == "score_arm, train_arm"
    assert not found.is_shared
    assert found.size > 25
    remove(found)
    assert not (results / "film" / "old").exists()
    assert Path(wanted[0]).is_file()
    assert leftovers(results, wanted, {"film"}) == []


def test_another_study_keeps_its_results_and_what_they_were_made_from(results: Path) -> None:
    _made(results, "ingest_dataset", "datasets/mias/manifest.parquet")
    _made(
        results, "make_cases", "other/domains/mias/cases.parquet",
        "datasets/mias/manifest.parquet", study="other",
    )  # fmt: skip
    _made(results, "ingest_dataset", "datasets/cmmd/manifest.parquet")
    (found,) = leftovers(results, [], {"film"})
    assert found.paths == (results / "datasets" / "cmmd",)
    assert found.is_shared


def test_a_twin_goes_with_its_files_and_a_bundle_with_its_shards(results: Path) -> None:
    kept = [
        _made(results, "make_twin", "archives/mias.json"),
        _made(results, "preprocess_bundle", "pixels/mias/a/bundles/0.json"),
    ]
    _made(results, "make_twin", "archives/cmmd.json")
    _made(results, "preprocess_bundle", "pixels/mias/a/bundles/1.json")
    shards = "pixels/mias/a/shards"
    for folder in ("archives/cmmd", f"{shards}/000-0000", f"{shards}/001-0000"):
        (results / folder).mkdir(parents=True)
        (results / folder / "file").write_bytes(b"0")
    found = leftovers(results, kept, set())
    named = {results / "archives/cmmd", results / "pixels/mias/a/bundles/1.json"}
    assert {leftover.name for leftover in found} == named
    for leftover in found:
        remove(leftover)
    assert not (results / "archives/cmmd").exists()
    assert not (results / "archives/cmmd.json").exists()
    assert [path.name for path in (results / shards).iterdir()] == ["000-0000"]
    assert all(Path(path).is_file() for path in kept)
