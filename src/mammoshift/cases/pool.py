"""The cases of several domains as arrays: who and what they are, as numbers that can be compared.

An audit asks of half a million cases whether two of them are of one patient or have the same
pixels. Every name is turned into a number once; the questions are then questions of arrays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.cases.identity import archive_patients
from mammoshift.contracts.cases import ALL_SUBSETS
from mammoshift.errors import TableError

HASHES = ("pixel_hash", "perceptual_hash", "fine_hash")
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pool:
    """Cases of one or several domains, one after the other.

    Attributes
    ----------
    table
        Columns `domain, dataset, case_id, item_id`, one row for each case.
    rows
        The rows of each domain.
    subsets
        Of each domain: the place in `ALL_SUBSETS`, int8, shape (cases, folds).
    group
        Number of the group of domains with the same patients; int64, shape (rows,).
    item, patient, patient_id, pixels, file
        Numbers that are equal for the same stored item, the same patient (an image of unknown
        patient is its own), the same id of a patient in whatever dataset (-1 where it is not
        known), equal pixels (-1 where they are not known or all one value), and
        equal contents of the raw files (-1 where they are not known).
    known
        Whether the archive names the patient.
    splits
        For each domain that takes the split of another, that one.
    """

    table: pd.DataFrame
    rows: Mapping[str, slice]
    subsets: Mapping[str, NDArray[np.int8]]
    group: Codes
    item: Codes
    patient: Codes
    patient_id: Codes
    pixels: Codes
    file: Codes
    known: NDArray[np.bool_]
    splits: Mapping[str, str]

    def subset(self, row: int, fold: int) -> str:
        """Return the name of the subset of one case; of all folds, joined, for a fold of -1."""
        domain = str(self.table["domain"].iloc[row])
        codes = self.subsets[domain][row - self.rows[domain].start]
        if fold >= 0:
            return ALL_SUBSETS[codes[fold]]
        return " ".join(dict.fromkeys(ALL_SUBSETS[code] for code in codes))

    def share_split(self, one: str, other: str) -> bool:
        """Return whether two domains have one split."""
        return self.splits.get(one, one) == self.splits.get(other, other)

    def folds(self, domain: str) -> int:
        """Return the number of folds of a domain."""
        return self.subsets[domain].shape[1]

    def placed(self, domain: str, fold: int, names: Collection[str]) -> NDArray[np.bool_]:
        """Return which cases of a domain are in one of the named subsets of a fold.

        Raises
        ------
        TableError
            If the domain does not have that fold.
        """
        subsets = self.subsets[domain]
        if not 0 <= fold < subsets.shape[1]:
            raise TableError(f"the domain {domain} has no fold {fold}")
        return np.isin(subsets[:, fold], [ALL_SUBSETS.index(name) for name in names])


def make_pool(
    cases: Mapping[str, pd.DataFrame],
    indexes: Mapping[str, pd.DataFrame],
    same_patients: Sequence[Collection[str]] = (),
    splits: Mapping[str, str] | None = None,
    contents: Mapping[str, pd.Series[str]] | None = None,
) -> Pool:
    """Put the cases of domains together.

    Parameters
    ----------
    cases
        Tables of cases, by domain.
    indexes
        Index tables of the pixel store, by dataset; an `image_id` (or `item_id`) of theirs is an
        `item_id` of the cases.
    same_patients
        Groups of domains that hold the same patients, by the names that their archives give.
    splits
        For each domain that takes the split of another, that one.
    contents
        Key of the content of each image's raw file by `image_id`, by dataset.
    """
    columns = ["dataset", "case_id", "item_id", "image_id"]
    names = list(cases)
    table = pd.concat(
        [cases[name][columns].assign(domain=name) for name in names], ignore_index=True
    )
    patients = pd.concat([archive_patients(cases[name]) for name in names], ignore_index=True)
    known = patients.notna().to_numpy()
    dataset = table["dataset"].astype("string")
    space = dataset.map(_patient_spaces(cases, same_patients)).astype("string")
    image = "image " + dataset + "\n" + table["image_id"].astype("string")
    person = ("patient " + space + "\n" + patients).where(known, image)
    ends = np.cumsum([0, *(len(cases[name]) for name in names)]).tolist()
    group_of = {name: number for number, name in enumerate(names)}
    for members in same_patients:
        present = [name for name in members if name in group_of]
        group_of.update(dict.fromkeys(present, min(group_of[name] for name in present or names)))
    return Pool(
        table=table.drop(columns="image_id"),
        rows={name: slice(ends[n], ends[n + 1]) for n, name in enumerate(names)},
        subsets={name: _subset_codes(cases[name]) for name in names},
        group=np.array([group_of[domain] for domain in table["domain"]], np.int64),
        item=_codes(dataset + "\n" + table["item_id"].astype("string")),
        patient=_codes(person),
        patient_id=_codes(patients),
        pixels=_codes(_pixel_hashes(table, indexes)),
        file=_codes(_content_keys(table, contents or {})),
        known=known,
        splits=splits or {},
    )


def index_of_items(index: pd.DataFrame) -> pd.DataFrame:
    """Return the index of a pixel store by item; items of one value everywhere are left out.

    Raises
    ------
    TableError
        If an item occurs twice.
    """
    key = "item_id" if "item_id" in index.columns else "image_id"
    if {"min", "max"} <= set(index.columns):
        index = index[index["min"] != index["max"]]
    repeated = index[key][index[key].duplicated()]
    if len(repeated):
        raise TableError(f"the index of the pixel store has {repeated.iloc[0]} twice")
    return index.set_index(key)


def _patient_spaces(
    cases: Mapping[str, pd.DataFrame], same_patients: Sequence[Collection[str]]
) -> dict[str, str]:
    """Return, for each dataset, the first of those whose patients' names mean the same."""
    datasets_of = {name: set(table["dataset"].unique()) for name, table in cases.items()}
    merged = {dataset: {dataset} for datasets in datasets_of.values() for dataset in datasets}
    for members in same_patients:
        present = set().union(*(datasets_of.get(name, set()) for name in members))
        joined = set().union(*(merged[dataset] for dataset in present))
        merged.update(dict.fromkeys(joined, joined))
    return {dataset: min(joined) for dataset, joined in merged.items()}


def _subset_codes(cases: pd.DataFrame) -> NDArray[np.int8]:
    if cases.empty:
        return np.empty((0, 1), np.int8)
    rows, distinct = pd.factorize(cases["subsets"].map(tuple))
    codes = [[ALL_SUBSETS.index(name) for name in subsets] for subsets in distinct.tolist()]
    return np.array(codes, np.int8)[rows]


def _codes(names: pd.Series[str]) -> Codes:
    return pd.factorize(names)[0].astype(np.int64)


def _pixel_hashes(table: pd.DataFrame, indexes: Mapping[str, pd.DataFrame]) -> pd.Series[str]:
    hashes = pd.Series(None, index=table.index, dtype="string")
    for dataset, index in indexes.items():
        own = table["dataset"] == dataset
        if own.any():
            known = table.loc[own, "item_id"].map(index_of_items(index)["pixel_hash"])
            hashes[own] = known.astype("string")
    return hashes


def _content_keys(table: pd.DataFrame, contents: Mapping[str, pd.Series[str]]) -> pd.Series[str]:
    keys = pd.Series(None, index=table.index, dtype="string")
    for dataset, known in contents.items():
        own = table["dataset"] == dataset
        if own.any():
            keys[own] = table.loc[own, "image_id"].map(known)
    return keys
