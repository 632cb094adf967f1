"""The archive's own test patients are the test; its other patients train and validate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from mammoshift.cases.splits._assignment import Assignment
from mammoshift.cases.splits._options import Seed, Strata, WithoutFolds
from mammoshift.configuration.shares import Shares
from mammoshift.contracts.vocabulary import OFFICIAL_SPLITS
from mammoshift.errors import TableError

if TYPE_CHECKING:
    import pandas as pd


class Options(WithoutFolds):
    """The archive's parts; `shares` divides its training part in train and validation.

    `crossing` says what becomes of patients that the archive has in both of its parts.
    """

    method: Literal["official"] = "official"
    shares: Shares = Shares()
    seed: Seed = 0
    stratify_by: Strata = ("label", "density")
    crossing: Literal["train", "test", "exclude"] = "train"


def assign(cases: pd.DataFrame, options: Options, _: Mapping[str, pd.DataFrame]) -> Assignment:
    """Assign the patients of a domain to subsets; see `patient_stratified.assign`.

    Patients of one part are in that part's subset. `both` in a row's `official_split` counts as
    both parts, and so does `train` in one row of a patient and `test` in another.

    Raises
    ------
    TableError
        If the archive gives no part for a patient.
    ConfigurationError
        If a subset gets no positive or no negative case.
    """
    import pandas as pd

    from mammoshift.cases.splits._check import check_subsets, wanted_subsets
    from mammoshift.cases.splits._groups import (
        by_patient,
        group_strata,
        listed,
        unknown_patients,
    )
    from mammoshift.cases.splits._hashed import hashed_subsets

    keys = by_patient(cases)
    parts = _official_parts(cases, keys)
    crossing = parts.index[parts == "both"]
    if len(crossing):
        parts[crossing] = {"exclude": "unused"}.get(options.crossing, options.crossing)
    strata = group_strata(cases, keys, options.stratify_by)
    free = strata.index.isin(parts.index[parts == "train"]) & ~strata.index.isin(crossing)
    rest = options.shares.train + options.shares.validation
    of_train = {
        "train": options.shares.train / rest,
        "validation": options.shares.validation / rest,
        "test": 0.0,
    }
    divided = hashed_subsets(strata[free], of_train, options.seed)
    subset_of = pd.concat([parts.drop(divided.index), divided])
    subsets = [(subset,) for subset in keys.map(subset_of)]
    check_subsets(cases, subsets, wanted_subsets(options.shares))
    notes = unknown_patients(cases)
    if len(crossing):
        names = [name.removeprefix("patient ") for name in crossing]
        notes += (
            f"{len(names)} patients are in both official parts (crossing: {options.crossing}): "
            f"{listed(names)}",
        )
    return Assignment(subsets, notes)


def _official_parts(cases: pd.DataFrame, keys: pd.Series[str]) -> pd.Series[str]:
    """Return `train`, `test` or `both` for each patient, sorted by name."""
    given = cases["official_split"]
    wrong = given.notna() & ~given.isin(OFFICIAL_SPLITS)
    if wrong.any():
        case = cases.loc[wrong, "case_id"].iloc[0]
        raise TableError(f"case {case}: official_split must be train, test, both or null")
    in_train = given.isin(["train", "both"]).groupby(keys.to_numpy()).any()
    in_test = given.isin(["test", "both"]).groupby(keys.to_numpy()).any()
    lost = in_test.index[~(in_test | in_train)]
    if len(lost):
        raise TableError(
            f"{lost[0]}: the archive gives no official split; use the split patient_stratified"
        )
    parts = in_test.map({True: "test", False: "train"}).astype("str")
    return parts.where(~(in_test & in_train), "both")
