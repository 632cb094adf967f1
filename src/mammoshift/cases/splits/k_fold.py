"""Cross-validation: folds of patients, alike in all strata, and a held-out test if wanted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mammoshift.cases.splits._options import Seed, SplitOptions, Strata

PartOfOne = Annotated[float, Field(ge=0.0, lt=1.0)]


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
