"""The jobs of a search: one trial, and the choice among them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mammoshift.configuration.arms import arm_classes
from mammoshift.configuration.model import Arm
from mammoshift.configuration.search import Search
from mammoshift.errors import TrainingError
from mammoshift.files import atomic_path, write_text_atomically
from mammoshift.search.trials import (
    TrialResult,
    check_measures,
    choose,
    propose,
    read_result,
    rounded,
    values_of,
    write_result,
)
from mammoshift.training.run import TrainingJob, run_training

COLUMNS = (
    "arm",
    "fold",
    "trial",
    "state",
    "chosen",
    "epochs",
    "measure",
    "best",
    "setting",
    "value",
)


@dataclass(frozen=True)
class TrialJob:
    """One trial.

    Attributes
    ----------
    number
        Counts from 0.
    training
        The training with the arm's own values; its folder is the trial's while it runs.
    earlier
        Records of the trials of the rounds before.
    result
        The record to write.
    """

    number: int
    training: TrainingJob
    earlier: Sequence[Path]
    result: Path


def run_trial(job: TrialJob) -> None:
    """Run a trial, or go on with one that was killed, and write its record.

    Raises
    ------
    TrainingError
        If the validation cases do not give the measure of the search.
    """
    settings = job.training.settings
    arm = arm_classes()[settings["arm"]["kind"]].model_validate(settings["arm"])
    if not isinstance(arm, Arm) or arm.search is None:
        raise TrainingError(f"arm {arm.name}: has nothing to search")
    search = arm.search
    proposal = propose(search, job.number, [read_result(path) for path in job.earlier])
    print(f"trial {job.number}: {json.dumps(proposal.values)}")
    training = replace(
        job.training,
        chosen=proposal.values,
        given_up=lambda epochs: proposal.is_given_up(
            [rounded(getattr(epoch, search.measure)) for epoch in epochs]
        ),
    )
    run_training(training)
    measures = _measures(training.folder / "history.csv", search)
    check_measures(measures, f"arm {arm.name}, trial {job.number}")
    planned = sum(stage.epochs for stage in arm.with_chosen(proposal.values).training.stages)
    given_up = len(measures) < planned and proposal.is_given_up(measures)
    state = "pruned" if given_up else "complete"
    write_result(
        job.result,
        TrialResult(trial=job.number, values=proposal.values, state=state, measures=measures),
    )
    shutil.rmtree(training.folder)


def choose_trial(
    arm: str, fold: int, search: Search, trials: Sequence[Path], folder: Path, table: Path
) -> None:
    """Choose among the trials of a search.

    Parameters
    ----------
    arm, fold
        Whose search it is.
    search
        What was searched.
    trials
        The records of all trials.
    folder
        Where `chosen.json`, the values by their paths, and Optuna's `journal.log` are written.
    table
        CSV with a row for each trial and setting.
    """
    results = sorted((read_result(path) for path in trials), key=lambda result: result.trial)
    best = choose(search, results, folder / "journal.log")
    chosen = json.dumps(values_of(results, best), indent=2, sort_keys=True)
    write_text_atomically(folder / "chosen.json", chosen + "\n")
    with atomic_path(table) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for result in results:
            shared = (result.state, result.trial == best, len(result.measures), search.measure)
            for path, value in result.values.items():
                cells = (*shared, f"{result.best(search):.8g}", path, value)
                writer.writerow((arm, fold, result.trial, *cells))


def _measures(history: Path, search: Search) -> tuple[float, ...]:
    with history.open(newline="", encoding="utf-8") as stream:
        return tuple(float(row[search.measure] or "nan") for row in csv.DictReader(stream))
