"""Whether the decisions of two classifiers on the same cases are right equally often.

References
----------
McNemar 1947, Psychometrika 12:153; Fagerland, Lydersen and Laake 2013, BMC Medical Research
Methodology 13:91 (mid-p version); Obuchowski 1998, Statistics in Medicine 17:1495 (clustered).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, gammaln

from mammoshift.errors import StatisticsError
from mammoshift.statistics.distributions import two_sided_p
from mammoshift.statistics.inputs import cluster_codes


@dataclass(frozen=True)
class McNemar:
    """Paired comparison of the decisions of two classifiers.

    Attributes
    ----------
    only_first, only_second
        Cases that just the one or the other got right.
    difference
        Accuracy of the first minus that of the second.
    p_exact, p_mid
        The exact conditional test and its less conservative mid-p version; both None with
        clusters.
    p_clustered
        Normal test with the variance over clusters; None without clusters.
    """

    only_first: int
    only_second: int
    difference: float
    p_exact: float | None
    p_mid: float | None
    p_clustered: float | None


def mcnemar(
    first_correct: ArrayLike, second_correct: ArrayLike, clusters: ArrayLike | None = None
) -> McNemar:
    """Compare two classifiers' decisions on the same cases at fixed thresholds.

    Parameters
    ----------
    first_correct, second_correct
        [N] booleans: was the decision right? Restrict both to the positives to compare
        sensitivities, to the negatives to compare specificities.
    clusters
        [N] patients, when several cases belong to one patient; then the discordant cases are
        summed within patients and z = sum d / sqrt(sum d^2).

    Raises
    ------
    StatisticsError
        If the two have different lengths or no case.
    """
    first, second = (np.asarray(x, dtype=bool) for x in (first_correct, second_correct))
    if first.shape != second.shape or first.ndim != 1 or first.size == 0:
        raise StatisticsError(
            f"decisions of shapes {first.shape} and {second.shape}: both must be [N], N > 0"
        )
    b = int(np.count_nonzero(first & ~second))
    c = int(np.count_nonzero(second & ~first))
    difference = (b - c) / first.size
    if clusters is None:
        exact, mid = _conditional_p(b, c)
        return McNemar(b, c, difference, exact, mid, None)
    codes = cluster_codes(clusters, first.size)
    sums = np.bincount(codes, weights=first.astype(float) - second.astype(float))
    spread = float(sums @ sums)
    p = two_sided_p(float(sums.sum()) / math.sqrt(spread)) if spread else 1.0
    return McNemar(b, c, difference, None, None, p)


def _conditional_p(b: int, c: int) -> tuple[float, float]:
    n, least = b + c, min(b, c)
    if n == 0:
        return 1.0, 1.0
    tail = 2.0 * float(bdtr(least, n, 0.5))
    log_point = gammaln(n + 1) - gammaln(least + 1) - gammaln(n - least + 1) - n * math.log(2.0)
    return min(1.0, tail), min(1.0, tail - math.exp(float(log_point)))
