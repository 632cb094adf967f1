"""Reasons in words: what a result was made from, against what it would be made from now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mammoshift.pixelstore.receipt import Receipt, ShardRecord, write_receipt
from mammoshift.provenance.fingerprint import DEFINITIONS
from mammoshift.provenance.inputs import Again
from mammoshift.provenance.keys import Key, Output, code_name, keep_definitions, key_file, write_key
from mammoshift.provenance.planned import Plan, PlannedJob
from mammoshift.provenance.verify import MISSING, problems, verify_results
from mammoshift.provenance.why import explain, version_notes

CODE = {DEFINITIONS: "1"}
LEAVES = {"training": {"batch_size": 16, "stages": [{"epochs": 14}, {"epochs": 2}]}}


def _job(rule: str = "train_arm", **changes: Any) -> PlannedJob:
    output = f"results/{rule}/model.safetensors"
    given: dict[str, Any] = {
        "rule": rule,
        "wildcards": {},
        "outputs": [output],
        "inputs": ["results/cases.parquet"],
        "benchmark": None,
        "parameters": {"arm": LEAVES, "code": CODE},
        "places": {},
        "missing": [],
        "updated": [],
        "waits_for": [],
        "is_forced": False,
        "own": True,
    }
    return PlannedJob(**{**given, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished training of two hours, whose loss is known."""
    _finish(tmp_path, _job(), seconds=7200.0)
    return tmp_path


def _finish(folder: Path, job: PlannedJob, seconds: float, checksum: str | None = None) -> None:
    output = folder / job.outputs[0]
    output.parent.mkdir(parents=True)
    output.write_bytes(b"x")
    key = Key(
        file=key_file(output),
        rule=job.rule,
        wildcards={},
        outputs={output.name: Output("0")},
        inputs=[(f"{folder}/{path}", checksum) for path in job.inputs],
        parameters=job.parameters,
        versions={"numpy": "0.1"},
        seconds=seconds,
    )
    write_key(key, folder / "results")
    code = job.parameters["code"]
    before = {"mammoshift.training.losses:focal": "aaaa", "mammoshift.training.losses:bce": "b"}
    keep_definitions(code, folder / "results" / ".code", lambda: before)


def _plan(folder: Path, *jobs: PlannedJob, codes: dict[str, Any] | None = None) -> Plan:
    return Plan(folder, Path("results"), jobs, codes or {})


def test_the_changed_value_is_named_before_and_after(folder: Path) -> None:
    leaves = {"training": {"batch_size": 8, "stages": [{"epochs": 15}, {"epochs": 2}]}}
    job = _job(parameters={"arm": leaves, "code": CODE})
    assert explain(_plan(folder, job)) == [
        "train_arm would run: training.batch_size was 16 and is 8; training.stages.0.epochs was 14 "
        "and is 15.",
        "At stake: 1 job, 2.0 hours of work as it was measured.",
    ]


def test_the_changed_definition_is_named_with_its_file(folder: Path) -> None:
    code = {DEFINITIONS: "3"}
    now = {"mammoshift.training.losses:focal": "cccc", "mammoshift.training.losses:bce": "b"}
    job = _job(parameters={"arm": LEAVES, "code": code})
    (first, _) = explain(_plan(folder, job, codes={code_name(code): now}))
    assert first == (
        "train_arm would run: `focal` in src/mammoshift/training/losses.py changed (aaaa -> cccc)."
    )


def test_without_known_definitions_the_code_is_said_to_have_changed(folder: Path) -> None:
    code = {DEFINITIONS: "3"}
    (first, _) = explain(_plan(folder, _job(parameters={"arm": LEAVES, "code": code})))
    assert first.endswith("the code changed (1 -> 3).")


def test_what_only_follows_is_told_apart_and_counted(folder: Path) -> None:
    follower = _job("score_arm", waits_for=["results/model.json"], own=False)
    _finish(folder, follower, seconds=3600.0)
    changed = _job(updated=["results/cases.parquet"])
    first, second, third = explain(_plan(folder, changed, follower))
    assert first == "train_arm would run: an input has another content: results/cases.parquet."
    assert second.startswith("score_arm would start after that, since it reads what was written")
    assert third.startswith("At stake: 2 jobs, 3.0 hours")


def test_a_deleted_output_and_a_new_one_are_named_and_the_new_one_is_estimated(
    folder: Path,
) -> None:
    (folder / "results/train_arm/model.safetensors").unlink()
    new = _job(outputs=["results/other/model.safetensors"])
    first, second, third = explain(_plan(folder, _job(), new))
    assert first == "train_arm would run: deleted: results/train_arm/model.safetensors."
    assert second == "train_arm would run: for the first time."
    assert "4.0 hours" in third
    assert "(of them 1 new" in third


def test_a_replaced_weights_file_is_named(folder: Path) -> None:
    before = _job("convert_weights", parameters={"state": "1", "code": CODE})
    _finish(folder, before, seconds=1.0)
    job = _job(
        "convert_weights", parameters={"state": "2", "code": CODE}, places={"path": "w/a.pth"}
    )
    assert "the file w/a.pth has another content" in explain(_plan(folder, job))[0]


def test_nothing_to_do_is_said(tmp_path: Path) -> None:
    assert explain(_plan(tmp_path)) == [
        "Nothing would run: every result is present and up to date."
    ]


def test_a_missing_file_that_no_job_waits_for_is_named_with_what_makes_it(folder: Path) -> None:
    (output,) = _job().outputs
    (folder / output).unlink()
    again = Again(folder, [Path("my study.yaml")], ["archives=/data"])
    plan = Plan(folder, Path("results"), (), {}, wanted=[output], again=again)
    (said,) = explain(plan)
    assert "every result is present" not in said
    options = "--force --configfile 'my study.yaml' --config archives=/data"
    assert f"`cd {folder} && snakemake {output} {options}` makes it again" in said
    (found,) = problems(verify_results(folder / "results", folder / "results", again))
    assert found.problem == MISSING
    assert "delete it" not in found.mend
    assert f"`cd {folder} && snakemake {output} {options}`" in found.mend


def test_missing_arrays_of_a_store_are_named_with_what_makes_them_again(tmp_path: Path) -> None:
    store = tmp_path / "results/pixels/mias/a/store.json"
    shards = [store.parent / "shards" / name for name in ("000-0000", "001-0000")]
    for shard in shards:
        shard.mkdir(parents=True)
        (shard / "shard.npy").write_bytes(b"0")
    records = [ShardRecord(f"shards/{one.name}", "k", 1, {"shard.npy": "0"}) for one in shards]
    write_receipt(Receipt("mias", tuple(records)), store)
    plan = replace(_plan(tmp_path), wanted=["results/pixels/mias/a/store.json"])
    assert explain(plan) == ["Nothing would run: every result is present and up to date."]
    (shards[1] / "shard.npy").unlink()
    (said,) = explain(plan)
    assert "every result is present" not in said
    assert "missing: results/pixels/mias/a/shards/001-0000/shard.npy; " in said
    assert f"`rm -r {shards[1]} {store.parent}/bundles {store}`" in said


def test_other_versions_than_those_that_computed_are_noted(folder: Path) -> None:
    from mammoshift.provenance.keys import all_keys

    keys = [key for key in all_keys(folder / "results") if isinstance(key, Key)]
    (note,) = version_notes(keys)
    assert note.startswith("1 result was made with numpy 0.1, of which 2")


def test_versions_are_the_cause_where_the_planned_workflow_says_so(folder: Path) -> None:
    """The setting is in the configuration: this process's own environment does not have it."""
    follower = _job("score_arm", waits_for=["results/model.json"], own=False)
    _finish(folder, follower, seconds=3600.0)
    plan = _plan(folder, _job(), follower)
    (first, _) = explain(replace(plan, same_versions=True))
    assert first.startswith("train_arm, score_arm would run: numpy was 0.1 and is 2")
    assert "numpy" not in " ".join(explain(plan))


def test_whose_input_it_is_and_of_what_is_said(folder: Path) -> None:
    _written(folder, "cases.parquet", "make_cases", {"domain": "film"}, "2", ended=1.8e9)
    (first, _) = explain(_plan(folder, _job(updated=["results/cases.parquet"])))
    assert first == (
        "train_arm would run: an input has another content: results/cases.parquet (of make_cases "
        "(domain=film), 2027-01-15 08:00 UTC)."
    )
    _finish(folder, _job("score_arm"), seconds=1.0, checksum="sha256:1")
    (first, _) = explain(_plan(folder, _job("score_arm")))
    assert first == (
        "score_arm would run: it was made from another content than lies in results/cases.parquet "
        "(of make_cases (domain=film), 2027-01-15 08:00 UTC)."
    )


def test_a_result_in_anothers_place_and_one_without_a_key_are_named(folder: Path) -> None:
    (folder / "results/train_arm").rename(folder / "results/other")
    job = _job(outputs=["results/other/model.safetensors"])
    assert explain(_plan(folder, job))[0] == (
        "train_arm would run: what lies there was written as train_arm/model.safetensors by "
        "train_arm, and lies in the place of another result."
    )
    key_file(folder / "results/other/model.safetensors").unlink()
    assert "carry no key" in explain(_plan(folder, job))[0]


def _written(
    folder: Path, name: str, rule: str, wildcards: dict[str, str], sha256: str, ended: float
) -> None:
    file = key_file(folder / "results" / name)
    outputs = {name: Output(sha256)}
    write_key(Key(file, rule, wildcards, outputs, [], {}, {}, ended=ended), folder / "results")
