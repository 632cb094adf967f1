"""Shares by hash: groups are ordered within their stratum by a hash of a seed and their name.

The first take the test places, the next those of validation, the rest trains. A group's rank does
not depend on anybody else, so that a new patient moves no more than the patients at the borders
between the subsets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_ORDER = ("test", "validation", "train")


def hashed_subsets(
    strata: pd.DataFrame, shares: Mapping[str, float], salt: object
) -> pd.Series[str]:
    """Return the subset of each group.

    Parameters
    ----------
    strata
        One row for each group, indexed by its name; the columns are strata as text. The first
        one keeps its shares to within one group; the others as closely as their numbers allow:
        what rounding leaves over in one stratum is carried to the next of the same first value.
    shares
        Share of `train`, `validation` and `test`; they sum to one.
    salt
        Another salt is another order: the seed, or what begins with it.
    """
    ideal_shares = np.array([shares[name] for name in _ORDER])
    ranks = hash_ranks(strata.index, salt)
    members_of: dict[tuple[str, ...], list[int]] = {}
    for position, stratum in enumerate(strata.itertuples(index=False, name=None)):
        members_of.setdefault(stratum, []).append(position)
    subsets = np.full(len(strata), "train", dtype=object)
    carried: dict[tuple[str, ...], NDArray[np.float64]] = {}
    for stratum in sorted(members_of):
        members = np.array(members_of[stratum])
        members = members[np.lexsort((members, ranks[members]))]
        ideal = ideal_shares * len(members) + carried.get(stratum[:1], np.zeros(3))
        counts = largest_remainder(ideal, len(members))
        carried[stratum[:1]] = ideal - counts
        subsets[members] = np.repeat(np.array(_ORDER, dtype=object), counts)
    return pd.Series(subsets.tolist(), index=strata.index, dtype="str")


def hash_ranks(names: pd.Index[str] | NDArray[np.str_], salt: object) -> NDArray[np.uint64]:
    """Return 64 bits for each name that depend on nothing but the salt and the name."""
    digests = (hashlib.blake2b(f"{salt} {name}".encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def largest_remainder(ideal: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Round non-negative numbers to whole ones that sum to `total`.

    The whole parts are given first, then one each to the largest fractions; of equal fractions
    the earlier one is served first. Negative numbers count as zero.
    """
    wanted = np.clip(ideal, 0.0, None)
    wanted = wanted * (total / wanted.sum()) if wanted.sum() > 0.0 else wanted
    counts = np.floor(wanted + 1e-9).astype(np.int64)
    missing = total - int(counts.sum())
    counts[np.argsort(-(wanted - counts), kind="stable")[:missing]] += 1
    return counts
