"""Where a score is cut: thresholds at a specificity, by Youden's index and by the geometric mean.

A case is called positive if its score reaches the threshold.

References
----------
Youden 1950, Cancer 3:32. Kubat and Matwin 1997, ICML:179 (geometric mean of sensitivity and
specificity).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.statistics.bootstrap_curves import (
    checked_specificity,
    negatives_needed,
    scores_above,
)
from mammoshift.statistics.inputs import FloatArray, checked_classes

Criterion = Literal["specificity", "youden", "g_mean"]
STEP_AT_ONE = (
    "the smallest threshold that reaches the specificity has a specificity of 1: ties or too few "
    "negatives leave no step in between"
)
NONE_REACHES = "no case has a score above the negatives that must be called negative"


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it does on the cases that it was chosen on.

    Attributes
    ----------
    value
        On the scale of the scores; a case is positive if its score is not below.
    criterion
        `specificity`, `youden` or `g_mean`.
    target
        The wanted specificity; None for the other criteria.
    sensitivity, specificity
        On the cases it was chosen on, in [0, 1]: the values of the step, not interpolated.
    n_pos, n_neg
        Those cases.
    note
        What a reader must know, such as a step specificity of 1; empty otherwise.
    """

    value: float
    criterion: Criterion
    target: float | None
    sensitivity: float
    specificity: float
    n_pos: int
    n_neg: int
    note: str = ""


def threshold_at_specificity(
    labels: ArrayLike, scores: ArrayLike, specificity: float = 0.95
) -> Threshold:
    """Return the smallest observed score that, as threshold, reaches a specificity.

    Parameters
    ----------
    labels
        [N], 0 or 1; both must occur.
    scores
        [N], finite. Candidates are the scores of all N cases. When none of them is high enough,
        the threshold lies just above the highest negative score and the sensitivity is 0.
    specificity
        In (0, 1].

    Raises
    ------
    StatisticsError
        If the input cannot be used, or a class is empty.
    """
    wanted = checked_specificity(specificity)
    positive, row = checked_classes(labels, scores, "operating point")
    negatives = np.sort(row[~positive])
    last = negatives[int(negatives_needed(negatives.size, wanted)) - 1]
    value = float(scores_above(np.sort(row), np.array([last]))[0])
    reached = float(np.mean(negatives < value))
    notes = [STEP_AT_ONE] if reached == 1.0 and wanted < 1.0 else []
    if not (row >= value).any():
        notes.append(NONE_REACHES)
    return _threshold(positive, row, value, "specificity", wanted, "; ".join(notes))


def youden_threshold(labels: ArrayLike, scores: ArrayLike) -> Threshold:
    """Return the threshold that maximises sensitivity + specificity - 1, the lowest on ties.

    Labels and scores are [N] as in `threshold_at_specificity`; give validation cases.
    """
    positive, row = checked_classes(labels, scores, "operating point")
    candidates, tp, tn = _counts_at_candidates(positive, row)
    n_pos = np.count_nonzero(positive)
    best = np.argmax(tp * (positive.size - n_pos) + tn * n_pos)
    return _threshold(positive, row, float(candidates[best]), "youden", None)


def g_mean_threshold(labels: ArrayLike, scores: ArrayLike) -> Threshold:
    """Return the threshold that maximises sqrt(sensitivity * specificity), the lowest on ties.

    Labels and scores are [N] as in `threshold_at_specificity`; give validation cases. This
    balances the two; it does not maximise sensitivity.
    """
    positive, row = checked_classes(labels, scores, "operating point")
    candidates, tp, tn = _counts_at_candidates(positive, row)
    return _threshold(positive, row, float(candidates[np.argmax(tp * tn)]), "g_mean", None)


def _threshold(
    positive: NDArray[np.bool_],
    scores: FloatArray,
    value: float,
    criterion: Criterion,
    target: float | None,
    note: str = "",
) -> Threshold:
    called = scores >= value
    n_pos = int(np.count_nonzero(positive))
    n_neg = positive.size - n_pos
    return Threshold(
        value,
        criterion,
        target,
        int(np.count_nonzero(called & positive)) / n_pos,
        int(np.count_nonzero(~called & ~positive)) / n_neg,
        n_pos,
        n_neg,
        note,
    )


def _counts_at_candidates(
    positive: NDArray[np.bool_], scores: FloatArray
) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct scores, ascending, and the true positives and negatives at each.

    The counts are whole numbers, so that equally good thresholds tie exactly.
    """
    candidates = np.unique(scores)
    positives, negatives = np.sort(scores[positive]), np.sort(scores[~positive])
    tp = positives.size - np.searchsorted(positives, candidates, side="left")
    tn = np.searchsorted(negatives, candidates, side="left")
    return candidates, tp.astype(np.int64), tn.astype(np.int64)
