"""The resolved facts of a study that no result table holds, as they are handed to the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mammoshift.errors import ConfigurationError


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetFacts(_Facts):
    """One dataset of the study; `synthetic` marks a twin that stands for the real archive."""

    name: str
    title: str
    licence: str
    synthetic: bool


class ArmFacts(_Facts):
    """One arm after all defaults: `settings` is the nested record that was hashed and trained."""

    name: str
    settings: dict[str, Any]


class FamilyFacts(_Facts):
    """One family of tests, as the study declares it."""

    family: str
    on: Literal["source", "targets", "all"]
    reference: str
    correct: Literal["bh", "by", "holm", "none"]


class StudyFacts(_Facts):
    """What was asked and how, with every default filled in.

    Attributes
    ----------
    name, title, question
        The study's name in paths, its title and its question in words.
    source, targets
        Names of datasets; each has its record in `datasets`.
    task
        Which images count as positive, such as `malignant_vs_rest`.
    specificity, alpha
        Specificity of the operating point; level at which a p value or an interval is support.
    partition_unit
        The unit that is never divided between subsets.
    unit, combine
        The unit that is evaluated and how its images are combined.
    split
        How the source was divided, by name: method, shares, seed.
    provenance
        Fingerprints and settings by name. Nothing here may depend on the machine or the time,
        since the report is the same bytes for the same inputs.
    """

    name: str
    title: str
    question: str = ""
    source: str
    targets: tuple[str, ...]
    task: str
    partition_unit: str = "patient"
    unit: str = "image"
    combine: str = "mean"
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    split: dict[str, str] = {}
    datasets: tuple[DatasetFacts, ...]
    arms: Annotated[tuple[ArmFacts, ...], Field(min_length=1)]
    families: tuple[FamilyFacts, ...] = ()
    subgroups: tuple[str, ...] = ()
    calibration: tuple[str, ...] = ()
    specificity: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    alpha: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.05
    bootstrap_resamples: Annotated[int, Field(ge=1)] = 2000
    bootstrap_seeding: str = "derived by SHA-256 from the names of each cell"
    provenance: dict[str, str] = {}

    @model_validator(mode="after")
    def _every_dataset_has_its_record(self) -> StudyFacts:
        known = {dataset.name for dataset in self.datasets}
        for name in self.dataset_names:
            if name not in known:
                raise ValueError(f"datasets: there is no record of {name!r}")
        return self

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """The source, then the targets."""
        return (self.source, *self.targets)

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The arms in the order of the study file."""
        return tuple(arm.name for arm in self.arms)

    @property
    def synthetic_datasets(self) -> tuple[str, ...]:
        """Names of the study's datasets that are synthetic twins."""
        synthetic = {dataset.name for dataset in self.datasets if dataset.synthetic}
        return tuple(name for name in self.dataset_names if name in synthetic)

    def dataset(self, name: str) -> DatasetFacts:
        """Return the record of the dataset `name`, which must be one of the study's."""
        return next(dataset for dataset in self.datasets if dataset.name == name)


def facts_from_leaves(
    leaves: Mapping[str, Any], provenance: Mapping[str, str] | None = None
) -> StudyFacts:
    """Return the facts of a study from the leaves of the configuration that its report reads.

    Parameters
    ----------
    leaves
        `study` (the study's values and its name, without arms), `arms` (resolved, by name) and
        `datasets` (title, licence and synthetic, by name).
    provenance
        Fingerprints and settings to print, by name.

    Raises
    ------
    ConfigurationError
        If a leaf is absent or has a wrong value.
    """
    try:
        study = leaves["study"]
        source = study["source"]
        split = {"method": source["split"], "split seed": str(source["split_seed"])}
        shares = {f"share of {name}": f"{share:g}" for name, share in source["shares"].items()}
        return StudyFacts(
            name=study["name"],
            title=study["title"],
            question=study["question"],
            source=source["dataset"],
            targets=tuple(study["targets"]),
            task=source["task"],
            unit=study["aggregation"]["unit"],
            combine=study["aggregation"]["combine"],
            seeds=tuple(study["seeds"]),
            split=split | shares,
            datasets=tuple(
                DatasetFacts(name=name, **record) for name, record in leaves["datasets"].items()
            ),
            arms=tuple(
                ArmFacts(name=name, settings=settings) for name, settings in leaves["arms"].items()
            ),
            families=tuple(
                FamilyFacts(
                    **{key: family[key] for key in ("family", "on", "reference", "correct")}
                )
                for family in study["comparisons"]
            ),
            subgroups=tuple(study["subgroups"]),
            calibration=tuple(study["calibration"]),
            specificity=study["specificity"],
            bootstrap_resamples=study["bootstrap_resamples"],
            provenance=dict(provenance or {}),
        )
    except KeyError as error:
        raise ConfigurationError(f"the report's leaves lack {error}; pass all of them") from error
    except ValidationError as error:
        raise ConfigurationError(f"the report's leaves: {_first_error(error)}") from error


def _first_error(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the whole file'}: {first['msg']}"
