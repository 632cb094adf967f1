"""A summary of ROC curves beside its values: covariance, counts, and what limits it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mammoshift.statistics.inputs import FloatArray, IntArray
from mammoshift.statistics.shares import FEW_MISTAKES
from mammoshift.statistics.variance_parts import VariancePart

FEW_CASES = 20
FEW_CLUSTERS = 20
FEW = (
    "limits of an AUC and of its loss rest in part on what is assumed beforehand (they cover 93 to "
    "99 % where they claim 95)"
)
NARROW = "the limits may be too narrow"


class Flag(StrEnum):
    """What a reader must know of an estimate; the value is the text that goes into a `note`."""

    NO_POSITIVE = "undefined: there is no positive case"
    NO_NEGATIVE = "undefined: there is no negative case"
    ONE_POSITIVE = "variance undefined: there is only one positive case"
    ONE_NEGATIVE = "variance undefined: there is only one negative case"
    ONE_POSITIVE_CLUSTER = "variance undefined: all positives belong to one patient"
    ONE_NEGATIVE_CLUSTER = "variance undefined: all negatives belong to one patient"
    CONSTANT_SCORES = "degenerate: all scores are equal"
    PERFECT_SEPARATION = (
        "degenerate: the classes are separated perfectly, so the variance estimate is zero"
    )
    ZERO_VARIANCE = "degenerate: the variance estimate is zero"
    FEW_CASES_NARROW = f"fewer than {FEW_CASES} cases of one class: {NARROW}"
    FEW_CLUSTERS_NARROW = f"fewer than {FEW_CLUSTERS} patients of one class: {NARROW}"
    FEW_CASES = f"fewer than {FEW_CASES} cases of one class: {FEW}"
    FEW_CLUSTERS = f"fewer than {FEW_CLUSTERS} patients of one class: {FEW}"
    FEW_MISTAKES = FEW_MISTAKES


@dataclass(frozen=True, kw_only=True)
class CurveEstimates:
    """What is known of a summary of K curves on the same cases beside its values.

    Attributes
    ----------
    covariance
        [K, K]; all NaN when the variance is undefined (which depends on the labels and clusters
        alone, so it holds for every curve or for none).
    n, n_pos, n_neg
        Cases.
    n_clusters
        Patients; equal to `n` when no clusters were given.
    patients_pos, patients_neg
        Patients with a positive, and with a negative case.
    independence_assumed
        True when no clusters were given, so that every case counts as its own patient.
    flags
        For each curve what limits its estimate; empty where nothing does.
    parts
        The covariance as a sum of independent parts with their degrees of freedom; empty when it
        is undefined.
    """

    covariance: FloatArray
    n: int
    n_pos: int
    n_neg: int
    n_clusters: int
    patients_pos: int
    patients_neg: int
    independence_assumed: bool
    flags: tuple[tuple[Flag, ...], ...]
    parts: tuple[VariancePart, ...] = ()

    @property
    def se(self) -> FloatArray:
        """Standard errors, [K]; NaN where undefined."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def few(self) -> bool:
        """Whether one class has few patients."""
        return min(self.patients_pos, self.patients_neg) < FEW_CLUSTERS

    @property
    def notes(self) -> tuple[str, ...]:
        """The flags of each curve as one text, empty where there are none."""
        return tuple("; ".join(flags) for flags in self.flags)


def describe_curves(
    values: FloatArray,
    covariance: FloatArray,
    constant: NDArray[np.bool_],
    positive: NDArray[np.bool_],
    codes: IntArray | None,
    parts: tuple[VariancePart, ...] = (),
    *,
    has_share: bool = False,
) -> CurveEstimates:
    """Return what is to be known of a summary of K curves beside its values.

    Parameters
    ----------
    values, covariance
        [K] and [K, K]; NaN where undefined.
    constant
        [K], true where all scores of a curve are equal.
    positive, codes
        [N] labels, and patients as `cluster_codes` numbers them or None.
    has_share
        Whether the limits are those of `shares`, which hold with few patients too.
    """
    n_pos = int(np.count_nonzero(positive))
    undefined = undefined_flags(positive, codes)
    warnings = () if undefined else size_warnings(positive, codes, has_share)
    sides = (
        [n_pos, positive.size - n_pos]
        if codes is None
        else [int(np.count_nonzero(np.bincount(codes[side]))) for side in (positive, ~positive)]
    )
    own = map(degenerate_flags, values, np.diag(covariance), constant.tolist())
    return CurveEstimates(
        covariance=covariance,
        n=positive.size,
        n_pos=n_pos,
        n_neg=positive.size - n_pos,
        n_clusters=positive.size if codes is None else int(codes.max(initial=-1)) + 1,
        patients_pos=sides[0],
        patients_neg=sides[1],
        independence_assumed=codes is None,
        flags=tuple((*undefined, *flags, *warnings) for flags in own),
        parts=parts,
    )


def undefined_flags(positive: NDArray[np.bool_], codes: IntArray | None) -> tuple[Flag, ...]:
    """Return why the variance, or the estimate itself, cannot be computed from these cases."""
    flags = []
    for chosen, none, one, one_cluster in (
        (positive, Flag.NO_POSITIVE, Flag.ONE_POSITIVE, Flag.ONE_POSITIVE_CLUSTER),
        (~positive, Flag.NO_NEGATIVE, Flag.ONE_NEGATIVE, Flag.ONE_NEGATIVE_CLUSTER),
    ):
        count = int(np.count_nonzero(chosen))
        if count == 0:
            flags.append(none)
        elif count == 1:
            flags.append(one)
        elif codes is not None and np.ptp(codes[chosen]) == 0:
            flags.append(one_cluster)
    return tuple(flags)


def size_warnings(
    positive: NDArray[np.bool_], codes: IntArray | None, has_share: bool
) -> tuple[Flag, ...]:
    """Return the flag of a class with few patients, or with few cases where these are unknown."""
    if codes is None:
        few = min(np.count_nonzero(positive), np.count_nonzero(~positive)) < FEW_CASES
        flag = Flag.FEW_CASES if has_share else Flag.FEW_CASES_NARROW
    else:
        counts = (np.count_nonzero(np.bincount(codes[chosen])) for chosen in (positive, ~positive))
        few = min(counts) < FEW_CLUSTERS
        flag = Flag.FEW_CLUSTERS if has_share else Flag.FEW_CLUSTERS_NARROW
    return (flag,) if few else ()


def degenerate_flags(value: float, variance: float, constant: bool) -> tuple[Flag, ...]:
    """Return the flag of an area in [0, 1] whose variance estimate is exactly zero, if it is."""
    if constant:
        return (Flag.CONSTANT_SCORES,)
    if variance == 0.0:
        perfect = value in (0.0, 1.0)
        return (Flag.PERFECT_SEPARATION if perfect else Flag.ZERO_VARIANCE,)
    return ()
