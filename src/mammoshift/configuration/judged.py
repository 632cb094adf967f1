"""What the statistics and the report know of a study: names and settings, no data.

These are the leaves that the rules of evaluation hand to the library, one class for each stage,
so that a stage is invalid only when something changes that it reads.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mammoshift.cases.tasks import TaskName
from mammoshift.configuration.model import Name, Strict
from mammoshift.configuration.published import PublishedStudy

JudgedSubset = Literal["test", "out_of_fold", "target"]
Unit = Literal["image", "breast", "patient", "patch"]
Combine = Literal["mean", "max"]
Correction = Literal["bh", "by", "holm", "none"]
Subgroup = Literal[
    "density",
    "view",
    "laterality",
    "lesion_type",
    "age",
    "manufacturer",
    "detector",
    "pixel_spacing_mm",
    "site",
    "birads",
    "official_split",
]
MEAN_OF = "mean_"
"""What the name of a mean over arms begins with in result tables; the factor's value follows."""

Loss = Annotated[float, Field(gt=0.0, lt=1.0)]
Calibration = Literal[
    "temperature_source",
    "temperature_target_crossfit",
    "platt_target_crossfit",
    "prior_shift",
    "budget",
]


class Margins(Strict):
    """The largest losses that are acceptable, declared before any data are read.

    `transfer_drop_*` is what an arm loses from its own domain to another; sensitivity and
    specificity are those at the study's operating point. `difference_auc` is what an arm loses
    against its reference on one domain. A loss without a margin gets no verdict.
    """

    transfer_drop_auc: Loss | None = None
    transfer_drop_sensitivity: Loss | None = None
    transfer_drop_specificity: Loss | None = None
    difference_auc: Loss | None = None

    def of(self, kind: Literal["transfer_drop", "difference"], metric: str) -> float | None:
        """Return the margin of one kind of loss of a metric, None where none was declared."""
        return getattr(self, f"{kind}_{metric}", None)


class JudgedDomain(Strict):
    """One domain that models are judged on.

    `task` is what is positive there, in a study whose domains differ in it.
    `subsets` are those that are reported: `target` of a domain without a split; `test`, and with
    folds `out_of_fold`, of one with a split, the one that leads first. `leak` names the split by
    rows or patches that puts one patient into several subsets: its numbers get no headline and
    no verdict. `same_patients_as` are the other domains that are declared to hold the same
    patients, or share a dataset with one that is; `shares_datasets_with` are those with images of
    the same archive where nothing is declared.
    """

    name: Name
    task: TaskName | None = None
    unit: Unit = "image"
    combine: Combine = "mean"
    subsets: tuple[JudgedSubset, ...]
    leak: Literal["by_row", "by_patch"] | None = None
    same_patients_as: tuple[Name, ...] | None = None
    shares_datasets_with: tuple[Name, ...] | None = None


class JudgedArm(Strict):
    """One arm: `own_domain` is where it was last trained and its choices are made.

    `judged_on` are the domains with predictions of it.
    """

    name: Name
    own_domain: Name
    judged_on: tuple[Name, ...]


class Pair(Strict):
    """One comparison: `arm` minus `reference`.

    `domain` and `reference_domain` are where the two are judged, if not on one domain. `value` and
    `reference_value` are those of the factor that they differ in, if they were found by one.
    """

    arm: Name
    reference: Name
    domain: Name | None = None
    reference_domain: Name | None = None
    value: str | None = None
    reference_value: str | None = None


class Family(Strict):
    """A family of tests: explicit pairs of arms on named domains.

    `factor` is the setting in which the arms of each pair differ, if that is how they were found.
    """

    family: Name
    domains: tuple[Name, ...]
    pairs: tuple[Pair, ...]
    correct: Correction = "bh"
    factor: str | None = None

    @property
    def on_one_domain(self) -> tuple[Pair, ...]:
        """The pairs whose arms are both judged on each of the domains."""
        return tuple(pair for pair in self.pairs if pair.reference_domain is None)

    @property
    def across_domains(self) -> tuple[Pair, ...]:
        """The pairs whose arms are judged on a domain each."""
        return tuple(pair for pair in self.pairs if pair.reference_domain is not None)

    @property
    def means(self) -> dict[tuple[str, str], tuple[Pair, ...]]:
        """What result tables call the mean of pairs that differ in the same way -> those pairs."""
        found: dict[tuple[str, str], tuple[Pair, ...]] = {}
        for pair in self.on_one_domain:
            if pair.value is not None:
                names = f"{MEAN_OF}{pair.value}", f"{MEAN_OF}{pair.reference_value}"
                found[names] = (*found.get(names, ()), pair)
        return {names: pairs for names, pairs in found.items() if len(pairs) > 1}


class JudgedStudy(Strict):
    """What every stage of the statistics reads."""

    study: Name
    domains: tuple[JudgedDomain, ...]
    arms: tuple[JudgedArm, ...]
    seeds: tuple[int, ...]

    def domain(self, name: str) -> JudgedDomain:
        """Return the domain called `name`, which must be one of the study's."""
        return next(domain for domain in self.domains if domain.name == name)

    def arm(self, name: str) -> JudgedArm:
        """Return the arm called `name`, which must be one of the study's."""
        return next(arm for arm in self.arms if arm.name == name)


class CalibrationSettings(JudgedStudy):
    """What the calibration table is made with."""

    calibration: tuple[Calibration, ...]
    specificity: float
    bootstrap_resamples: int
    budget_sizes: tuple[int, ...]


class EvaluationSettings(JudgedStudy):
    """What the metric table is made with; `references` are the arms that others are compared to.

    `case_mix` are the columns by whose values a transfer drop is standardised, if it is.
    """

    subgroups: tuple[Subgroup, ...]
    specificity: float
    bootstrap_resamples: int
    references: tuple[Name, ...]
    case_mix: tuple[Subgroup, ...] | None = None


class ComparisonSettings(JudgedStudy):
    """What the table of comparisons combined over seeds is made with."""

    families: tuple[Family, ...]
    margins: Margins | None = None

    def margin(self, kind: Literal["transfer_drop", "difference"], metric: str) -> float | None:
        """Return the margin of one kind of loss of a metric, None where none was declared."""
        return None if self.margins is None else self.margins.of(kind, metric)


class LossSettings(ComparisonSettings):
    """What the table of comparisons beside those combined, with all losses, is made with."""

    subgroups: tuple[Subgroup, ...]
    specificity: float
    bootstrap_resamples: int
    case_mix: tuple[Subgroup, ...] | None = None


class DescribedDataset(Strict):
    """One dataset as the report prints it; `synthetic` marks a twin of the real archive.

    `archive_hash` and `array_hashes` say how it is read and made into arrays: see
    `mammoshift.configuration.recipes`.
    """

    name: Name
    title: str
    licence: str
    synthetic: bool
    archive_hash: str | None = None
    array_hashes: tuple[str, ...] | None = None


class CardSettings(JudgedStudy):
    """What the cards of an arm's models are made with: its own domain alone, and the arm alone.

    `datasets` are those that the arm and its ancestors learned from.
    """

    task: str
    label: str | None = None
    specificity: float
    datasets: tuple[DescribedDataset, ...]


class DescribedDomain(Strict):
    """One domain as the report prints it; `split` is its method and options, `None` without."""

    name: Name
    datasets: tuple[Name, ...]
    task: str
    split: dict[str, str] | None = None


class DescribedArm(Strict):
    """One arm after all defaults; `settings` is the record that was hashed and trained."""

    name: Name
    kind: str
    settings: dict[str, Any]


class ReportSettings(JudgedStudy):
    """What the report prints beside the numbers.

    `published` is what the repeated publication printed; None without one, and for synthetic data.
    """

    title: str
    question: str
    datasets: tuple[DescribedDataset, ...]
    described_domains: tuple[DescribedDomain, ...]
    described_arms: tuple[DescribedArm, ...]
    families: tuple[Family, ...]
    subgroups: tuple[Subgroup, ...]
    calibration: tuple[Calibration, ...]
    specificity: float
    bootstrap_resamples: int
    margins: Margins | None = None
    case_mix: tuple[Subgroup, ...] | None = None
    published: PublishedStudy | None = None

    @property
    def domain_names(self) -> tuple[str, ...]:
        """The judged domains in the order of the study file."""
        return tuple(domain.name for domain in self.domains)

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The arms in the order of the study file."""
        return tuple(arm.name for arm in self.arms)

    @property
    def cohorts(self) -> tuple[tuple[str, str], ...]:
        """(domain, subset) of everything that results are reported for."""
        return tuple((domain.name, subset) for domain in self.domains for subset in domain.subsets)

    @property
    def source(self) -> str | None:
        """The own domain of all arms, where they have one and it is judged."""
        own = {arm.own_domain for arm in self.arms}
        return next((name for name in own if own == {name} and name in self.domain_names), None)

    @property
    def synthetic_datasets(self) -> tuple[str, ...]:
        """Names of the study's datasets that are synthetic twins."""
        return tuple(dataset.name for dataset in self.datasets if dataset.synthetic)

    def dataset(self, name: str) -> DescribedDataset:
        """Return the record of the dataset `name`, which must be one of the study's."""
        return next(dataset for dataset in self.datasets if dataset.name == name)

    def described_domain(self, name: str) -> DescribedDomain:
        """Return what is printed of the domain `name`, which must be one of the study's."""
        return next(domain for domain in self.described_domains if domain.name == name)
