"""Patches of each class are divided one by one, whoever they are of: what some papers did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from mammoshift.cases.splits._assignment import Assignment
from mammoshift.cases.splits._options import Leak, Seed, WithoutFolds
from mammoshift.configuration.shares import Shares

if TYPE_CHECKING:
    import pandas as pd


class Options(WithoutFolds):
    """Patches of a class at random; those of one image, and of one patient, are on both sides."""

    leak: ClassVar[Leak | None] = "by_patch"

    method: Literal["by_patch"] = "by_patch"
    shares: Shares = Shares()
    seed: Seed = 0


def assign(cases: pd.DataFrame, options: Options, _: Mapping[str, pd.DataFrame]) -> Assignment:
    """Assign the cases of a domain to subsets at random; see `patient_stratified.assign`.

    Each label is divided by itself: where both have as many patches, each subset has too.

    Raises
    ------
    ConfigurationError
        If a subset gets no positive or no negative case.
    """
    from mammoshift.cases.splits._check import check_subsets, wanted_subsets
    from mammoshift.cases.splits._shuffled import shuffled_subsets

    subset_of = {
        name: subset
        for label, names in cases.groupby("label")["case_id"]
        for name, subset in zip(
            names, shuffled_subsets(names, options.shares, (options.seed, int(label))), strict=True
        )
    }
    subsets = [subset_of[name] for name in cases["case_id"]]
    check_subsets(cases, subsets, wanted_subsets(options.shares))
    return Assignment(subsets)
