"""Snakemake's records come from the keys beside results, and go there."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy  # noqa: F401 - one of the libraries whose version is noted
import pytest

from mammoshift.errors import DamagedFileError
from mammoshift.files import sha256_of_file
from mammoshift.provenance import bookkeeping, sums
from mammoshift.provenance.accepted import Acceptance, Accepted, Standing
from mammoshift.provenance.bookkeeping import with_keys
from mammoshift.provenance.inputs import check_inputs, check_still_there, drop_note, note_outputs
from mammoshift.provenance.keys import all_keys, kept_definitions, key_file, read_key
from mammoshift.provenance.sealed import read_sealed, write_sealed
from mammoshift.provenance.versions import RERUN, SETTING

CODE = {"mammoshift.training.losses": "1"}
DIGEST = "0" * 64
NOTHING = Accepted()
LEAVES = {"lr": 0.1, "size": [64, 48], "name": "é"}


class Records:
    """What is extended of Snakemake's class, with records in memory."""

    def __init__(self, dag: Any) -> None:
        self.dag = dag
        self.records: dict[str, Any] = {}
        self.max_checksum_file_size = 1000

    def _write_record(self, key: str, record: Any) -> None:
        self.records[key] = record

    def _read_record(self, key: str) -> Any:
        return self.records.get(key)

    def _delete_record(self, key: str) -> bool:
        return self.records.pop(key, None) is not None

    def _clear_cache(self) -> None:
        pass

    async def finished(self, job: Any) -> None:
        for output in job.output:
            self.records[output] = SimpleNamespace(
                input=list(job.input),
                input_checksums={
                    path: f"sha256:{sha256_of_file(Path(path))}"
                    for path in job.input
                    if Path(path).stat().st_size <= self.max_checksum_file_size
                },
                starttime=1.0,
                endtime=Path(output).stat().st_mtime,
                params=sorted(map(repr, job.non_derived_params)),
            )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def _workflow(touch: bool) -> Any:
    settings = SimpleNamespace(keep_metadata=True, latency_wait=0)
    return SimpleNamespace(execution_settings=settings, is_main_process=True, touch=touch)


def _kept(results: Path, touch: bool = True, accepted: Accepted = NOTHING) -> Any:
    """Return records of a run; with `touch` what jobs have noted is not asked for."""
    made = with_keys(Records, SimpleNamespace, results, lambda _: {"losses:focal": "1"}, accepted)
    return made(SimpleNamespace(workflow=_workflow(touch)))


def _job(results: Path) -> Any:
    folder = results / "film" / "plain"
    folder.mkdir(parents=True)
    outputs = [folder / "model.safetensors", folder / "model.json"]
    for output in outputs:
        output.write_text(f"content of {output.name}", encoding="utf-8")
    (results / "cases.parquet").write_text("cases", encoding="utf-8")
    leaves, code, place = dict(LEAVES), dict(CODE), "/somewhere"
    return SimpleNamespace(
        rule=SimpleNamespace(name="train_arm"),
        wildcards_dict={"arm": "plain"},
        output=[str(path) for path in outputs],
        input=[f"{results}/cases.parquet", f"{results}/cases.parquet"],
        params={"arm": leaves, "place": place, "code": code},
        non_derived_params=[leaves, code],
    )


def _writing(results: Path, name: str, leaf: str) -> Any:
    """Return a job without inputs that writes one file of the results."""
    return SimpleNamespace(
        rule=SimpleNamespace(name="make_cases"),
        wildcards_dict={"domain": "film"},
        output=[f"{results}/{name}"],
        input=[],
        params={"cases": leaf},
        non_derived_params=[leaf],
    )


def _finish(results: Path) -> tuple[Any, Any]:
    kept, job = _kept(results), _job(results)
    asyncio.run(kept.finished(job))
    return kept, job


def test_a_record_is_read_from_the_key_as_it_was_written(results: Path) -> None:
    kept, job = _finish(results)
    for output in job.output:
        found, known = _kept(results)._read_record(output), kept.records[output]
        assert found.params == known.params == sorted([repr(LEAVES), repr(CODE)])
        assert found.input == sorted(job.input)
        assert found.input_checksums == known.input_checksums != {}
        assert found.incomplete is False
    assert kept_definitions(CODE, [results / ".code"]) == {"losses:focal": "1"}


def test_an_input_is_hashed_once_whatever_the_number_of_outputs(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    for place in (sums, sys.modules[__name__]):
        monkeypatch.setattr(
            place, "sha256_of_file", lambda path: hashed.append(path) or DIGEST, raising=True
        )
    job = _job(results)
    asyncio.run(_kept(results).finished(job))
    cases = results / "cases.parquet"
    assert hashed.count(cases) == 1
    assert _kept(results)._read_record(job.output[0]).input_checksums == {
        str(cases): f"sha256:{DIGEST}"
    }


class LenientRecords(Records):
    """As Snakemake's, which notes a failed job's outputs whether they are there or not."""

    async def finished(self, job: Any) -> None:
        del job


def test_a_failed_job_without_its_outputs_stops_nothing_and_gets_no_key(results: Path) -> None:
    made = with_keys(LenientRecords, SimpleNamespace, results, lambda _: {}, Accepted())
    job = _job(results)
    for output in job.output:
        Path(output).unlink()
    asyncio.run(made(SimpleNamespace(workflow=_workflow(touch=False))).finished(job))
    assert list(results.rglob("*.key.json")) == []


@pytest.mark.parametrize("earlier", [False, True])
def test_a_failed_job_whose_outputs_stay_gets_no_key_and_no_record(
    results: Path, earlier: bool
) -> None:
    """As with `--keep-incomplete`; Snakemake's own record of it would be believed as well."""
    kept, job = _kept(results, touch=False), _job(results)
    outputs = [Path(path) for path in job.output]
    if earlier:
        note_outputs(outputs)
        asyncio.run(kept.finished(job))
        assert kept._read_record(job.output[0]).params != ["made from: unknown"]
        drop_note(outputs)
        outputs[0].write_text("of other code", encoding="utf-8")
    asyncio.run(kept.finished(job))
    assert list(all_keys(results)) == []
    assert kept.records == {}
    assert kept._read_record(job.output[0]).params == ["made from: unknown"]


def test_an_input_that_changed_while_a_job_ran_ends_it_and_is_in_no_key(results: Path) -> None:
    kept, job = _kept(results, touch=False), _job(results)
    cases = results / "cases.parquet"
    asyncio.run(_kept(results).finished(_writing(results, cases.name, "film=old")))
    read = check_inputs([cases])
    check_still_there(read)
    note_outputs([Path(path) for path in job.output], inputs=read)
    cases.write_text("others", encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"cases\.parquet: .*changed while this job read it"):
        check_still_there(read)
    asyncio.run(kept.finished(job))
    key = read_key(key_file(Path(job.output[0])), results)
    assert key is not None
    assert dict(key.inputs) == {str(cases): f"sha256:{read[str(cases)]}"}


def test_a_job_whose_end_nobody_noted_runs_again(results: Path) -> None:
    """As after a kill between the two; `verify` calls it a result of nobody."""
    kept, job = _kept(results), _job(results)
    note_outputs([Path(path) for path in job.output])
    kept.records[job.output[0]] = SimpleNamespace(
        endtime=Path(job.output[0]).stat().st_mtime, params=["of Snakemake"]
    )
    assert kept._read_record(job.output[0]).params == ["made from: unknown"]


def test_a_job_of_another_workflow_notes_nothing_and_keeps_its_record(results: Path) -> None:
    kept, job = _kept(results, touch=False), _writing(results, "own.csv", "theirs")
    (results / "own.csv").parent.mkdir()
    (results / "own.csv").write_text("by a shell command", encoding="utf-8")
    asyncio.run(kept.finished(job))
    assert kept._read_record(job.output[0]).params == [repr("theirs")]


def test_moved_results_are_known_under_their_new_path(results: Path) -> None:
    _, job = _finish(results)
    moved = results.parent / "moved"
    results.rename(moved)
    output = job.output[0].replace(str(results), str(moved))
    assert _kept(moved)._read_record(output).input == [f"{moved}/cases.parquet"] * 2


def test_the_key_of_results_that_were_exchanged_is_believed_before_an_old_record(
    results: Path,
) -> None:
    _, job = _finish(results)
    other = _kept(results)
    other.records[job.output[0]] = SimpleNamespace(endtime=1.0, params=["old"])
    assert other._read_record(job.output[0]).params != ["old"]


def test_a_record_of_the_very_file_is_believed_before_an_older_key(results: Path) -> None:
    _, job = _finish(results)
    os.utime(job.output[0], (9.0, 9.0))
    other = _kept(results)
    other.records[job.output[0]] = SimpleNamespace(endtime=9.0, params=["new"])
    assert other._read_record(job.output[0]).params == ["new"]


def test_without_a_whole_key_snakemakes_record_of_the_very_file_holds(
    results: Path,
) -> None:
    kept, job = _finish(results)
    file = key_file(Path(job.output[0]))
    file.write_text(file.read_text("utf-8").replace("train_arm", "train_ark"), encoding="utf-8")
    assert [type(found) for found in all_keys(results)] == [DamagedFileError]
    other = _kept(results)
    assert other._read_record(job.output[0]).params == ["made from: unknown"]
    other.records = kept.records
    other._clear_cache()
    assert other._read_record(job.output[0]) is kept.records[job.output[0]]


def test_planning_is_told_an_accepted_value_and_the_key_keeps_that_of_the_work(
    results: Path,
) -> None:
    _, job = _finish(results)
    other = {**LEAVES, "lr": 0.2}
    change = Acceptance(
        "", "train_arm", {"arm": "plain"}, "", "", [], {"arm": Standing(other, LEAVES)}
    )
    accepted = _kept(results, accepted=Accepted([change]))
    assert accepted._read_record(job.output[0]).params == sorted([repr(other), repr(CODE)])
    # A job that runs has the present values: here the earlier ones were never accepted for it.
    job.params["code"] = job.non_derived_params[1] = {"1": "2"}
    job.params["arm"] = job.non_derived_params[0] = other
    asyncio.run(accepted.finished(job))
    key = read_key(key_file(Path(job.output[0])), results)
    assert key is not None
    assert key.parameters == {"arm": other, "code": {"1": "2"}}


def test_forgetting_a_record_forgets_the_key(results: Path) -> None:
    kept, job = _finish(results)
    assert kept._delete_record(job.output[1])
    assert list(all_keys(results)) == []
    assert kept._read_record(job.output[1]).params == ["made from: unknown"]
    Path(job.output[1]).unlink()
    kept._clear_cache()
    assert kept._read_record(job.output[1]) is None


def test_other_versions_make_a_result_invalid_only_where_the_setting_says_so(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _job(results)
    note_outputs([Path(path) for path in job.output])
    file = key_file(Path(job.output[0]))
    content = json.loads(file.read_text("utf-8"))
    assert content["versions"]["numpy"]
    kept = _kept(results)
    asyncio.run(kept.finished(job))
    monkeypatch.setattr(bookkeeping, "differing", lambda versions: dict.fromkeys(versions, ("1",)))
    assert len(_kept(results)._read_record(job.output[0]).params) == 2
    monkeypatch.setenv(SETTING, RERUN)
    assert len(_kept(results)._read_record(job.output[0]).params) == 3


def test_what_a_job_noted_of_its_outputs_is_in_the_key_and_kept_when_they_are_touched(
    results: Path,
) -> None:
    job = _job(results)
    note_outputs([Path(path) for path in job.output])
    for touch in (False, True):
        asyncio.run(_kept(results, touch=touch).finished(job))
        key = read_key(key_file(Path(job.output[0])), results)
        assert key is not None
        assert key.versions["numpy"]
        assert key.seconds is not None
        assert set(key.outputs) == {"model.safetensors", "model.json"}


def test_a_job_does_not_start_on_an_input_that_is_not_what_was_written(results: Path) -> None:
    _, job = _finish(results)
    record = Path(job.output[1])
    check_inputs([record, results.parent / "from_outside.csv"])
    record.write_text("content of model.jsom", encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"model\.json: the content is not .*\(`rm "):
        check_inputs([record])


def test_results_that_lost_their_keys_are_no_jobs_own(results: Path) -> None:
    kept, job = _finish(results)
    key_file(Path(job.output[0])).unlink()
    kept.records.clear()
    for output in job.output:
        assert _kept(results)._read_record(output).params == ["made from: unknown"]
    elsewhere = results.parent / "elsewhere" / "table.csv"
    elsewhere.parent.mkdir()
    elsewhere.write_text("of no workflow's job", encoding="utf-8")
    assert _kept(results)._read_record(str(elsewhere)) is None


def test_a_key_in_the_place_of_another_is_not_believed(results: Path) -> None:
    _, job = _finish(results)
    folder = results / "film" / "plain"
    folder.rename(results / "film" / "other")
    output = results / "film" / "other" / "model.json"
    found = _kept(results)._read_record(str(output))
    assert "written as: film/plain/.model.safetensors.key.json" in found.params
    with pytest.raises(DamagedFileError, match=r"other/model\.json: was written as film/plain/mod"):
        check_inputs([output])
    (results / "film" / "other").rename(folder)
    assert len(_kept(results)._read_record(job.output[0]).params) == 2


def test_a_key_that_does_not_say_its_place_is_none(results: Path) -> None:
    _, job = _finish(results)
    file = key_file(Path(job.output[0]))
    content = read_sealed(file)
    assert content is not None
    write_sealed(file, {**content, "format": 1})
    assert read_key(file, results) is None
    assert _kept(results)._read_record(job.output[0]).params == ["made from: unknown"]


def test_a_result_of_another_input_than_the_one_there_is_not_believed(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, job = _finish(results)
    cases = _writing(results, "cases.parquet", "film=old")
    asyncio.run(kept.finished(cases))
    assert len(_kept(results)._read_record(job.output[0]).params) == 2
    (results / "cases.parquet").write_text("others", encoding="utf-8")
    asyncio.run(_kept(results).finished(cases))
    monkeypatch.setattr(sums, "sha256_of_file", lambda _: pytest.fail("a file was hashed"))
    for output in job.output:
        found = _kept(results)._read_record(output).params
        assert found.count(f"made from another: {results}/cases.parquet") == 1
    moved = results.parent / "moved"
    results.rename(moved)
    output = job.output[0].replace(str(results), str(moved))
    assert f"made from another: {moved}/cases.parquet" in _kept(moved)._read_record(output).params
