"""Patients to train, validation and test: grouped, stratified, and stable as archives grow.

Within a stratum (label and density of the patient) patients are ordered by a hash of the seed
and their identifier; the first take the test places, the next those of validation, the rest
trains. A patient's rank does not depend on anybody else, so that a new patient moves no more
than the patients at the borders between the subsets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.contracts.split import SUBSETS
from mammoshift.errors import ConfigurationError, TableError

Method = Literal["patient_stratified", "official"]

_HASH_ORDER = ("test", "validation", "train")
_UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class PatientSplit:
    """A split and what has to be said about it.

    Attributes
    ----------
    split
        Columns of `mammoshift.contracts.split.SPLIT_SCHEMA`, sorted by `image_id`; only images
        that have a label.
    images_without_patient
        Images whose patient the archive does not name. Each is a group of its own, so that two
        of one patient may be in different subsets.
    patients_moved_to_train
        Patients that an archive's official split has in both of its parts.
    """

    split: pd.DataFrame
    images_without_patient: tuple[str, ...]
    patients_moved_to_train: tuple[str, ...]


def split_patients(
    manifest: pd.DataFrame,
    labels: pd.Series[int],
    shares: Mapping[str, float],
    seed: int,
    *,
    stratify_by: Sequence[str] = ("label", "density"),
    method: Method = "patient_stratified",
) -> PatientSplit:
    """Assign every patient to a subset.

    Parameters
    ----------
    manifest
        A manifest of one dataset.
    labels
        Label of each of its images, same index; images with a null label are left out.
    shares
        Share of the patients for `train`, `validation` and `test`; they sum to one. A subset
        whose share is zero stays empty.
    seed
        Another seed is another split.
    stratify_by
        `label` (the patient's highest) and columns of the manifest (the patient's highest value
        in sort order, null counting as unknown). The first one keeps its shares to within one
        patient; the others as closely as their numbers allow.
    method
        `patient_stratified`, or `official`: the archive's own test patients are the test subset,
        its other patients are divided into train and validation in the proportion of their
        shares, and patients that are in both parts train.

    Returns
    -------
    PatientSplit
        The same for any order of the rows.

    Raises
    ------
    ConfigurationError
        If the shares are not three that sum to one, or a subset gets no positive or no negative
        image.
    TableError
        If `official` is asked of an archive that does not give a part for every patient.
    """
    _check_shares(shares)
    labelled = manifest.assign(label=labels)[labels.notna().to_numpy()].sort_values("image_id")
    known = labelled["patient_id"].notna()
    keys = ("patient " + labelled["patient_id"].astype("string")).where(
        known, "image " + labelled["image_id"].astype("string")
    )
    patients = _patients(labelled, keys, stratify_by)

    moved: tuple[str, ...] = ()
    if method == "official":
        official = _official_parts(labelled, keys)
        moved = tuple(
            sorted(key.removeprefix("patient ") for key in official.index[official == ""])
        )
        in_test = patients.index.isin(official.index[official == "test"])
        free = ~in_test & patients.index.isin(official.index[official == "train"])
        subsets = pd.Series("train", index=patients.index)
        subsets[in_test] = "test"
        rest = shares["train"] + shares["validation"]
        of_train = {name: shares[name] / rest for name in ("train", "validation")}
        subsets[free] = _assign(patients[free], {**of_train, "test": 0.0}, seed)
    else:
        subsets = _assign(patients, shares, seed)

    split = pd.DataFrame(
        {
            "image_id": labelled["image_id"].to_numpy(),
            "patient_id": labelled["patient_id"].to_numpy(),
            "label": labelled["label"].to_numpy(dtype=np.int8),
            "subset": keys.map(subsets).to_numpy(),
        }
    )
    _check_subsets(split, shares)
    return PatientSplit(split, tuple(labelled["image_id"][~known]), moved)


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


def _check_shares(shares: Mapping[str, float]) -> None:
    if set(shares) != set(SUBSETS) or min(shares.values()) < 0.0:
        raise ConfigurationError(f"shares: give a share of 0 or more for each of {SUBSETS}")
    if abs(sum(shares.values()) - 1.0) > 1e-6:
        raise ConfigurationError(f"shares: they sum to {sum(shares.values()):g}, not to 1")
    if shares["train"] == 0.0:
        raise ConfigurationError("shares: the share of train is zero")


def _patients(
    labelled: pd.DataFrame, keys: pd.Series[str], stratify_by: Sequence[str]
) -> pd.DataFrame:
    """Return one row for each group: its strata as text, highest value of its images."""
    unknown = [name for name in stratify_by if name not in labelled.columns]
    if unknown:
        raise ConfigurationError(f"stratify_by: the manifest has no column {unknown[0]}")
    strata = labelled[list(stratify_by)].astype("string").fillna(_UNKNOWN)
    return strata.groupby(keys.to_numpy(), sort=True).max()


def _assign(patients: pd.DataFrame, shares: Mapping[str, float], seed: int) -> pd.Series[str]:
    """Return the subset of each patient.

    What rounding leaves over in one stratum is carried to the next stratum of the same first
    variable (the label), so that many small strata do not add up to wrong shares.
    """
    ideal_shares = np.array([shares[name] for name in _HASH_ORDER])
    ranks = np.array([_rank(key, seed) for key in patients.index], dtype=np.uint64)
    strata: dict[tuple[str, ...], list[int]] = {}
    for position, stratum in enumerate(patients.itertuples(index=False, name=None)):
        strata.setdefault(stratum, []).append(position)
    subsets = np.full(len(patients), "train", dtype=object)
    carried: dict[tuple[str, ...], NDArray[np.float64]] = {}
    for stratum in sorted(strata):
        members = np.array(strata[stratum])
        members = members[np.lexsort((members, ranks[members]))]
        ideal = ideal_shares * len(members) + carried.get(stratum[:1], np.zeros(3))
        counts = largest_remainder(ideal, len(members))
        carried[stratum[:1]] = ideal - counts
        subsets[members] = np.repeat(np.array(_HASH_ORDER, dtype=object), counts)
    return pd.Series(subsets.tolist(), index=patients.index, dtype="str")


def _rank(key: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed} {key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _official_parts(labelled: pd.DataFrame, keys: pd.Series[str]) -> pd.Series[str]:
    """Return `train`, `test`, or empty text for a patient who is in both."""
    parts = labelled["official_split"]
    wrong = parts.notna() & ~parts.isin(["train", "test"])
    if wrong.any():
        image = labelled.loc[wrong, "image_id"].iloc[0]
        raise TableError(f"image {image}: official_split must be train, test or null")
    has_test = parts.eq("test").fillna(False).groupby(keys.to_numpy()).any()
    has_train = parts.eq("train").fillna(False).groupby(keys.to_numpy()).any()
    lost = has_test.index[~(has_test | has_train)]
    if len(lost):
        raise TableError(
            f"{lost[0]}: the archive gives no official split; use the split patient_stratified"
        )
    both = has_test & has_train
    return has_test.map({True: "test", False: "train"}).where(~both, "")


def _check_subsets(split: pd.DataFrame, shares: Mapping[str, float]) -> None:
    for name in SUBSETS:
        present = set(split.loc[split["subset"] == name, "label"])
        for label, word in ((1, "positive"), (0, "negative")):
            if shares[name] > 0.0 and label not in present:
                raise ConfigurationError(
                    f"shares: the subset {name} has no {word} image; "
                    "give it a larger share or use another task or dataset"
                )
