"""What is tried next, when a trial is given up, and which one is chosen.

A trial is proposed from its number and from the finished trials of the rounds before it, by a
sampler that is made for it. So a search is the same whether its trials ran one after the other or
beside each other, and whether any was killed on the way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import ValidationError

from mammoshift.configuration.base import Strict
from mammoshift.configuration.search import Choices, Range, Search, Value
from mammoshift.errors import TrainingError
from mammoshift.execution.determinism import Purpose, torch_seed
from mammoshift.files import write_text_atomically

SIGNIFICANT_DIGITS = 8
"""Of a measure, as in a training's history."""
STARTUP_TRIALS = 10
"""Trials that are drawn at random, before the sampler learns from them."""


class TrialResult(Strict):
    """A finished trial: its values by their paths, and its measures.

    These are one for each epoch, or the best of each inner fold.
    """

    trial: int
    values: dict[str, Value]
    state: Literal["complete", "pruned"]
    measures: tuple[float, ...]

    def worth(self, search: Search) -> float:
        """Return what the trial counts by."""
        return standing(search, self.measures)[-1]


def standing(search: Search, measures: Sequence[float]) -> list[float]:
    """Return what a trial is worth after each of its measures.

    The best epoch so far, or the mean of the inner folds so far.
    """
    if search.inner_folds is not None:
        return [math.fsum(measures[: n + 1]) / (n + 1) for n in range(len(measures))]
    return [best_of(search, measures[: n + 1]) for n in range(len(measures))]


def best_of(search: Search, measures: Sequence[float]) -> float:
    """Return the best of some measures."""
    return min(measures) if _smaller_is_better(search) else max(measures)


class Proposal:
    """A trial that is to be run.

    Attributes
    ----------
    values
        By the paths of the settings.
    """

    def __init__(self, trial: optuna.Trial, search: Search) -> None:
        self._trial, self._search = trial, search
        self._reported: list[float] = []
        self.values: dict[str, Value] = dict(trial.params)

    def is_given_up(self, measures: Sequence[float]) -> bool:
        """Tell whether the trial ends with the last of its `measures`, which are all so far.

        What was said before of fewer of them stays true.
        """
        for worth in standing(self._search, measures)[len(self._reported) :]:
            self._reported.append(worth)
            self._trial.report(worth, len(self._reported))
        return self._trial.should_prune()


def propose(search: Search, trial: int, earlier: Sequence[TrialResult]) -> Proposal:
    """Return the trial of that number.

    Parameters
    ----------
    search
        What is searched.
    trial
        Counts from 0.
    earlier
        The finished trials of the rounds before, `search.earlier(trial)`.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = TPESampler(
        n_startup_trials=STARTUP_TRIALS,
        seed=torch_seed(Purpose.SEARCH, search.seed, trial) % 2**32,
    )
    pruner = MedianPruner() if search.prune else NopPruner()
    study = _study(search, earlier, sampler=sampler, pruner=pruner)
    return Proposal(study.ask(_distributions(search)), search)


def choose(search: Search, results: Sequence[TrialResult], journal: Path | None = None) -> int:
    """Return the number of the best complete trial; of equal ones the first.

    Parameters
    ----------
    search
        What was searched.
    results
        All its trials in their order.
    journal
        Where the search is left for Optuna's own tools, in its journal; an old one is replaced.

    Raises
    ------
    TrainingError
        If no trial was completed.
    """
    complete = [result for result in results if result.state == "complete"]
    if not complete:
        raise TrainingError("no trial of the search was completed; search with prune: false")
    if journal is not None:
        journal.unlink(missing_ok=True)
        _study(search, results, JournalStorage(JournalFileBackend(str(journal))))
    sign = 1.0 if _smaller_is_better(search) else -1.0
    return min(complete, key=lambda result: (sign * result.worth(search), result.trial)).trial


def rounded(measure: float) -> float:
    """Return a measure as a history states it."""
    return float(f"{measure:.{SIGNIFICANT_DIGITS}g}")


def write_result(path: Path, result: TrialResult) -> None:
    """Write a finished trial as JSON."""
    write_text_atomically(path, json.dumps(result.model_dump(mode="json"), indent=2) + "\n")


def read_result(path: Path) -> TrialResult:
    """Read a finished trial.

    Raises
    ------
    TrainingError
        If the file is absent or breaks its contract.
    """
    try:
        return TrialResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise TrainingError(
            f"{path}: is no record of a trial; delete it and run again: {error}"
        ) from error


def _study(
    search: Search,
    results: Sequence[TrialResult],
    storage: BaseStorage | None = None,
    sampler: TPESampler | None = None,
    pruner: BasePruner | None = None,
) -> optuna.Study:
    direction = "minimize" if _smaller_is_better(search) else "maximize"
    study = optuna.create_study(
        storage=storage, sampler=sampler, pruner=pruner, direction=direction, study_name="search"
    )
    study.add_trials([_frozen(search, result) for result in results])
    return study


def _frozen(search: Search, result: TrialResult) -> FrozenTrial:
    worth = standing(search, result.measures)
    return create_trial(
        state=TrialState.COMPLETE if result.state == "complete" else TrialState.PRUNED,
        value=worth[-1],
        params=dict(result.values),
        distributions=_distributions(search),
        intermediate_values={n + 1: value for n, value in enumerate(worth)},
    )


def _distributions(search: Search) -> dict[str, BaseDistribution]:
    return {path: _distribution(values) for path, values in search.space.items()}


def _distribution(values: Range | Choices) -> BaseDistribution:
    if isinstance(values, Choices):
        return CategoricalDistribution(values.choices)
    if isinstance(values.low, int) and isinstance(values.high, int):
        step = values.step or 1
        if not float(step).is_integer():
            return FloatDistribution(values.low, values.high, step=step)
        return IntDistribution(values.low, values.high, log=values.log, step=int(step))
    return FloatDistribution(values.low, values.high, log=values.log, step=values.step)


def _smaller_is_better(search: Search) -> bool:
    return search.measure == "validation_loss"


def check_measures(measures: Sequence[float], what: str) -> None:
    """Raise `TrainingError` where a measure is not a number."""
    if not measures or any(math.isnan(measure) for measure in measures):
        raise TrainingError(
            f"{what}: its validation cases do not give the measure of the search; enlarge the "
            "validation subset or search by validation_loss"
        )


def values_of(results: Sequence[TrialResult], trial: int) -> dict[str, Any]:
    """Return the values of one of some trials."""
    return dict(next(result.values for result in results if result.trial == trial))
