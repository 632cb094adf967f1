"""Adjusted p-values within a declared family of tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import false_discovery_control

from mammoshift.errors import StatisticsError

Correction = Literal["bh", "by", "holm", "none"]
CORRECTIONS: tuple[Correction, ...] = ("bh", "by", "holm", "none")


@dataclass(frozen=True)
class Adjusted:
    """Adjusted p-values in the order given, None where there was none.

    `family_size` is the number of tests that were adjusted together: cells without a p-value do
    not count, so a family that shrinks is seen.
    """

    p: tuple[float | None, ...]
    family_size: int
    method: Correction


def adjust(p_values: Sequence[float | None], method: Correction = "bh") -> Adjusted:
    """Adjust the p-values of one family.

    Parameters
    ----------
    p_values
        In [0, 1]; None or NaN for a test that could not be made.
    method
        `bh` Benjamini and Hochberg 1995 (false discovery rate, independent or positively
        dependent tests), `by` Benjamini and Yekutieli 2001 (any dependence), `holm` Holm 1979
        (family-wise error), `none`.

    Raises
    ------
    StatisticsError
        If a p-value lies outside [0, 1] or the method is unknown.
    """
    if method not in CORRECTIONS:
        raise StatisticsError(f"correction {method!r}: allowed are {', '.join(CORRECTIONS)}")
    known = [i for i, p in enumerate(p_values) if p is not None and not math.isnan(p)]
    given = np.array([p_values[i] for i in known], dtype=np.float64)
    if np.any((given < 0.0) | (given > 1.0)):
        raise StatisticsError("a p-value lies outside [0, 1]")
    if method == "none" or not known:
        adjusted = given
    elif method == "holm":
        adjusted = _holm(given)
    else:
        adjusted = false_discovery_control(given, method=method)
    result: list[float | None] = [None] * len(p_values)
    for i, value in zip(known, adjusted, strict=True):
        result[i] = float(value)
    return Adjusted(tuple(result), len(known), method)


def rejection_limit(adjusted: Adjusted, level: float) -> float:
    """Return the p-value below which a test of this family is rejected.

    A test's adjusted p-value is below `level` exactly when its own is below this limit, so that an
    interval that leaves out the limit says the same as the adjusted test. For `bh` it is k level
    / m with k of m rejected (1 where none is), which is also what intervals of selected estimates
    need (Benjamini and Yekutieli 2005, Journal of the American Statistical Association 100:71).

    Parameters
    ----------
    adjusted
        Of `adjust`.
    level
        Of the family, in (0, 1).
    """
    known = [p for p in adjusted.p if p is not None]
    m, rejected = len(known), sum(p < level for p in known)
    if not m or adjusted.method == "none":
        return level
    if adjusted.method == "holm":
        return level / max(m - rejected, 1)
    steps = sum(1.0 / i for i in range(1, m + 1)) if adjusted.method == "by" else 1.0
    return level * max(rejected, 1) / (m * steps)


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
