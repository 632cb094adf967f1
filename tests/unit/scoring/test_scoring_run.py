"""Scoring a domain: which cases each run scores, under which name, and what is restored."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[1]))

from toy_study import CountingKind, case_table, write_case_table, write_store

from mammoshift.contracts.fitted import seal_record
from mammoshift.contracts.predictions import read_predictions
from mammoshift.contracts.run import Run
from mammoshift.errors import DamagedFileError, WeightsError
from mammoshift.kinds._inputs import InputFiles
from mammoshift.provenance import versions
from mammoshift.provenance.reuse import ENTRY
from mammoshift.provenance.sealed import read_sealed
from mammoshift.scoring import run
from mammoshift.scoring.run import ScoringJob, run_lending, run_scoring

OWN, FOREIGN = {"own": True, "own_fold": True}, {"own": False, "own_fold": False}
NAMES = [f"im{number}" for number in range(6)]
FOLDS = [
    ("out_of_fold", "train"),
    ("out_of_fold", "validation"),
    ("train", "out_of_fold"),
    ("validation", "out_of_fold"),
    ("test", "test"),
    ("test", "test"),
]


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> CountingKind:
    counting = CountingKind()
    monkeypatch.setattr(run, "kind_of", lambda _name: counting)
    return counting


def _write_model(folder: Path, factor: float, weights: str) -> None:
    (folder / "model.safetensors").write_text(weights, encoding="utf-8")
    (folder / "model.json").write_text(json.dumps({"factor": factor}), encoding="utf-8")
    seal_record(folder)


@pytest.fixture
def job(tmp_path: Path, kind: CountingKind) -> ScoringJob:
    """Two seeds and two folds of one arm on the domain that they were trained on."""
    models = {}
    for seed in (0, 7):
        for fold in (0, 1):
            folder = tmp_path / f"{seed}-{fold}"
            folder.mkdir()
            _write_model(folder, 1 + seed + 10 * fold, "weights")
            models[Run("toy", seed, fold)] = folder
    return ScoringJob(
        settings={"arm": "toy", "kind": "network", "domain": "film", **OWN},
        code={"score": "1"},
        models=models,
        cases=write_case_table(tmp_path / "cases", case_table("film", "a", NAMES, FOLDS)),
        inputs=InputFiles({"a": write_store(tmp_path, "a", NAMES)}),
    )


def test_on_its_own_domain_a_run_scores_what_its_fold_leaves_out(
    job: ScoringJob, tmp_path: Path
) -> None:
    run_scoring(job, tmp_path / "out" / "predictions.parquet")
    table = read_predictions(tmp_path / "out" / "predictions.parquet")
    found = {
        fold: dict(zip(part["case_id"], part["subset"], strict=True))
        for fold, part in table[table["seed"] == 7].groupby("fold")
    }
    assert found[0] == {
        "im0": "out_of_fold",
        "im1": "out_of_fold",
        "im3": "validation",
        "im4": "test",
        "im5": "test",
    }
    assert found[1]["im1"] == "validation"
    assert "im0" not in found[1]
    one = table[(table["case_id"] == "im4") & (table["fold"] == 1)].set_index("seed")["logit"]
    assert one[7] == pytest.approx(one[0] * 18 / 11)


def test_elsewhere_every_run_scores_all_that_is_held_out(job: ScoringJob, tmp_path: Path) -> None:
    foreign = replace(job, settings={**job.settings, **FOREIGN})
    run_scoring(foreign, tmp_path / "out" / "predictions.parquet")
    table = read_predictions(tmp_path / "out" / "predictions.parquet")
    for _run, part in table.groupby(["seed", "fold"]):
        assert part["case_id"].tolist() == NAMES
        assert part["subset"].tolist() == 4 * ["out_of_fold"] + 2 * ["test"]


def test_where_a_split_is_taken_a_run_scores_what_is_judged_of_its_own_fold(
    job: ScoringJob, tmp_path: Path
) -> None:
    again = replace(job, settings={**job.settings, "own": False, "own_fold": True})
    run_scoring(again, tmp_path / "out" / "predictions.parquet")
    table = read_predictions(tmp_path / "out" / "predictions.parquet")
    found = {fold: set(part["case_id"]) for fold, part in table.groupby("fold")}
    assert found == {0: {"im0", "im1", "im4", "im5"}, 1: {"im2", "im3", "im4", "im5"}}
    assert set(table["subset"]) == {"out_of_fold", "test"}


def test_an_image_that_could_not_be_decoded_is_no_case(job: ScoringJob, tmp_path: Path) -> None:
    table = case_table("film", "a", [*NAMES, "lost"], [*FOLDS, ("test", "test")])
    wider = replace(job, cases=write_case_table(tmp_path / "wider", table))
    run_scoring(wider, tmp_path / "out" / "predictions.parquet")
    assert "lost" not in set(read_predictions(tmp_path / "out" / "predictions.parquet")["case_id"])


def test_a_new_seed_is_scored_alone(job: ScoringJob, kind: CountingKind, tmp_path: Path) -> None:
    output = tmp_path / "out" / "predictions.parquet"
    before = {r: f for r, f in job.models.items() if r.seed == 0}
    run_scoring(replace(job, models=before), output)
    kind.scored.clear()
    run_scoring(job, output)
    assert sorted(models for models, _ in kind.scored) == [("7-0",), ("7-1",)]
    assert len(read_predictions(output)) == 4 * 5


def test_logits_have_the_versions_that_computed_them_whoever_restores_or_keeps_beside_them(
    job: ScoringJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "predictions.parquet"

    def scored_with(version: str, models: dict[Run, Path]) -> str:
        monkeypatch.setattr(versions, "_parts", [])
        monkeypatch.setattr(versions, "installed", lambda _: version)
        run_scoring(replace(job, models=models), output)
        return versions.loaded_versions()["numpy"]

    first = {one: folder for one, folder in job.models.items() if one.seed == 0}
    assert scored_with("1", first) == "1"
    assert scored_with("2", first) == "1"
    assert scored_with("2", dict(job.models)) == "1, 2"
    assert scored_with("3", dict(job.models)) == "1, 2"
    entries = [read_sealed(file) for file in tmp_path.glob(f"kept/*/*/{ENTRY}")]
    assert sorted(entry["versions"]["numpy"] for entry in entries if entry) == ["1", "1", "2", "2"]


def test_scores_are_lent_of_all_cases_of_an_unseen_domain_with_folds_averaged(
    job: ScoringJob, kind: CountingKind, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "scores.parquet"
    foreign = replace(job, settings={**job.settings, **FOREIGN, "whole": True})
    run_lending(foreign, output)
    table = pd.read_parquet(output)
    assert table[table["seed"] == 7]["case_id"].tolist() == NAMES
    assert set(table["arm"]) == {"toy"}
    one = table[table["case_id"] == "im4"].set_index("seed")["logit"]
    assert one[7] / one[0] == pytest.approx((8 + 18) / (1 + 11))
    kind.scored.clear()
    run_lending(foreign, output)
    assert kind.scored == []
    run_lending(replace(job, settings={**job.settings, **FOREIGN, "whole": False}), output)
    assert set(pd.read_parquet(output)["case_id"]) == set(NAMES)


def test_of_a_seen_domain_judged_cases_alone_are_lent(job: ScoringJob, tmp_path: Path) -> None:
    subsets = [("train",), ("train",), ("validation",), ("test",), ("test",), ("unused",)]
    cases = write_case_table(tmp_path / "split", case_table("film", "a", NAMES, subsets))
    models = {run: folder for run, folder in job.models.items() if run.fold == 0}
    settings = {**job.settings, "own": False, "own_fold": False, "whole": False}
    output = tmp_path / "out" / "scores.parquet"
    run_lending(replace(job, cases=cases, models=models, settings=settings), output)
    assert set(pd.read_parquet(output)["case_id"]) == {"im3", "im4"}


def test_a_changed_label_scores_nothing_again(
    job: ScoringJob, kind: CountingKind, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "predictions.parquet"
    run_scoring(job, output)
    first = output.read_bytes()
    kind.scored.clear()
    table = case_table("film", "a", NAMES, FOLDS).assign(label=1)
    run_scoring(replace(job, cases=write_case_table(tmp_path / "other", table)), output)
    assert kind.scored == []
    assert output.read_bytes() == first


@pytest.mark.parametrize(("factor", "weights"), [(3.0, "weights"), (18.0, "others")])
def test_another_model_is_scored_again(
    job: ScoringJob, kind: CountingKind, tmp_path: Path, factor: float, weights: str
) -> None:
    output = tmp_path / "out" / "predictions.parquet"
    run_scoring(job, output)
    kind.scored.clear()
    _write_model(job.models[Run("toy", 7, 1)], factor, weights)
    run_scoring(job, output)
    assert [models for models, _ in kind.scored] == [("7-1",)]


def test_weights_that_are_not_those_of_the_record_are_scored_by_no_kind(
    job: ScoringJob, kind: CountingKind, tmp_path: Path
) -> None:
    file = job.models[Run("toy", 7, 1)] / "model.safetensors"
    file.write_text("weighty", encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"7-1/model\.safetensors: the content .*\(`rm "):
        run_scoring(job, tmp_path / "out" / "predictions.parquet")
    record = file.with_name("model.json")
    record.write_text('{"factor": 1}', encoding="utf-8")
    with pytest.raises(WeightsError, match=r"model\.json: does not say of which weights it is"):
        run_scoring(job, tmp_path / "out" / "predictions.parquet")
    assert all("7-1" not in models for models, _ in kind.scored)


def test_a_damaged_array_is_scored_by_nobody(
    job: ScoringJob, kind: CountingKind, tmp_path: Path
) -> None:
    array = next((tmp_path / "pixels").rglob("shard.npy"))
    content = bytearray(array.read_bytes())
    content[-3] ^= 1
    array.write_bytes(bytes(content))
    with pytest.raises(DamagedFileError, match=r"shard\.npy"):
        run_scoring(job, tmp_path / "out" / "predictions.parquet")
    assert kind.scored == []
