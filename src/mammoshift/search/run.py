"""The jobs of a search: one trial, and the choice among them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mammoshift.cases.inner import InnerFold, inner_subsets
from mammoshift.configuration.arms import arm_classes
from mammoshift.configuration.model import Arm
from mammoshift.configuration.search import Search
from mammoshift.contracts.trials import TRIAL_COLUMNS
from mammoshift.errors import TrainingError
from mammoshift.files import atomic_path, write_text_atomically
from mammoshift.search.trials import (
    Proposal,
    TrialResult,
    best_of,
    check_measures,
    choose,
    propose,
    read_result,
    rounded,
    values_of,
    write_result,
)
from mammoshift.training.run import TrainingJob, run_training

if TYPE_CHECKING:
    from mammoshift.training.request import EpochRecord


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
    training = replace(job.training, chosen=proposal.values)
    if search.inner_folds is None:
        measures = _trained(training, search, proposal)
        planned = sum(stage.epochs for stage in arm.with_chosen(proposal.values).training.stages)
    else:
        measures, planned = _trained_on_inner_folds(training, search, proposal), search.inner_folds
    given_up = len(measures) < planned and proposal.is_given_up(measures)
    state = "pruned" if given_up else "complete"
    write_result(
        job.result,
        TrialResult(trial=job.number, values=proposal.values, state=state, measures=measures),
    )
    shutil.rmtree(training.folder)


def _trained(job: TrainingJob, search: Search, proposal: Proposal) -> tuple[float, ...]:
    """Train, or until the trial is given up, and return the measure of each epoch."""

    def given_up(epochs: Sequence[EpochRecord]) -> bool:
        return proposal.is_given_up([rounded(getattr(epoch, search.measure)) for epoch in epochs])

    run_training(replace(job, given_up=given_up))
    return _measures(job, search)


def _trained_on_inner_folds(
    job: TrainingJob, search: Search, proposal: Proposal
) -> tuple[float, ...]:
    """Train once for each inner fold, or until the trial is given up; return the best of each."""
    count, best = search.inner_folds or 0, []
    for number in range(count):
        print(f"inner fold {number + 1} of {count}")
        fold = InnerFold(number, count, search.seed)
        own = replace(
            job,
            divided=partial(inner_subsets, fold=fold),
            folder=job.folder / f"inner-{number}",
        )
        run_training(own)
        best.append(best_of(search, _measures(own, search)))
        if proposal.is_given_up(best):
            break
    return tuple(best)


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
        writer.writerow(TRIAL_COLUMNS)
        for result in results:
            shared = (result.state, result.trial == best, len(result.measures), search.measure)
            for path, value in result.values.items():
                cells = (*shared, f"{result.worth(search):.8g}", path, value)
                writer.writerow((arm, fold, result.trial, *cells))


def _measures(job: TrainingJob, search: Search) -> tuple[float, ...]:
    """Return the measure of each epoch of a finished training.

    Raises
    ------
    TrainingError
        If one is not defined.
    """
    with (job.folder / "history.csv").open(newline="", encoding="utf-8") as stream:
        found = tuple(float(row[search.measure] or "nan") for row in csv.DictReader(stream))
    check_measures(found, f"arm {job.run.arm}, a trial of its search")
    return found
