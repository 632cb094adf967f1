"""Shares of a shuffled list, whoever the things in it belong to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mammoshift.cases.splits._hashed import largest_remainder
from mammoshift.configuration.shares import Shares


def shuffled_subsets(
    names: pd.Series[str], shares: Shares, seed: int | tuple[int, ...]
) -> list[tuple[str, ...]]:
    """Return the subset of each row; rows of one name are together.

    The names are shuffled in alphabetical order, so that the rows' order does not matter.
    """
    by_name = shares.model_dump()
    distinct = np.sort(names.unique().astype(str))
    shuffled = np.random.default_rng(seed).permutation(distinct)
    counts = largest_remainder(np.array(list(by_name.values())) * len(distinct), len(distinct))
    subset_of = dict(zip(shuffled.tolist(), np.repeat(list(by_name), counts).tolist(), strict=True))
    return [(subset_of[name],) for name in names]
