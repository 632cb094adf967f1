"""What every statistic is given: labels, scores and patients, checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


def checked_cases(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return the labels as booleans [N] and the scores as float64 [K, N], or raise.

    Raises
    ------
    StatisticsError
        If shapes differ, a label is neither 0 nor 1, or a score is not finite.
    """
    given = np.asarray(labels)
    try:
        matrix = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise StatisticsError("scores: every score must be a number") from error
    if given.ndim != 1 or matrix.ndim != 2 or matrix.shape[1] != given.size:
        raise StatisticsError(
            f"labels of shape {given.shape} and scores of shape {np.shape(scores)} do not fit: "
            "labels are [N] and scores [K, N]"
        )
    if matrix.shape[0] == 0:
        raise StatisticsError("scores: there is no curve")
    positive = given == 1
    wrong = np.flatnonzero(~(positive | (given == 0)))
    if wrong.size:
        raise StatisticsError(f"labels: case {wrong[0]} (from 0) is neither 0 nor 1")
    finite = np.isfinite(matrix)
    if not finite.all():
        curve, case = np.argwhere(~finite)[0]
        raise StatisticsError(f"scores: curve {curve}, case {case} (from 0) is not a finite number")
    return np.asarray(positive, dtype=bool), matrix


def checked_curve(
    labels: ArrayLike, scores: ArrayLike, what: str
) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return the labels [N] and the scores [N] of one arm, at least one case, or raise.

    `what` is what they are for, with which messages begin.
    """
    positive, matrix = checked_cases(labels, scores)
    if matrix.shape[0] != 1:
        raise StatisticsError(f"{what}: scores of one arm are expected, not of {len(matrix)}")
    if not positive.size:
        raise StatisticsError(f"{what}: there is no case")
    return positive, matrix[0]


def checked_classes(
    labels: ArrayLike, scores: ArrayLike, what: str
) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return the labels [N] and the scores [N] of one arm, both classes among them, or raise."""
    positive, row = checked_curve(labels, scores, what)
    for present, name in ((positive.any(), "positive"), ((~positive).any(), "negative")):
        if not present:
            raise StatisticsError(f"{what}: there is no {name} case among {positive.size}")
    return positive, row


def cluster_codes(clusters: ArrayLike, size: int) -> IntArray:
    """Return the clusters of `size` cases numbered 0, 1, 2, ...

    Raises
    ------
    StatisticsError
        If there is not one cluster for each case, or one is missing (None, NaN or empty text).
    """
    given = np.asarray(clusters)
    if given.shape != (size,):
        raise StatisticsError(f"clusters have shape {given.shape}, expected ({size},)")
    if given.dtype.kind == "O":
        missing = np.array([value is None or value != value or value == "" for value in given])
        given = given.astype(str)
    elif given.dtype.kind == "f":
        missing = np.isnan(given)
    else:
        missing = given == "" if given.dtype.kind in "UT" else np.zeros(size, dtype=bool)
    if missing.any():
        raise StatisticsError(
            f"clusters: case {np.flatnonzero(missing)[0]} (from 0) has no cluster; give every "
            "case its patient, or no clusters at all to assume independent cases"
        )
    if given.dtype.kind in "iu" and size:
        low, high = int(given.min()), int(given.max())
        if high - low < 4 * size and high <= np.iinfo(np.intp).max:
            # Whole numbers without wide gaps are numbered by counting, without a sort.
            shifted = given.astype(np.intp) - low
            return (np.cumsum(np.bincount(shifted) > 0) - 1)[shifted]
    return np.unique(given, return_inverse=True)[1].astype(np.intp, copy=False)
