"""A search is the same whoever is killed, and its choice is an input of training."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from pydantic import ValidationError

sys.path.append(str(Path(__file__).parents[1]))

from process_apart import end_of
from toy_study import ARM, BACKBONE, case_table, write_case_table, write_store

from mammoshift.configuration.model import Arm
from mammoshift.configuration.search import Search, with_values
from mammoshift.contracts.run import Run
from mammoshift.errors import TrainingError
from mammoshift.files import write_text_atomically
from mammoshift.kinds._inputs import InputFiles
from mammoshift.models.saved_model import read_record
from mammoshift.search.run import TrialJob, choose_trial, run_trial
from mammoshift.search.trials import TrialResult, choose, propose, read_result, write_result
from mammoshift.training.run import TrainingJob, run_training

SPACE: dict[str, Any] = {
    "training.stages.0.lr": {"low": 1e-5, "high": 1e-1, "log": True},
    "training.batch_size": {"low": 4, "high": 16, "step": 4},
    "training.sampler": {"choices": ["natural", "balanced"]},
}
EPOCHS = 4


def cheap(search: Search, trial: int, folder: Path) -> None:
    """Run one trial of an objective that costs nothing, as the rule does."""
    earlier = [read_result(folder / f"trial-{number}.json") for number in search.earlier(trial)]
    proposal = propose(search, trial, earlier)
    lr, batch = proposal.values["training.stages.0.lr"], proposal.values["training.batch_size"]
    assert isinstance(lr, float)
    assert isinstance(batch, int)
    best = 1.0 - abs(lr - 0.01) - 0.01 * batch
    measures: list[float] = []
    while len(measures) < EPOCHS and not (measures and proposal.is_given_up(measures)):
        measures.append(best * (len(measures) + 1) / EPOCHS)
    state = "complete" if len(measures) == EPOCHS else "pruned"
    result = TrialResult(trial=trial, values=proposal.values, state=state, measures=tuple(measures))
    write_result(folder / f"trial-{trial}.json", result)


def run_until(number: int, search: Search, order: list[int], folder: Path) -> None:
    """Run trials in some order; kill this process before the `number`th."""
    for place, trial in enumerate(order):
        if place == number:
            os.kill(os.getpid(), signal.SIGKILL)
        cheap(search, trial, folder)


def killed_at(number: int, search: Search, order: list[int], folder: Path) -> bool:
    """Run trials in a process that is killed before its `number`th; tell whether it was."""
    end = end_of(run_until, number, search, order, folder)
    assert end in {0, -signal.SIGKILL}
    return end != 0


def killed_soon(trial: TrialJob) -> None:
    """Run a trial in this process, which is killed after a moment."""
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, 0.15)
    run_trial(trial)


def test_a_search_that_is_killed_five_times_ends_as_one_that_is_not(tmp_path: Path) -> None:
    search = Search.model_validate({"space": SPACE, "trials": 20, "parallel": 4})
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    for trial in range(search.trials):
        cheap(search, trial, whole)
    shuffled = random.Random(1)
    killed = 0
    while len(list(broken.iterdir())) < search.trials:
        left = [n for n in range(search.trials) if not (broken / f"trial-{n}.json").exists()]
        round_ = [n for n in left if len(search.earlier(n)) == len(search.earlier(left[0]))]
        shuffled.shuffle(round_)
        killed += killed_at(1 if killed < 5 else -1, search, round_, broken)
    assert killed == 5
    for trial in range(search.trials):
        name = f"trial-{trial}.json"
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
    found = []
    for folder in (whole, broken):
        records = [folder / f"trial-{trial}.json" for trial in range(search.trials)]
        choose_trial("toy", 0, search, records, folder, folder / "table.csv")
        found.append([(folder / name).read_bytes() for name in ("chosen.json", "table.csv")])
    assert found[0] == found[1]
    results = [read_result(whole / f"trial-{trial}.json") for trial in range(search.trials)]
    assert {result.state for result in results} == {"complete", "pruned"}
    random_best = max(result.measures[-1] for result in results[:10])
    assert results[choose(search, results)].measures[-1] > random_best


def test_the_table_and_optuna_s_journal_hold_the_search(tmp_path: Path) -> None:
    search = Search.model_validate({"space": SPACE, "trials": 3})
    for trial in range(3):
        cheap(search, trial, tmp_path)
    records = [tmp_path / f"trial-{trial}.json" for trial in range(3)]
    for _again in range(2):
        choose_trial("toy", 1, search, records, tmp_path, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 9
    chosen = {row["setting"]: row["value"] for row in rows if row["chosen"] == "True"}
    values = json.loads((tmp_path / "chosen.json").read_text())
    assert chosen == {path: str(value) for path, value in values.items()}
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
    study = optuna.load_study(study_name="search", storage=storage)
    assert len(study.trials) == 3
    assert study.best_trial.params == values


def test_a_search_without_a_complete_trial_says_so() -> None:
    search = Search.model_validate({"space": SPACE})
    pruned = TrialResult(trial=0, values={}, state="pruned", measures=(0.5,))
    with pytest.raises(TrainingError, match="no trial of the search was completed"):
        choose(search, [pruned])


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"training.stages.0.lr": {"low": -1, "high": 1}}, "-1 is not allowed"),
        ({"training.stages.3.lr": {"low": 0.1, "high": 1}}, "no setting training.stages.3.lr"),
        ({"training.nothing": {"choices": [1, 2]}}, "Extra inputs"),
        ({"training.batch_size": {"low": 8, "high": 4}}, "low must be less"),
        ({"training.batch_size": {"low": 0, "high": 4, "log": True}}, "low must be positive"),
    ],
)
def test_a_space_that_an_arm_cannot_have_is_named_when_read(
    space: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        Arm.model_validate({**ARM, "search": {"space": space}})


def test_values_are_put_at_their_paths() -> None:
    arm = Arm.model_validate({**ARM, "search": {"space": SPACE}})
    chosen = arm.with_chosen({"training.stages.0.lr": 0.5, "loss.label_smoothing": 0.1})
    assert chosen.training.stages[0].lr == 0.5
    assert chosen.loss.label_smoothing == 0.1
    assert chosen.search is None
    before = {"a": [{"b": 1}]}
    assert with_values(before, {"a.0.b": 2}) == {"a": [{"b": 2}]}
    assert before == {"a": [{"b": 1}]}


NAMES = [f"im{number}" for number in range(12)]


def job_for(folder: Path, arm: dict[str, Any]) -> TrainingJob:
    subsets = [("train",)] * 8 + [("validation",)] * 4
    table = case_table("film", "a", NAMES, subsets)
    return TrainingJob(
        run=Run("toy", 3),
        settings={"arm": arm, "backbone": BACKBONE, "task": "malignant_vs_rest", "lineage": {}},
        leaves={},
        code={},
        cases=write_case_table(folder / "cases.parquet", table),
        inputs=InputFiles({"a": write_store(folder, "a", NAMES)}),
        start=None,
        folder=folder / "run",
    )


def search_real_trials(folder: Path, arm: dict[str, Any], trials: int, kill: bool) -> list[bytes]:
    """Run a search of real trainings, each trial killed once where `kill`; return its files."""
    folder.mkdir(exist_ok=True)
    job = job_for(folder, arm)
    search = Arm.model_validate(arm).search
    assert search is not None
    records = [folder / f"trial-{number}.json" for number in range(trials)]
    for number, record in enumerate(records):
        trial = TrialJob(
            number,
            TrainingJob(**{**vars(job), "folder": record.with_suffix("")}),
            [records[n] for n in search.earlier(number)],
            record,
        )
        if kill and number % 4 == 1:
            assert end_of(killed_soon, trial) in {0, -signal.SIGKILL}
        run_trial(trial)
        assert not record.with_suffix("").exists()
    choose_trial("toy", 0, search, records, folder, folder / "table.csv")
    return [path.read_bytes() for path in (*records, folder / "chosen.json")]


def searched_arm(epochs: int) -> dict[str, Any]:
    training = {"stages": [{"epochs": epochs, "lr": 1e-3}], "checkpoint_minutes": 1e-9}
    space = {**SPACE, "training.stages.0.lr": {"low": 1e-4, "high": 1e-2, "log": True}}
    search = {"space": space, "parallel": 2, "measure": "validation_loss"}
    return {**ARM, "training": training, "search": search}


def test_a_search_of_trainings_is_chosen_and_trained_with(tmp_path: Path) -> None:
    arm = searched_arm(1)
    search_real_trials(tmp_path, arm, 3, kill=False)
    chosen = json.loads((tmp_path / "chosen.json").read_text())
    job = job_for(tmp_path, arm)
    run_training(TrainingJob(**{**vars(job), "chosen": chosen}))
    record = read_record(job.folder)
    assert record.arm.training.stages[0].lr == chosen["training.stages.0.lr"]
    assert record.arm.search is None
    write_text_atomically(tmp_path / "trial-0.json", "{}")
    with pytest.raises(TrainingError, match="is no record of a trial"):
        read_result(tmp_path / "trial-0.json")


def test_a_trial_counts_by_the_mean_of_its_inner_folds(tmp_path: Path) -> None:
    arm = searched_arm(1)
    arm["search"] = {**arm["search"], "inner_folds": 3, "prune": False}
    records = search_real_trials(tmp_path / "whole", arm, 2, kill=False)
    search = Arm.model_validate(arm).search
    assert search is not None
    results = [TrialResult.model_validate_json(record) for record in records[:2]]
    assert [len(result.measures) for result in results] == [3, 3]
    assert len(set(results[0].measures)) == 3
    best = min(results, key=lambda result: sum(result.measures))
    assert choose(search, results) == best.trial
    assert best.worth(search) == pytest.approx(sum(best.measures) / 3)
    with (tmp_path / "whole" / "table.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["chosen"] == "True"]
    assert {row["best"] for row in rows} == {f"{best.worth(search):.8g}"}


def test_a_trial_that_is_killed_between_inner_folds_keeps_those_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = searched_arm(1)
    arm["search"] = {**arm["search"], "inner_folds": 2}
    job = job_for(tmp_path, arm)
    trial = TrialJob(
        0, TrainingJob(**{**vars(job), "folder": tmp_path / "trial"}), [], tmp_path / "r"
    )
    trained: list[str] = []

    def train(own: TrainingJob) -> None:
        if len(trained) == 1:
            trained.append("killed")
            raise KeyboardInterrupt
        run_training(own)
        trained.append(own.folder.name)

    monkeypatch.setattr("mammoshift.search.run.run_training", train)
    with pytest.raises(KeyboardInterrupt):
        run_trial(trial)
    kept = (tmp_path / "trial" / "inner-0" / "history.csv").read_bytes()
    run_trial(trial)
    assert trained == ["inner-0", "killed", "inner-0", "inner-1"]
    first = min(float(row["validation_loss"]) for row in csv.DictReader(kept.decode().splitlines()))
    assert read_result(tmp_path / "r").measures[0] == first


@pytest.mark.slow
def test_twenty_trials_of_which_five_are_killed_end_as_those_that_are_not(tmp_path: Path) -> None:
    arm = searched_arm(3)
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    whole = search_real_trials(tmp_path / "whole", arm, 20, kill=False)
    assert search_real_trials(tmp_path / "broken", arm, 20, kill=True) == whole
