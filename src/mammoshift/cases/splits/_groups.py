"""Who is divided as one, and what is counted of each such group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mammoshift.contracts.cases import patient_keys
from mammoshift.errors import ConfigurationError

_UNKNOWN = "unknown"
_NAMED = 5


@dataclass(frozen=True, eq=False)
class StratumSums:
    """Counts that every part of a split should have its share of.

    Attributes
    ----------
    groups
        Names of the groups, sorted; shape (groups,).
    counts
        Of each group: itself, its cases, and both once more for each value of each stratum;
        int64, shape (groups, strata).
    """

    groups: NDArray[np.str_]
    counts: NDArray[np.int64]


def text_strata(cases: pd.DataFrame, stratify_by: Sequence[str]) -> pd.DataFrame:
    """Return the strata of each case as text, null counting as unknown.

    Raises
    ------
    ConfigurationError
        If the cases lack a column.
    """
    missing = [name for name in stratify_by if name not in cases.columns]
    if missing:
        raise ConfigurationError(f"stratify_by: the cases have no column {missing[0]}")
    return cases[list(stratify_by)].astype("string").fillna(_UNKNOWN)


def group_strata(
    cases: pd.DataFrame, keys: pd.Series[str], stratify_by: Sequence[str]
) -> pd.DataFrame:
    """Return one row for each group, its strata as text: the highest value of its cases."""
    return text_strata(cases, stratify_by).groupby(keys.to_numpy(), sort=True).max()


def stratum_sums(
    cases: pd.DataFrame, keys: pd.Series[str], stratify_by: Sequence[str]
) -> StratumSums:
    """Count the cases of each group, and the groups, in every stratum and in all of them joined."""
    strata = text_strata(cases, stratify_by)
    highest = strata.groupby(keys.to_numpy(), sort=True).max()
    positions = highest.index.get_indexer(pd.Index(keys.to_numpy()))
    groups = np.arange(len(highest))
    counts = [np.ones((len(highest), 1), np.int64), _tally(positions, None, len(highest))]
    for name in stratify_by:
        counts.append(_tally(positions, strata[name], len(highest)))
        counts.append(_tally(groups, highest[name], len(highest)))
    if len(stratify_by) > 1:
        joined = highest[stratify_by[0]].str.cat(highest[list(stratify_by[1:])], sep=" / ")
        counts.append(_tally(groups, joined, len(highest)))
    return StratumSums(highest.index.to_numpy(dtype=str), np.hstack(counts))


def unknown_patients(cases: pd.DataFrame) -> tuple[str, ...]:
    """Return a note when the patients of some cases are unknown, else nothing."""
    images = cases.loc[cases["patient_id"].isna(), "image_id"].drop_duplicates().sort_values()
    if images.empty:
        return ()
    return (
        f"the patient of {len(images)} images is unknown; each is a group of its own, so that two "
        f"of one patient may be in different subsets: {listed(images)}",
    )


def listed(names: Sequence[str] | pd.Series[str]) -> str:
    """Return the first names, and that there are more."""
    shown = list(names)[:_NAMED]
    return ", ".join(shown) + (", ..." if len(names) > _NAMED else "")


def by_patient(cases: pd.DataFrame) -> pd.Series[str]:
    """Return the group of each case when patients stay together."""
    return patient_keys(cases)


def by_pair(cases: pd.DataFrame) -> pd.Series[str]:
    """Return the group of each case when matched patients stay together.

    A group is everybody who is reached by shared pairs and shared patients; its name is the
    first of its patients' names.

    Raises
    ------
    ConfigurationError
        If no case has a `pair_id`.
    """
    if cases["pair_id"].isna().all():
        raise ConfigurationError(
            "split matched_pairs: no image of the domain has a pair_id; the manifest must name the "
            "pairs"
        )
    people, names = pd.factorize(by_patient(cases), sort=True)
    pairs, _ = pd.factorize(cases["pair_id"])
    paired = pairs >= 0
    nodes = len(names) + int(pairs.max()) + 1
    edges = coo_array(
        (np.ones(paired.sum()), (people[paired], pairs[paired] + len(names))), (nodes, nodes)
    )
    _, component = connected_components(edges, directed=False)
    # The names are sorted, so that the first person of a component has its first name.
    _, first = np.unique(component[: len(names)], return_index=True)
    name_of = dict(zip(component[first].tolist(), names[first].tolist(), strict=True))
    return pd.Series([name_of[c] for c in component[people].tolist()], index=cases.index)


def _tally(
    groups: NDArray[np.int64], values: pd.Series[str] | None, size: int
) -> NDArray[np.int64]:
    """Count the rows of each group, by value; shape (size, values)."""
    if values is None:
        return np.bincount(groups, minlength=size)[:, None]
    codes, names = pd.factorize(values, sort=True)
    flat = np.bincount(groups * len(names) + codes, minlength=size * len(names))
    return flat.reshape(size, len(names))
