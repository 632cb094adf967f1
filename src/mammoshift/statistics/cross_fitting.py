"""Recalibration at the target itself: each patient is served by maps that never saw them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from mammoshift.errors import StatisticsError
from mammoshift.statistics.inputs import (
    FloatArray,
    IntArray,
    checked_cases,
    checked_classes,
    cluster_codes,
)


class Recalibration(Protocol):
    """A map of logits."""

    def apply(self, logits: ArrayLike) -> FloatArray:
        """Return the recalibrated logits, of the same shape."""
        ...


M = TypeVar("M", bound=Recalibration)


@dataclass(frozen=True)
class CrossFit(Generic[M]):
    """Logits recalibrated by maps that never saw the patient they are applied to.

    Attributes
    ----------
    logits
        [N], recalibrated.
    folds
        [N], the fold of each case, 0 .. K-1.
    maps
        The map applied to each fold, fitted on all other folds.
    """

    logits: FloatArray
    folds: IntArray
    maps: tuple[M, ...]


def cross_fit(
    logits: ArrayLike,
    labels: ArrayLike,
    fit: Callable[[ArrayLike, ArrayLike], M],
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    folds: int = 5,
) -> CrossFit[M]:
    """Recalibrate every case by a map fitted on the other folds' patients.

    Parameters
    ----------
    logits, labels
        [N].
    fit
        `fit_temperature`, `fit_platt` or a function like them.
    rng
        Draws the folds. Patients are dealt out in turn, those with a positive case first, so
        that the folds have nearly equal numbers of each.
    patients
        [N]; None treats every case as its own patient.
    folds
        K >= 2.

    Raises
    ------
    StatisticsError
        If there are fewer patients of a class than folds, or a fit fails; the fold is named.
    """
    positive, row = checked_classes(labels, logits, "cross-fitting")
    of = patient_folds(positive, rng, patients=patients, folds=folds)
    recalibrated = np.empty(row.size)
    maps = []
    for fold in range(folds):
        held_out = of == fold
        try:
            fitted = fit(row[~held_out], positive[~held_out])
        except StatisticsError as error:
            raise StatisticsError(f"cross-fitting, fold {fold + 1} of {folds}: {error}") from error
        recalibrated[held_out] = fitted.apply(row[held_out])
        maps.append(fitted)
    return CrossFit(recalibrated, of, tuple(maps))


def patient_folds(
    labels: ArrayLike,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    folds: int = 5,
) -> IntArray:
    """Return the fold [N] of each case: grouped by patient, stratified by the patient's class.

    Raises
    ------
    StatisticsError
        If `folds` is below 2, or fewer patients than `folds` have a positive, or a negative, case.
    """
    positive, _ = checked_cases(labels, np.zeros(np.shape(labels)))
    N = positive.size
    codes = np.arange(N, dtype=np.intp) if patients is None else cluster_codes(patients, N)
    if folds < 2:
        raise StatisticsError(f"cross-fitting needs at least 2 folds, not {folds}")
    size = int(codes.max()) + 1
    has_positive = np.bincount(codes[positive], minlength=size) > 0
    has_negative = np.bincount(codes[~positive], minlength=size) > 0
    for group, name in ((has_positive, "positive"), (has_negative, "negative")):
        if np.count_nonzero(group) < folds:
            raise StatisticsError(
                f"cross-fitting with {folds} folds needs {folds} patients with a {name} case; "
                f"there are {np.count_nonzero(group)}"
            )
    fold_of = np.empty(size, dtype=np.intp)
    dealt = np.concatenate(
        [
            rng.permutation(np.flatnonzero(group))
            for group in (has_positive & ~has_negative, has_positive & has_negative, ~has_positive)
        ]
    )
    fold_of[dealt] = np.arange(size) % folds
    return fold_of[codes]
