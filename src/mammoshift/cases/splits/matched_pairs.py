"""Matched cases and controls stay together; the parts are alike in all strata."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from mammoshift.cases.splits._assignment import Assignment
from mammoshift.cases.splits._options import Seed, Strata, WithoutFolds
from mammoshift.configuration.shares import Shares

if TYPE_CHECKING:
    import pandas as pd

_ROUNDING_ERROR = 1e-9


class Options(WithoutFolds):
    """Whoever shares a `pair_id`, with all their images, is divided as one.

    Each subset gets its share of the groups, rounded up or down. `rounding: held_out_up` fixes the
    numbers as scikit-learn's `train_test_split` does that is called twice: test is rounded up,
    then validation of what is left, and the rest trains.
    """

    method: Literal["matched_pairs"] = "matched_pairs"
    shares: Shares = Shares()
    seed: Seed = 0
    stratify_by: Strata = ("label", "density")
    rounding: Literal["held_out_up"] | None = None


def assign(cases: pd.DataFrame, options: Options, _: Mapping[str, pd.DataFrame]) -> Assignment:
    """Assign the matched patients of a domain to subsets; see `patient_stratified.assign`.

    A patient in several pairs joins them. Patients without a pair are divided one by one.

    Raises
    ------
    ConfigurationError
        If no case has a `pair_id`, or a subset gets no positive or no negative case.
    """
    import numpy as np

    from mammoshift.cases.splits._balanced import balanced_parts
    from mammoshift.cases.splits._check import check_subsets, wanted_subsets
    from mammoshift.cases.splits._groups import by_pair, stratum_sums, unknown_patients

    keys = by_pair(cases)
    sums = stratum_sums(cases, keys, options.stratify_by)
    wanted = options.shares
    if options.rounding == "held_out_up":
        wanted = _held_out_up(wanted, len(sums.groups))
    shares = {name: share for name, share in wanted.model_dump().items() if share > 0.0}
    # The smallest part is filled first, while every type of group is still there.
    names = sorted(shares, key=lambda name: (shares[name], name))
    parts = balanced_parts(sums, np.array([shares[name] for name in names]), options.seed)
    subset_of = dict(zip(sums.groups.tolist(), (names[part] for part in parts), strict=True))
    subsets = [(subset_of[key],) for key in keys]
    check_subsets(cases, subsets, wanted_subsets(options.shares))
    unpaired = int(cases.loc[cases["pair_id"].isna(), "image_id"].nunique())
    note = f"{unpaired} images have no pair_id; their patients are divided one by one"
    return Assignment(subsets, unknown_patients(cases) + ((note,) if unpaired else ()))


def _held_out_up(shares: Shares, groups: int) -> Shares:
    """Return shares that are whole numbers of groups, what is held out rounded up."""
    test = math.ceil(shares.test * groups - _ROUNDING_ERROR)
    of_rest = shares.validation / (shares.train + shares.validation)
    validation = math.ceil(of_rest * (groups - test) - _ROUNDING_ERROR)
    train = groups - test - validation
    return shares.model_copy(
        update={
            "train": train / groups,
            "validation": validation / groups,
            "test": test / groups,
        }
    )
