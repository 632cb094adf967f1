"""A study file: its source, targets, arms, comparisons, and how defaults become whole arms.

Defaults (`input`, `training`, `loss`) are written once for the study; an arm says only what
differs. A list where one value is expected makes one arm for each value. `resolve_arms` returns
the arms with everything filled in: what is hashed, stored with a model and printed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mammoshift.configuration.model import Arm, Name, Share, Strict
from mammoshift.configuration.partial import partial_model
from mammoshift.errors import ConfigurationError

RESERVED_NAMES = frozenset(
    {"archives", "datasets", "pixels", "weights", "logs", "report", "tables"}
)
TRUE_SEQUENCES = frozenset({"size", "stages", "mean", "std"})


class Shares(Strict):
    """Shares of the source's patients; they must sum to one."""

    train: Share = 0.7
    validation: Share = 0.1
    test: Share = 0.2

    @model_validator(mode="after")
    def _sum_to_one(self) -> Shares:
        if abs(self.train + self.validation + self.test - 1.0) > 1e-6:
            raise ValueError("the shares train, validation and test must sum to 1")
        return self


class Source(Strict):
    """The dataset that models are fitted on, its task and its split.

    `split: official` keeps the archive's own test patients and takes the validation patients
    from its training part.
    """

    dataset: Name
    task: Literal["malignant_vs_rest", "malignant_vs_benign", "abnormal_vs_normal"] = (
        "malignant_vs_rest"
    )
    split: Literal["patient_stratified", "official"] = "patient_stratified"
    shares: Shares = Shares()
    split_seed: Annotated[int, Field(ge=0)] = 0


class Comparison(Strict):
    """One family of tests: every arm against `reference` on the named datasets."""

    family: Name
    on: Literal["source", "targets", "all"]
    reference: Name
    arms: tuple[Name, ...] | None = None
    correct: Literal["bh", "by", "holm", "none"] = "bh"


class Aggregation(Strict):
    """The unit that is evaluated and how its images are combined."""

    unit: Literal["image", "breast", "patient"] = "image"
    combine: Literal["mean", "max"] = "mean"


ArmPatch = partial_model(Arm, "ArmPatch", leave_out={"name"}, lists=True, keep=TRUE_SEQUENCES)
InputDefaults = partial_model(Arm.model_fields["input"].annotation, "InputDefaults")
TrainingDefaults = partial_model(Arm.model_fields["training"].annotation, "TrainingDefaults")
LossDefaults = partial_model(Arm.model_fields["loss"].annotation, "LossDefaults")

Subgroup = Literal["density", "view", "laterality", "lesion_type"]
Calibration = Literal[
    "temperature_source",
    "temperature_target_crossfit",
    "platt_target_crossfit",
    "prior_shift",
    "budget",
]


class Study(Strict):
    """One study as its file says it."""

    title: str
    question: str = ""
    source: Source
    targets: tuple[Name, ...]
    aggregation: Aggregation = Aggregation()
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    input: InputDefaults  # type: ignore[valid-type]
    training: TrainingDefaults  # type: ignore[valid-type]
    loss: LossDefaults = LossDefaults()  # type: ignore[valid-type]
    arms: Annotated[dict[Name, ArmPatch], Field(min_length=1)]  # type: ignore[valid-type]
    comparisons: tuple[Comparison, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    calibration: tuple[Calibration, ...] = ("temperature_source",)
    specificity: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    bootstrap_resamples: Annotated[int, Field(ge=100)] = 2000
    budget_sizes: tuple[Annotated[int, Field(ge=2)], ...] = (10, 25, 50, 100, 200)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Study:
        for what, names in (
            ("targets", self.targets),
            ("seeds", self.seeds),
            ("comparisons", tuple(c.family for c in self.comparisons)),
        ):
            repeated = [name for name in names if names.count(name) > 1]
            if repeated:
                raise ValueError(f"{what}: {repeated[0]} is given more than once")
        if self.source.dataset in self.targets:
            raise ValueError(
                f"targets: {self.source.dataset} is the source; its held-out patients are "
                "evaluated without being listed"
            )
        return self

    @property
    def datasets(self) -> tuple[str, ...]:
        """The source, then the targets."""
        return (self.source.dataset, *self.targets)


def resolve_arms(study: Study, where: str) -> dict[str, Arm]:
    """Return the study's arms with every default filled in, lists expanded, in the file's order.

    Raises
    ------
    ConfigurationError
        If two arms get the same name, an initialisation names an arm that does not exist, or
        the arms start from each other in a circle.
    """
    defaults = {
        "input": study.input.model_dump(exclude_unset=True),
        "training": study.training.model_dump(exclude_unset=True),
        "loss": study.loss.model_dump(exclude_unset=True),
    }
    arms: dict[str, Arm] = {}
    for base, patch in study.arms.items():
        for suffix, values in _expand(patch.model_dump(exclude_unset=True)):
            name = f"{base}{suffix}"
            if name in arms:
                raise ConfigurationError(f"{where}: arms: two arms are called {name}")
            arms[name] = Arm.model_validate({"name": name, **_merge(defaults, values)})
    _check_starts(arms, where)
    return arms


def training_order(arms: Mapping[str, Arm], name: str) -> tuple[str, ...]:
    """Return the chain of arms that must be trained for `name`, first to last."""
    start = arms[name].initialisation
    before = () if isinstance(start, str) else training_order(arms, start.arm)
    return (*before, name)


def _merge(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in patch.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _expand(patch: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (suffix of the name, patch with single values), one for each combination."""
    lists = list(_lists(patch, ()))
    for values in itertools.product(*(options for _, options in lists)):
        single = _copy(patch)
        for (path, _), value in zip(lists, values, strict=True):
            _set(single, path, value)
        yield "".join(f"_{_in_a_name(value)}" for value in values), single


def _lists(
    patch: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in patch.items():
        if isinstance(value, Mapping):
            yield from _lists(value, (*path, key))
        elif isinstance(value, list | tuple) and key not in TRUE_SEQUENCES:
            yield (*path, key), value


def _copy(patch: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(v) if isinstance(v, Mapping) else v for key, v in patch.items()}


def _set(patch: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        patch = patch[key]
    patch[path[-1]] = value


def _in_a_name(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(c if c.isalnum() else "p" if c == "." else "_" for c in text.lower())


def _check_starts(arms: Mapping[str, Arm], where: str) -> None:
    for name in arms:
        seen, current = [name], arms[name].initialisation
        while not isinstance(current, str):
            if current.arm not in arms:
                raise ConfigurationError(
                    f"{where}: arms.{seen[-1]}.initialisation.arm: there is no arm "
                    f"{current.arm!r}; the arms are: {', '.join(arms)}"
                )
            if current.arm in seen:
                circle = " -> ".join([*seen, current.arm])
                raise ConfigurationError(f"{where}: arms start from each other: {circle}")
            seen.append(current.arm)
            current = arms[current.arm].initialisation
