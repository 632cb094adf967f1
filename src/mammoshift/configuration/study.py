"""A study file as it is written: domains, arms, comparisons, in the short or the long form."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mammoshift.cases.tasks import TaskName
from mammoshift.configuration.arms import arm_patch
from mammoshift.configuration.domain import DomainSettings
from mammoshift.configuration.gallery import Gallery
from mammoshift.configuration.judged import (
    Calibration,
    Combine,
    Correction,
    Margins,
    Subgroup,
)
from mammoshift.configuration.model import Arm, Name, Strict
from mammoshift.configuration.partial import partial_model
from mammoshift.configuration.shares import Shares


class Source(Strict):
    """The short form of one domain with a split that all arms are trained on.

    `split: official` keeps the archive's own test patients and takes the validation patients
    from its training part.
    """

    dataset: Name
    task: TaskName = "malignant_vs_rest"
    split: Literal["patient_stratified", "official"] = "patient_stratified"
    shares: Shares = Shares()
    split_seed: Annotated[int, Field(ge=0)] = 0


class Comparison(Strict):
    """One family of tests.

    Arms are compared with `reference`, or with the arm that differs from them in `factor` alone,
    a setting with its values, the reference's first (`{input.mask: [none, breast]}`). `on` names
    domains, or `all`; in the short form also `source` or `targets`. Instead, `across` names
    domains, each with another one: the arms that were trained on the former, judged there, are
    compared with those that differ from them only in having learned, and being judged, on the
    latter.
    """

    family: Name
    on: Annotated[tuple[Name, ...], Field(min_length=1)] | Name | None = None
    reference: Name | None = None
    factor: dict[str, tuple[Any, ...]] | None = None
    across: Annotated[dict[Name, Name], Field(min_length=1)] | None = None
    arms: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    correct: Correction = "bh"

    @model_validator(mode="after")
    def _says_how_pairs_are_found(self) -> Comparison:
        ways = (self.reference, self.factor, self.across)
        if sum(way is not None for way in ways) != 1:
            raise ValueError(
                "give one of reference (an arm), factor (a setting and its values) and across "
                "(domains with those that they are compared with)"
            )
        if (self.on is None) == (self.across is None):
            raise ValueError("say on which domains, with on; across names its own and takes no on")
        if self.factor is not None and (
            len(self.factor) != 1 or len(next(iter(self.factor.values()))) < 2
        ):
            raise ValueError("factor is one setting with two values or more, the reference's first")
        return self


class Aggregation(Strict):
    """The unit that is evaluated and how its images are combined, in all domains."""

    unit: Literal["image", "breast", "patient"] = "image"
    combine: Combine = "mean"


InputDefaults = partial_model(Arm.model_fields["input"].annotation, "InputDefaults")
TrainingDefaults = partial_model(Arm.model_fields["training"].annotation, "TrainingDefaults")
LossDefaults = partial_model(Arm.model_fields["loss"].annotation, "LossDefaults")
ArmPatch = arm_patch()


class Study(Strict):
    """One study as its file says it.

    Either `domains` or the short form `source` and `targets`: one domain with a split, named as
    its dataset, that all arms train on, and one for each target. `margins` says how much loss is
    acceptable; `case_mix` names the columns by which a transfer drop is standardised. `published`
    is the file, relative to the study's own, of what the publication prints that it repeats.
    `gallery` shows hits and misses with heat maps; without it there are none.
    """

    title: str
    question: str = ""
    source: Source | None = None
    targets: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    domains: dict[Name, DomainSettings] | None = None
    judged_on: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    aggregation: Aggregation | None = None
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    input: InputDefaults = InputDefaults()  # type: ignore[valid-type]
    training: TrainingDefaults = TrainingDefaults()  # type: ignore[valid-type]
    loss: LossDefaults = LossDefaults()  # type: ignore[valid-type]
    arms: Annotated[dict[Name, ArmPatch], Field(min_length=1)]  # type: ignore[valid-type]
    comparisons: tuple[Comparison, ...] = ()
    margins: Margins | None = None
    subgroups: tuple[Subgroup, ...] = ()
    case_mix: Annotated[tuple[Subgroup, ...], Field(min_length=1)] | None = None
    calibration: tuple[Calibration, ...] = ("temperature_source",)
    specificity: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    bootstrap_resamples: Annotated[int, Field(ge=100)] = 2000
    budget_sizes: tuple[Annotated[int, Field(ge=2)], ...] = (10, 25, 50, 100, 200)
    published: str | None = None
    gallery: Gallery | None = None

    @model_validator(mode="after")
    def _has_one_form(self) -> Study:
        if (self.domains is None) == (self.source is None):
            raise ValueError("give either domains or source (with targets)")
        if self.domains is not None and (self.targets is not None or self.aggregation is not None):
            raise ValueError("targets and aggregation belong to the short form with source")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Study:
        for what, names in (
            ("targets", self.targets or ()),
            ("seeds", self.seeds),
            ("judged_on", self.judged_on or ()),
            ("comparisons", tuple(c.family for c in self.comparisons)),
            ("case_mix", self.case_mix or ()),
            ("subgroups", self.subgroups),
            ("calibration", self.calibration),
            ("budget_sizes", self.budget_sizes),
        ):
            repeated = [name for name in names if names.count(name) > 1]  # type: ignore[arg-type]
            if repeated:
                raise ValueError(f"{what}: {repeated[0]} is given more than once")
        if "budget" in self.calibration and not self.budget_sizes:
            raise ValueError("budget_sizes: is empty, so that calibration: budget makes no row")
        if self.source is not None and self.source.dataset in (self.targets or ()):
            raise ValueError(
                f"targets: {self.source.dataset} is the source; its held-out patients are "
                "evaluated without being listed"
            )
        return self
