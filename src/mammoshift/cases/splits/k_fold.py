"""Cross-validation: folds of patients, alike in all strata, and a held-out test if wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from mammoshift.cases.splits._assignment import Assignment
from mammoshift.cases.splits._options import Seed, SplitOptions, Strata

PartOfOne = Annotated[float, Field(ge=0.0, lt=1.0)]

if TYPE_CHECKING:
    import pandas as pd


class Options(SplitOptions):
    """`folds` parts, each left out once.

    `validation_share` is the share of a fold's training patients that models are chosen on;
    `test_share` that of all patients who are held out, the same in all folds.
    """

    method: Literal["k_fold"] = "k_fold"
    folds: Annotated[int, Field(ge=2, le=100)] = 5
    validation_share: PartOfOne = 0.1
    test_share: PartOfOne = 0.0
    seed: Seed = 0
    stratify_by: Strata = ("label", "density")


def assign(cases: pd.DataFrame, options: Options, _: Mapping[str, pd.DataFrame]) -> Assignment:
    """Assign the patients of a domain to subsets in each fold; see `patient_stratified.assign`.

    A fold's own part is `out_of_fold`; validation is cut from the other folds by a hash.

    Raises
    ------
    ConfigurationError
        If there are fewer patients than parts, or a subset of a fold gets no positive or no
        negative case.
    """
    import numpy as np
    import pandas as pd

    from mammoshift.cases.splits._balanced import balanced_parts
    from mammoshift.cases.splits._check import check_subsets
    from mammoshift.cases.splits._groups import (
        by_patient,
        group_strata,
        stratum_sums,
        unknown_patients,
    )
    from mammoshift.cases.splits._hashed import hashed_subsets

    keys = by_patient(cases)
    strata = group_strata(cases, keys, options.stratify_by)
    sums = stratum_sums(cases, keys, options.stratify_by)
    held_out = [options.test_share] if options.test_share else []
    one_fold = (1.0 - options.test_share) / options.folds
    parts = balanced_parts(sums, np.array(held_out + [one_fold] * options.folds), options.seed)
    shares = {"train": 1.0 - options.validation_share, "validation": options.validation_share}
    columns = []
    for fold in range(options.folds):
        own = parts == fold + len(held_out)
        subset_of = np.where(own, "out_of_fold", "test").astype(object)
        rest = ~own & (parts >= len(held_out))
        salt = f"{options.seed} fold {fold}"
        subset_of[rest] = hashed_subsets(strata[rest], {**shares, "test": 0.0}, salt)
        columns.append(subset_of)
    positions = strata.index.get_indexer(pd.Index(keys))
    rows = [tuple(row) for row in np.column_stack(columns).tolist()]
    subsets = [rows[position] for position in positions]
    wanted = {"train": True, "validation": options.validation_share > 0.0, "out_of_fold": True}
    check_subsets(cases, subsets, {**wanted, "test": bool(held_out)})
    return Assignment(subsets, unknown_patients(cases))
