"""What the options of all split methods have in common."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from mammoshift.configuration.model import Strict

Seed = Annotated[int, Field(ge=0)]

Stratum = Literal[
    "label",
    "unit_label",
    "dataset",
    "laterality",
    "view",
    "pathology",
    "density",
    "birads",
    "lesion_types",
    "age",
    "official_split",
    "manufacturer",
    "detector",
    "site",
]
"""Columns of a table of cases whose values a split can balance between its parts."""


def _given_once(strata: tuple[Stratum, ...]) -> tuple[Stratum, ...]:
    if len(set(strata)) < len(strata):
        raise ValueError("a column is named more than once")
    return strata


Strata = Annotated[tuple[Stratum, ...], Field(min_length=1), AfterValidator(_given_once)]

Leak = Literal["by_row", "by_patch"]


class SplitOptions(Strict):
    """Base of the options of a method.

    `leak` names what a method lets pass on purpose: it ignores patients, so that one patient is in
    two subsets. Results on such a domain say so and carry no verdict. Beside it, options have
    `folds`: the number of folds, or None for as many as the domain has that they `need`.
    """

    leak: ClassVar[Leak | None] = None

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the domains whose cases the method reads."""
        return ()


class WithoutFolds(SplitOptions):
    """Base of the options of a method that divides once."""

    folds: ClassVar[int | None] = 1
