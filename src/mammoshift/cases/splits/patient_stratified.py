"""Patients to train, validation and test: grouped, stratified, and stable as archives grow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from mammoshift.cases.splits._assignment import Assignment
from mammoshift.cases.splits._options import Seed, Strata, WithoutFolds
from mammoshift.configuration.shares import Shares

if TYPE_CHECKING:
    import pandas as pd


class Options(WithoutFolds):
    """Patients are divided by a hash of their name within strata of `stratify_by`."""

    method: Literal["patient_stratified"] = "patient_stratified"
    shares: Shares = Shares()
    seed: Seed = 0
    stratify_by: Strata = ("label", "density")


def assign(cases: pd.DataFrame, options: Options, _: Mapping[str, pd.DataFrame]) -> Assignment:
    """Assign the patients of a domain to subsets.

    Parameters
    ----------
    cases
        The labelled cases of the domain: the columns of
        `mammoshift.contracts.cases.CASES_SCHEMA` without `subsets`.
    options
        What the study file says.
    _
        Cases of the domains that `options.needs` names, by name; this method needs none.

    Returns
    -------
    Assignment
        The same for any order of the rows. The first of `stratify_by` keeps its shares to
        within one patient, the others as closely as their numbers allow.

    Raises
    ------
    ConfigurationError
        If a subset gets no positive or no negative case.
    """
    from mammoshift.cases.splits._check import check_subsets, wanted_subsets
    from mammoshift.cases.splits._groups import by_patient, group_strata, unknown_patients
    from mammoshift.cases.splits._hashed import hashed_subsets

    keys = by_patient(cases)
    strata = group_strata(cases, keys, options.stratify_by)
    subset_of = hashed_subsets(strata, options.shares.model_dump(), options.seed)
    subsets = [(subset,) for subset in keys.map(subset_of)]
    check_subsets(cases, subsets, wanted_subsets(options.shares))
    return Assignment(subsets, unknown_patients(cases))
