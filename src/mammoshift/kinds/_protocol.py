"""What a kind of arm is: the record that YAML gives, and the two things that it can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mammoshift import registry
from mammoshift.configuration.model import ArmBase, Backbone
from mammoshift.contracts.run import Run

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from mammoshift.pixelstore.case_pixels import CasePixels
    from mammoshift.training.request import EpochRecord

KINDS = "mammoshift.kinds"


@dataclass(frozen=True)
class FitRequest:
    """One run to be fitted.

    Attributes
    ----------
    arm
        The record of the arm, of the kind's own class.
    run
        Names the arm, the seed and the fold.
    backbone
        The record that the arm's backbone names; None for a kind without one.
    task
        What label 1 means, such as `malignant_vs_rest`.
    cases
        Cases of the arm's domain that could be decoded, sorted by `case_id`, with the column
        `subset` of the run's fold.
    pixels
        Their images; None for a kind without an input recipe.
    start
        Converted weights, or the folder of the model that the run starts from.
    folder
        Where the model, its record `model.json` and `history.csv` are written.
    run_folder
        Keeps the state of an unfinished fit.
    key
        Of everything that decides the result.
    lineage
        What the model and its ancestors learned from, stored with it.
    features
        Features of the cases' images, `case_id` as index; None for a kind without them.
    scores
        Logits of the arms that this one reads, a column for each, `case_id` as index; of models
        with the run's seed that have seen no patient of the domain. None for an arm that reads
        none.
    given_up
        Of a trial: is asked after every epoch, with the history so far, whether it ends there.
    """

    arm: ArmBase
    run: Run
    backbone: Backbone | None
    task: str
    cases: pd.DataFrame
    pixels: CasePixels | None
    start: Path | None
    folder: Path
    run_folder: Path
    key: str
    lineage: Mapping[str, object]
    features: pd.DataFrame | None = None
    scores: pd.DataFrame | None = None
    given_up: Callable[[Sequence[EpochRecord]], bool] | None = None


@dataclass(frozen=True)
class ScoreRequest:
    """Models of one arm to be applied to cases of one domain.

    Attributes
    ----------
    models
        Folders that `fit` wrote, one for each run.
    cases
        Sorted by `case_id`; a kind that scores units sees all cases of each.
    pixels, features
        As in `FitRequest`.
    scores
        As in `FitRequest`, for each of the models; empty for an arm that reads none.
    """

    models: tuple[Path, ...]
    cases: pd.DataFrame
    pixels: CasePixels | None
    features: pd.DataFrame | None = None
    scores: tuple[pd.DataFrame, ...] = ()


class Kind(Protocol):
    """What the module of a kind offers.

    `ARM` is the class of its record, whose field `kind` names the module. `CASE_COLUMNS` are the
    columns of the cases that fitting reads beside `case_id` and `subset`, `SCORED_COLUMNS` those
    that scoring reads: with the pixels, features and scores, all that a result depends on.
    `SCORES_UNITS` tells whether a score is of a unit (a patient, say) and not of each of its cases;
    `unit` of its record then names it.
    """

    ARM: type[ArmBase]
    CASE_COLUMNS: tuple[str, ...]
    SCORED_COLUMNS: tuple[str, ...]
    SCORES_UNITS: bool

    def fit(self, request: FitRequest) -> None:
        """Fit one run, or go on with an unfinished fit, and write its artefacts."""
        ...

    def score(self, request: ScoreRequest) -> NDArray[np.float64]:
        """Return logits, float64: (models, cases), or (models, units) by sorted `unit_id`."""
        ...


def kind_of(name: str) -> Kind:
    """Return the kind of that name."""
    return registry.load(KINDS, name)  # type: ignore[return-value]
