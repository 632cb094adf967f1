"""The rule `train_arm` as a whole: what reaches a kind of arm, and what makes a run anew."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[1]))

from toy_study import ARM, BACKBONE, CountingKind, case_table, write_case_table, write_store

from mammoshift.contracts.features import write_features, write_scores
from mammoshift.contracts.fitted import read_fields, seal_record
from mammoshift.contracts.run import Run
from mammoshift.errors import TrainingError
from mammoshift.files import sha256_of_file
from mammoshift.kinds._inputs import InputFiles
from mammoshift.provenance.reuse import Store
from mammoshift.training import run
from mammoshift.training.request import Cases
from mammoshift.training.run import TrainingJob, run_training

NAMES = [f"im{number}" for number in range(6)]
SUBSETS = [("train",), ("train",), ("train",), ("validation",), ("validation",), ("test",)]


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> CountingKind:
    counting = CountingKind()
    monkeypatch.setattr(run, "kind_of", lambda _name: counting)
    return counting


@pytest.fixture
def job(tmp_path: Path, kind: CountingKind) -> TrainingJob:
    return TrainingJob(
        run=Run("toy", 3),
        settings={"arm": ARM, "backbone": BACKBONE, "task": "malignant_vs_rest", "lineage": {}},
        leaves={"arm": {"input": [24, 16]}},
        code={"train": "1"},
        cases=write_case_table(tmp_path / "cases", _table()),
        inputs=InputFiles({"a": write_store(tmp_path, "a", NAMES)}),
        start=None,
        folder=tmp_path / "toy" / "seed-3" / "fold-0",
    )


def _table(**changes: Any) -> pd.DataFrame:
    return case_table("film", "a", NAMES, SUBSETS).assign(**changes)


def _with_cases(job: TrainingJob, table: pd.DataFrame) -> TrainingJob:
    return replace(job, cases=write_case_table(job.cases.with_name("other"), table))


def test_a_kind_sees_training_and_validation_cases_alone(
    job: TrainingJob, kind: CountingKind
) -> None:
    run_training(job)
    (request,) = kind.fitted
    assert request.cases["subset"].tolist() == 3 * ["train"] + 2 * ["validation"]
    assert request.cases["case_id"].tolist() == NAMES[:5]
    assert request.run == Run("toy", 3)


def test_only_birads_densities_reach_the_density_head() -> None:
    table = _table()
    cases = Cases.make(NAMES, table["label"].to_numpy(), table["density"].tolist())
    assert cases.densities.tolist() == [0, -1, 3, -1, 0, -1]


def test_a_finished_run_is_restored(job: TrainingJob, kind: CountingKind) -> None:
    run_training(job)
    model = (job.folder / "model.safetensors").read_bytes()
    (job.folder / "model.safetensors").unlink()
    run_training(job)
    assert len(kind.fitted) == 1
    assert (job.folder / "model.safetensors").read_bytes() == model


def test_a_restored_run_shows_the_log_of_its_training(
    job: TrainingJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "train_arm.log"
    log.write_text("epoch 1 of 1\n", encoding="utf-8")
    run_training(replace(job, log=log))
    log.unlink()
    run_training(replace(job, log=log))
    assert "its own log:\nepoch 1 of 1\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("table", "trained"),
    [
        (_table(patient_id="another", age=50, site="elsewhere"), 1),
        (_table(label=[0, 1, 0, 1, 0, 0]), 1),
        (_table(label=[1, 1, 0, 1, 0, 1]), 2),
        (_table(density="b"), 2),
        (case_table("film", "a", NAMES, [("train",)] * 4 + [("validation",)] * 2), 2),
    ],
    ids=["columns nobody reads", "a test label", "a training label", "densities", "the split"],
)
def test_what_of_the_cases_makes_a_run_anew(
    job: TrainingJob, kind: CountingKind, table: pd.DataFrame, trained: int
) -> None:
    run_training(job)
    run_training(_with_cases(job, table))
    assert len(kind.fitted) == trained


def test_other_pixels_make_a_run_anew_and_a_new_test_image_does_not(
    job: TrainingJob, kind: CountingKind, tmp_path: Path
) -> None:
    run_training(job)
    more = [*NAMES, "im6"]
    wider = replace(job, inputs=InputFiles({"a": write_store(tmp_path / "wider", "a", more)}))
    table = case_table("film", "a", more, [*SUBSETS, ("test",)])
    run_training(_with_cases(wider, table))
    assert len(kind.fitted) == 1
    turned = [NAMES[-1], *NAMES[:-1]]
    run_training(
        replace(job, inputs=InputFiles({"a": write_store(tmp_path / "turned", "a", turned)}))
    )
    assert len(kind.fitted) == 2


def test_features_and_scores_that_are_read_decide_a_run_of_their_seed(
    job: TrainingJob, kind: CountingKind, tmp_path: Path
) -> None:
    def with_values(rough: float, score: float, other_seed: float) -> TrainingJob:
        features = pd.DataFrame({"item_id": NAMES, "pixel_hash": "0", "spacing_mm": 0.1})
        write_features(features.assign(rough=rough), ["rough"], "a", tmp_path / "features")
        scores = [
            pd.DataFrame({"arm": "base", "seed": seed, "domain": "film", "case_id": NAMES})
            for seed in (3, 4)
        ]
        values = [scores[0].assign(logit=score), scores[1].assign(logit=other_seed)]
        write_scores(pd.concat(values), tmp_path / "scores")
        files = InputFiles({}, [tmp_path / "features"], [tmp_path / "scores"])
        return replace(job, inputs=files)

    for values, fits in (((1, 2, 3), 1), ((1, 2, 9), 1), ((1, 5, 9), 2), ((7, 5, 9), 3)):
        run_training(with_values(*values))
        assert len(kind.fitted) == fits
    request = kind.fitted[-1]
    assert request.pixels is None
    assert request.features is not None
    assert request.scores is not None
    assert request.features["rough"].tolist() == 5 * [7.0]
    assert request.scores.loc["im1", "base"] == 5.0


@pytest.mark.parametrize(
    "changes", [{"leaves": {"arm": 1}}, {"code": {"train": "2"}}, {"run": Run("toy", 4)}]
)
def test_settings_code_and_seed_make_a_run_anew(
    job: TrainingJob, kind: CountingKind, changes: dict[str, Any]
) -> None:
    run_training(job)
    run_training(replace(job, **changes))
    assert len(kind.fitted) == 2


def test_a_setting_that_is_taken_back_trains_nothing_again(
    job: TrainingJob, kind: CountingKind
) -> None:
    run_training(job)
    first = (job.folder / "model.safetensors").read_bytes()
    run_training(replace(job, leaves={"arm": "other"}))
    run_training(job)
    assert len(kind.fitted) == 2
    assert (job.folder / "model.safetensors").read_bytes() == first


@pytest.mark.parametrize("is_full", [False, True])
def test_the_state_of_a_training_goes_when_its_result_is_kept_and_no_sooner(
    job: TrainingJob, kind: CountingKind, monkeypatch: pytest.MonkeyPatch, is_full: bool
) -> None:
    state = job.folder / "run" / "checkpoint"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"all epochs")
    if is_full:
        (job.folder / "kept").write_text("no folder: nothing can be kept here")
    run_training(job)
    assert len(kind.fitted) == 1
    assert state.exists() == is_full


def test_two_clones_with_one_store_train_once(
    job: TrainingJob, kind: CountingKind, tmp_path: Path
) -> None:
    shared = replace(job, store=Store(tmp_path / "shared"))
    run_training(shared)
    run_training(replace(shared, folder=tmp_path / "clone" / "toy" / "seed-3" / "fold-0"))
    assert len(kind.fitted) == 1
    assert (tmp_path / "clone" / "toy" / "seed-3" / "fold-0" / "model.safetensors").is_file()


def test_a_domain_without_a_decoded_training_case_is_named(
    job: TrainingJob, kind: CountingKind
) -> None:
    table = case_table("film", "a", ["lost"], [("train",)])
    with pytest.raises(TrainingError, match=r"no training case of toy, seed 3, fold 0"):
        run_training(_with_cases(job, table))


def test_the_record_of_every_kind_names_its_weights_and_its_run(
    job: TrainingJob, kind: CountingKind
) -> None:
    run_training(job)
    record = read_fields(job.folder / "model.json")
    assert record["weights_sha256"] == sha256_of_file(job.folder / "model.safetensors")
    assert record["fold"] == 0
    twice = case_table("film", "a", NAMES, [(subset, subset) for (subset,) in SUBSETS])
    other = replace(job, run=Run("toy", 3, 1), folder=job.folder.with_name("fold-1"))
    run_training(_with_cases(replace(other, store=Store(job.folder / "kept")), twice))
    assert len(kind.fitted) == 1
    assert read_fields(other.folder / "model.json") == {**record, "fold": 1}


def test_other_weights_are_another_record(job: TrainingJob) -> None:
    run_training(job)
    before = (job.folder / "model.json").read_bytes()
    (job.folder / "model.safetensors").write_text("retrained", encoding="utf-8")
    seal_record(job.folder)
    assert (job.folder / "model.json").read_bytes() != before
