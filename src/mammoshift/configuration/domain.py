"""A domain: who is learned from or judged, as a study file says it."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from mammoshift.cases.tasks import TaskName
from mammoshift.configuration.model import Name, Patches, Strict
from mammoshift.contracts import vocabulary
from mammoshift.errors import ConfigurationError
from mammoshift.registry import load_all, names_in

SPLIT_PACKAGE = "mammoshift.cases.splits"

TextColumn = Literal[
    "exam_id",
    "patient_id",
    "pair_id",
    "laterality",
    "view",
    "pathology",
    "patient_pathology",
    "density",
    "density_scale",
    "birads",
    "lesion_types",
    "official_split",
    "manufacturer",
    "detector",
    "site",
]
NumberColumn = Literal["age", "pixel_spacing_mm", "bits", "rows", "columns"]
FilterColumn = Literal[TextColumn, NumberColumn]
NUMBER_COLUMNS = ("age", "pixel_spacing_mm", "bits", "rows", "columns")

FILTER_VALUES: Mapping[str, tuple[str, ...]] = {
    "laterality": vocabulary.LATERALITIES,
    "view": vocabulary.VIEWS,
    "pathology": vocabulary.PATHOLOGIES,
    "patient_pathology": vocabulary.PATHOLOGIES,
    "density": ("a", "b", "c", "d", "mias_d", "mias_f", "mias_g"),
    "density_scale": vocabulary.DENSITY_SCALES,
    "birads": vocabulary.BIRADS,
    "lesion_types": vocabulary.LESION_TYPES,
    "official_split": vocabulary.OFFICIAL_SPLITS,
}
"""What a column with a closed vocabulary can hold; `density` with its scale, as in the cases."""


class Range(Strict):
    """Numbers from `minimum` to `maximum`, both included."""

    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> Range:
        if self.minimum is None and self.maximum is None:
            raise ValueError("give minimum, maximum or both")
        if None not in (self.minimum, self.maximum) and self.minimum > self.maximum:  # type: ignore[operator]
            raise ValueError("minimum is greater than maximum")
        return self


if TYPE_CHECKING:
    SplitSettings = Any
else:
    SplitSettings = Annotated[
        reduce(operator.or_, (module.Options for module in load_all(SPLIT_PACKAGE))),
        Field(discriminator="method"),
    ]


class DomainSettings(Strict):
    """One domain: its images, what is positive, the unit that is judged, and its split.

    `dataset: name` stands for `datasets: [name]`, and a split method without options for
    `split: {method: name}`. A domain without a split is judged only. `filter` keeps the images
    whose column of the manifest has one of the listed values or lies in a range; an image
    without the value is left out. `combine` is how the images of a unit are judged as one.
    `same_patients_as` names domains that hold the same patients, imaged again. `patches` says
    where the patches of a domain whose unit is the patch are taken. `balance: classes` keeps of
    the class with more cases as many as the other has, drawn by a hash of the case's name.
    """

    datasets: Annotated[tuple[Name, ...], Field(min_length=1)]
    task: TaskName = "malignant_vs_rest"
    unit: Literal["image", "breast", "patient", "patch"] = "image"
    combine: Literal["mean", "max"] = "mean"
    filter: dict[FilterColumn, Range | tuple[float | str, ...]] | None = None
    split: SplitSettings | None = None
    same_patients_as: tuple[Name, ...] = ()
    patches: Patches | None = None
    balance: Literal["classes"] | None = None
    expected_patches: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        values = dict(content)
        if "dataset" in values:
            if "datasets" in values:
                raise ValueError("give dataset or datasets, not both")
            values["datasets"] = (values.pop("dataset"),)
        if isinstance(values.get("split"), str):
            values["split"] = {"method": values["split"]}
        if isinstance(values.get("filter"), Mapping):
            values["filter"] = {
                column: _listed(column, wanted) for column, wanted in values["filter"].items()
            }
        return values

    @model_validator(mode="after")
    def _patches_are_placed(self) -> DomainSettings:
        if (self.unit == "patch") != (self.patches is not None):
            raise ValueError("the unit patch and the section patches belong together")
        if self.expected_patches is not None and self.patches is None:
            raise ValueError("expected_patches is for a domain with the section patches")
        if self.leak == "by_patch" and self.unit != "patch":
            raise ValueError("split: by_patch divides patches; give the unit patch, or by_row")
        if self.balance is not None and self.unit not in ("image", "patch"):
            raise ValueError("balance draws cases, and this unit has several; give image or patch")
        return self

    @model_validator(mode="after")
    def _can_be_filtered(self) -> DomainSettings:
        for column, wanted in (self.filter or {}).items():
            _check_filter(column, wanted)
        for what, names in (
            ("datasets", self.datasets),
            ("same_patients_as", self.same_patients_as),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"{what}: a name is given more than once")
        return self

    @property
    def leak(self) -> Literal["by_row", "by_patch"] | None:
        """What the split lets pass on purpose; None where patients are kept apart."""
        return self.split.leak if self.split is not None else None

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the domains whose cases must be there before those of this one."""
        return self.split.needs if self.split is not None else ()


def split_methods() -> tuple[str, ...]:
    """Return the names of all split methods."""
    return names_in(SPLIT_PACKAGE)


def check_domains(domains: Mapping[str, DomainSettings], where: str) -> None:
    """Check what domains say of each other.

    Raises
    ------
    ConfigurationError
        If a domain names itself or one that does not exist, or takes the split of one that has
        none, or domains take their splits from each other in a circle.
    """
    for name, domain in domains.items():
        for key, others in (("same_patients_as", domain.same_patients_as), ("split", domain.needs)):
            for other in others:
                if other not in domains or other == name:
                    raise ConfigurationError(
                        f"{where}: domains.{name}.{key}: there is no other domain {other!r}; "
                        f"the domains are: {', '.join(domains)}"
                    )
        for other in domain.needs:
            if domains[other].split is None:
                raise ConfigurationError(
                    f"{where}: domains.{name}.split: the domain {other} has no split to take"
                )
        _check_circle(domains, name, where)


def folds_of(domains: Mapping[str, DomainSettings], name: str) -> int:
    """Return the number of folds of a domain; 1 without a split or with one that has no folds."""
    split = domains[name].split
    if split is None:
        return 1
    return split.folds if split.folds is not None else folds_of(domains, split.needs[0])


def split_origin(domains: Mapping[str, DomainSettings], name: str) -> str:
    """Return the domain whose split a domain has: itself, unless it takes another's."""
    needed = domains[name].needs
    return split_origin(domains, needed[0]) if needed else name


def same_patient_groups(domains: Mapping[str, DomainSettings]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of domains that hold the same patients, as far as they are declared.

    A split that is taken from another domain (`same_as`) declares it too. What is the same as a
    third is the same as each other.
    """
    group = {name: {name} for name in domains}
    for name, domain in domains.items():
        for other in (*domain.same_patients_as, *domain.needs):
            merged = group[name] | group[other]
            group.update(dict.fromkeys(merged, merged))
    found = {tuple(n for n in domains if n in members) for members in group.values()}
    return tuple(sorted(members for members in found if len(members) > 1))


def _listed(column: Any, wanted: Any) -> Any:
    """Return the values of a filter as a list, as texts but for columns of numbers."""
    if isinstance(wanted, str | int | float):
        wanted = (wanted,)
    if isinstance(wanted, Mapping | Range):
        return wanted
    if not isinstance(wanted, list | tuple):
        raise ValueError(f"filter.{column}: {wanted!r}: list the values")
    for value in wanted:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"filter.{column}: {value!r} is no number; put a text into quotes")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"filter.{column}: no image has the value {value}")
    return wanted if column in NUMBER_COLUMNS else tuple(str(value) for value in wanted)


def _check_filter(column: str, wanted: Range | tuple[float | str, ...]) -> None:
    if isinstance(wanted, Range):
        if column not in NUMBER_COLUMNS:
            raise ValueError(f"filter.{column}: list the values; only numbers have a range")
        return
    if not wanted:
        raise ValueError(f"filter.{column}: the list is empty, so that no image would be left")
    if column in NUMBER_COLUMNS and any(isinstance(value, str) for value in wanted):
        raise ValueError(f"filter.{column}: the values must be numbers")
    allowed = FILTER_VALUES.get(column)
    unknown = [value for value in wanted if allowed and value not in allowed]
    if allowed and unknown:
        raise ValueError(f"filter.{column}: {unknown[0]!r} is none of {', '.join(allowed)}")


def _check_circle(domains: Mapping[str, DomainSettings], name: str, where: str) -> None:
    seen = [name]
    while needed := domains[seen[-1]].needs:
        if needed[0] in seen:
            circle = " -> ".join([*seen, needed[0]])
            raise ConfigurationError(f"{where}: domains take each other's split: {circle}")
        if needed[0] not in domains:
            return
        seen.append(needed[0])
