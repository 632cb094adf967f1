"""Which settings of an arm are searched, as it is written in YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from mammoshift.configuration.base import Strict

Value = bool | int | float | str | None


class Range(Strict):
    """Numbers from `low` to `high`, both included; with `log` drawn evenly by their logarithms.

    `step` leaves those that are whole steps from `low`; two integers are a range of integers.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: Annotated[float, Field(gt=0.0)] | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if self.low >= self.high:
            raise ValueError("low must be less than high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("with log, low must be positive and there is no step")
        return self

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that must be allowed for all of them to be."""
        return (self.low, self.high)


class Choices(Strict):
    """Values of which one is taken."""

    choices: Annotated[tuple[Value, ...], Field(min_length=2)]

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that must be allowed."""
        return self.choices


def _form(value: Any) -> str:
    given = "choices" in value if isinstance(value, Mapping) else isinstance(value, Choices)
    return Choices.__name__ if given else Range.__name__


Searched = Annotated[
    Annotated[Range, Tag("Range")] | Annotated[Choices, Tag("Choices")], Discriminator(_form)
]
"""What a setting is searched among."""


class Search(Strict):
    """A search of some of an arm's settings on its own validation cases, for each fold by itself.

    `space` names settings by their paths in the arm, such as `training.stages.0.lr`. Each of
    `trials` is a training with the study's first seed; it counts by the best epoch's `measure`.
    Trials of a round of `parallel` run beside each other and learn from the rounds before, so that
    what is tried does not depend on who finishes first. `prune` ends a trial whose best value lies
    behind the median of the finished ones at the same epoch.

    With `inner_folds` the training and validation patients of the fold are divided into so many
    parts, each of which is left out once and validated on: a trial is as many trainings, and counts
    by the mean of their best epochs' measures; `prune` then looks after each of them.
    """

    space: Annotated[dict[str, Searched], Field(min_length=1)]
    trials: Annotated[int, Field(ge=1, le=1000)] = 20
    parallel: Annotated[int, Field(ge=1)] = 4
    measure: Literal["validation_auc", "validation_loss", "validation_accuracy"] = "validation_auc"
    prune: bool = True
    inner_folds: Annotated[int, Field(ge=2, le=20)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    def earlier(self, trial: int) -> range:
        """Return the trials of the rounds before that of a trial."""
        return range(trial // self.parallel * self.parallel)


def with_values(settings: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Any]:
    """Return plain settings with values at paths such as `training.stages.0.lr`.

    Raises
    ------
    KeyError
        If a path leads through what is not there; its argument is the path.
    """
    changed: Any = _copy(settings)
    for path, value in values.items():
        *parents, last = path.split(".")
        place = changed
        try:
            for key in parents:
                place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
            place[int(last) if isinstance(place, list) else last] = value
        except (ValueError, IndexError, TypeError, AttributeError):
            raise KeyError(path) from None
    return changed


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list | tuple) else value
