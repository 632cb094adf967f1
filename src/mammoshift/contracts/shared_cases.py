"""Whether two sets of predictions hold the same cases or patients, by content, not by name.

Numbering cases from 1 is common, so the same identifier in two tables means little by itself.
A case is the same when identifier, label and score agree, and more of them agree than chance
would make agree (scores are often rounded); a whole set is the same when its labels and scores
are, whatever the identifiers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_BEYOND_CHANCE = 3.0


@dataclass(frozen=True)
class IdentifiedScores:
    """The scores of one curve, and who the cases are.

    Attributes
    ----------
    labels, scores
        [N].
    cases
        [N] hashes of the case identifiers.
    patients
        Hashes of the patient identifiers, each once; None where there are none.
    """

    labels: NDArray[np.int8]
    scores: NDArray[np.float64]
    cases: Keys
    patients: Keys | None


@dataclass(frozen=True)
class Overlap:
    """What two sets share.

    Attributes
    ----------
    cases
        Cases with the same identifier, label and score; 0 where chance explains them.
    same_content
        Whether labels and scores are the same altogether, in any order and by any name.
    patients
        Patient identifiers that occur in both.
    """

    cases: int
    same_content: bool
    patients: int


def overlap(first: IdentifiedScores, second: IdentifiedScores) -> Overlap:
    """Return what two sets of cases have in common."""
    i = j = np.zeros(0, dtype=np.intp)
    if _common(first.cases, second.cases):
        _, i, j = np.intersect1d(first.cases, second.cases, return_indices=True)
    same = (first.labels[i] == second.labels[j]) & (first.scores[i] == second.scores[j])
    count = int(np.count_nonzero(same))
    by_chance = i.size * _chance_of_agreement(first, second) if count else 0.0
    patients = 0
    if first.patients is not None and second.patients is not None:
        patients = _common(first.patients, second.patients)
    return Overlap(
        count if count > _BEYOND_CHANCE * (by_chance + 1.0) else 0,
        _same_content(first, second),
        patients,
    )


def _common(first: Keys, second: Keys) -> int:
    """Return how many of the first occur in the second; by hashing, which is faster than a sort."""
    return int(pd.Series(first).isin(second).sum())


def _same_content(first: IdentifiedScores, second: IdentifiedScores) -> bool:
    if first.scores.size != second.scores.size:
        return False
    if np.count_nonzero(first.labels) != np.count_nonzero(second.labels):
        return False
    sets = []
    for part in (first, second):
        order = np.lexsort((part.scores, part.labels))
        sets.append((part.labels[order], part.scores[order]))
    (labels, scores), (other_labels, other_scores) = sets
    # A handful of scores agree by chance, or because nothing but 0 and 1 was given.
    enough = np.unique(scores).size > 10
    return bool(enough and (labels == other_labels).all() and (scores == other_scores).all())


def _chance_of_agreement(first: IdentifiedScores, second: IdentifiedScores) -> float:
    """Return how often a random case of one has the label and score of a random other."""
    total = 0.0
    for label in (0, 1):
        values, counts = np.unique(first.scores[first.labels == label], return_counts=True)
        others, other_counts = np.unique(second.scores[second.labels == label], return_counts=True)
        _, i, j = np.intersect1d(values, others, assume_unique=True, return_indices=True)
        total += float(np.sum(counts[i] * other_counts[j].astype(np.float64)))
    return total / (first.scores.size * second.scores.size)
