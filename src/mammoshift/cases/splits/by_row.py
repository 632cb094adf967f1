"""Images are divided one by one, whatever patient they come from: what some papers did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from mammoshift.cases.splits._assignment import Assignment
from mammoshift.cases.splits._options import Leak, Seed, WithoutFolds
from mammoshift.configuration.shares import Shares

if TYPE_CHECKING:
    import pandas as pd


class Options(WithoutFolds):
    """Images at random, a patch with its image; images of one patient are on both sides."""

    leak: ClassVar[Leak | None] = "by_row"

    method: Literal["by_row"] = "by_row"
    shares: Shares = Shares()
    seed: Seed = 0


def assign(cases: pd.DataFrame, options: Options, _: Mapping[str, pd.DataFrame]) -> Assignment:
    """Assign the images of a domain to subsets at random; see `patient_stratified.assign`.

    Raises
    ------
    ConfigurationError
        If a subset gets no positive or no negative case.
    """
    from mammoshift.cases.splits._check import check_subsets, wanted_subsets
    from mammoshift.cases.splits._shuffled import shuffled_subsets

    subsets = shuffled_subsets(cases["image_id"], options.shares, options.seed)
    check_subsets(cases, subsets, wanted_subsets(options.shares))
    return Assignment(subsets)
