"""Inner folds: the patients that a run may learn from, divided anew, to choose settings on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mammoshift.cases.splits._balanced import balanced_parts
from mammoshift.cases.splits._groups import by_pair, by_patient, stratum_sums
from mammoshift.contracts.cases import TRAIN, VALIDATION
from mammoshift.errors import TrainingError


@dataclass(frozen=True)
class InnerFold:
    """One of some inner folds: the part `number`, from 0 of `of`, is left out; `seed` divides."""

    number: int
    of: int
    seed: int = 0


def inner_subsets(cases: pd.DataFrame, fold: InnerFold) -> pd.Series[str]:
    """Return `validation` for the cases of an inner fold's own part, and `train` for the others.

    Parameters
    ----------
    cases
        What one run learns from and is validated on; columns as in `CASES_SCHEMA`. A patient is in
        one part, and so are matched patients.

    Raises
    ------
    TrainingError
        If a part, or what is left without it, has cases of one label alone.
    """
    paired = cases["pair_id"].notna().any()
    keys = by_pair(cases) if paired else by_patient(cases)
    sums = stratum_sums(cases, keys, ("label",))
    parts = balanced_parts(sums, np.full(fold.of, 1.0 / fold.of), fold.seed)
    part_of = dict(zip(sums.groups.tolist(), parts.tolist(), strict=True))
    own = keys.map(part_of) == fold.number
    labels = cases["label"]
    if any(labels[side].nunique() < 2 for side in (own, ~own)):
        raise TrainingError(
            f"inner fold {fold.number + 1} of {fold.of}: has patients of one class alone; search "
            "with fewer inner_folds"
        )
    return pd.Series(np.where(own, VALIDATION, TRAIN), index=cases.index, dtype="str")
