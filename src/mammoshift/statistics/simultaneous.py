"""Intervals of several estimates that hold all at once, from their joint covariance.

The transfer drops of several arms to several targets share the source's patients, and those of
one arm its seeds. Their simultaneous intervals are therefore shorter than Bonferroni's: with
T_1, ..., T_R the standardised estimates, the level of each interval is raised until all of them
hold together in the wanted share of studies (max-t, Hothorn, Bretz and Westfall 2008, Biometrical
Journal 50:346). Where the estimates have degrees of freedom of their own, the common level is
found for the normal copula of their correlation and each uses its own t.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from mammoshift.errors import StatisticsError
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.proportions import checked_level
from mammoshift.statistics.transfer import Drops

DRAWS = 50_000


def simultaneous_level(
    covariance: FloatArray, rng: np.random.Generator, level: float = 0.95, draws: int = DRAWS
) -> float:
    """Return the level at which each of R intervals has to be made so that all hold at `level`.

    Parameters
    ----------
    covariance
        [R, R] of the estimates; those without a finite, positive variance do not count.
    rng
        Source of the draws; with 50 000 the level has a standard error of 0.0001.
    level
        Wanted for all together.

    Raises
    ------
    StatisticsError
        If no estimate has a variance.
    """
    wanted = checked_level(level)
    variance = np.diag(covariance)
    usable = np.flatnonzero(np.isfinite(variance) & (variance > 0.0))
    if not usable.size:
        raise StatisticsError("simultaneous intervals: no estimate has a variance")
    if usable.size == 1:
        return wanted
    C = covariance[np.ix_(usable, usable)]
    R = C / np.sqrt(np.outer(np.diag(C), np.diag(C)))
    roots, vectors = np.linalg.eigh((R + R.T) / 2.0)
    factor = vectors * np.sqrt(roots.clip(0.0))
    largest = np.abs(rng.normal(size=(draws, usable.size)) @ factor.T).max(axis=1)
    # The draws leave a level of fully correlated estimates on either side of the wanted one.
    return max(wanted, float(1.0 - 2.0 * ndtr(-np.quantile(largest, wanted))))


def covariance_of_drops(
    targets: Sequence[Drops],
    source_covariance: FloatArray,
    arms: Sequence[Sequence[int]],
    seeds_random: bool = True,
) -> FloatArray:
    """Return the covariance [T A, T A] of the mean drops of A arms to T targets, target by target.

    Parameters
    ----------
    targets
        The drops of the same curves to each target.
    source_covariance
        [K, K] of the curves at the source, which all drops share.
    arms
        Positions of each arm's seeds.
    seeds_random
        Whether the spread of an arm's seeds is added, with its covariance between targets.
    """
    T, A = len(targets), len(arms)
    weights = np.zeros((A, source_covariance.shape[0]))
    for a, curves in enumerate(arms):
        weights[a, list(curves)] = 1.0 / len(curves)
    shared = weights @ source_covariance @ weights.T
    joint = np.empty((T, A, T, A))
    for t, drops in enumerate(targets):
        for u in range(T):
            joint[t, :, u, :] = weights @ drops.covariance @ weights.T if t == u else shared
    if seeds_random:
        for a, curves in enumerate(arms):
            if len(curves) > 1:
                own = np.stack([drops.values[list(curves)] for drops in targets])
                joint[:, a, :, a] += np.atleast_2d(np.cov(own)) / len(curves)
    return joint.reshape(T * A, T * A)
