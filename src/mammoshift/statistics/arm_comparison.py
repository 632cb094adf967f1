"""Every comparison of arms on one dataset: per seed, over the seeds, and jointly."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError
from mammoshift.statistics.arm_results import (
    ArmComparison,
    ArmMean,
    ArmPair,
    Curve,
    CurveAuc,
    SeedPair,
)
from mammoshift.statistics.auc import AucEstimate, auc_covariance
from mammoshift.statistics.comparisons import (
    DEGENERATE,
    IDENTICAL,
    ChiSquareTest,
    Combined,
    combined,
    omnibus,
    paired,
)
from mammoshift.statistics.curve_values import aucs, mean_of_arm, share_of_arm
from mammoshift.statistics.estimates import Flag
from mammoshift.statistics.intervals import IntervalMethod, auc_intervals
from mammoshift.statistics.multireader import (
    CROSSED,
    mean_over_seeds,
    obuchowski_rockette_crossed,
    obuchowski_rockette_nested,
)
from mammoshift.statistics.seeds import exact_fixed, seed_correlation, stouffer_naive, strube
from mammoshift.statistics.shares import Share


def compare_arms(
    labels: ArrayLike,
    scores: ArrayLike,
    curves: Sequence[Curve],
    clusters: ArrayLike | None = None,
    reference: str | None = None,
    level: float = 0.95,
    method: IntervalMethod = "auto",
) -> ArmComparison:
    """Compare arms on the same cases, sorting every curve once.

    Parameters
    ----------
    labels
        [N], 0 or 1.
    scores
        [K, N]; higher is more suspicious. The ensemble of an arm is the mean of its scores, so
        log-odds are best.
    curves
        The K curves as (arm, seed), each once.
    clusters
        [N] patients, or None when the cases are independent.
    reference
        Every other arm minus this one; by default all pairs, each arm minus the later ones.
    level
        Of the intervals.
    method
        How the intervals of single curves are made, see `auc_intervals`.

    Raises
    ------
    StatisticsError
        If a curve occurs twice or the reference is not among the arms.
    """
    positions = _positions(curves)
    pairs = arm_pairs(tuple(positions), reference)
    estimate = auc_covariance(labels, scores, clusters)
    if estimate.auc.size != len(curves):
        raise StatisticsError(f"{len(curves)} curves are named but {estimate.auc.size} are given")
    over_seeds: list[ArmPair] = []
    if pairs:
        ensembles = _ensembles(labels, scores, positions, clusters)
        order = {arm: i for i, arm in enumerate(positions)}
        for a, b in pairs:
            test = combined(
                "ensemble",
                paired(ensembles.auc, ensembles.covariance, order[a], order[b], level),
                "mean of the scores as given",
            )
            over_seeds.append(_arm_pair(estimate, a, b, positions, test, level))
    return ArmComparison(
        estimate,
        tuple(_arm_means(estimate, positions, level, method)),
        tuple(_curve_rows(estimate, curves, level, method)),
        tuple(
            SeedPair(
                a,
                b,
                seed,
                paired(
                    estimate.auc,
                    estimate.covariance,
                    positions[a][seed],
                    positions[b][seed],
                    level,
                ),
            )
            for a, b in pairs
            for seed in positions[a]
            if seed in positions[b]
        ),
        tuple(over_seeds),
        _omnibus(estimate, positions),
    )


def arm_pairs(arms: Sequence[str], reference: str | None = None) -> list[tuple[str, str]]:
    """Return the pairs to compare: all of them, or every other arm with the reference.

    Raises
    ------
    StatisticsError
        If the reference is not among the arms.
    """
    if reference is None:
        return list(itertools.combinations(arms, 2))
    if reference not in arms:
        raise StatisticsError(
            f"there is no arm {reference!r} to refer to; the arms are: {', '.join(arms)}"
        )
    return [(arm, reference) for arm in arms if arm != reference]


def _positions(curves: Sequence[Curve]) -> dict[str, dict[str | None, int]]:
    positions: dict[str, dict[str | None, int]] = {}
    for k, (arm, seed) in enumerate(curves):
        if seed in positions.setdefault(arm, {}):
            raise StatisticsError(f"arm {arm!r}, seed {seed!r}: the curve is given twice")
        positions[arm][seed] = k
    return positions


def _arm_means(
    estimate: AucEstimate,
    positions: dict[str, dict[str | None, int]],
    level: float,
    method: IntervalMethod,
) -> Iterator[ArmMean]:
    for arm, seeds in positions.items():
        yield arm_mean(estimate, arm, list(seeds.values()), level, method)


def arm_mean(
    estimate: AucEstimate,
    arm: str,
    curves: Sequence[int],
    level: float = 0.95,
    method: IntervalMethod = "auto",
) -> ArmMean:
    """Return the mean AUC of the arm whose seeds are the curves at these positions.

    The interval of an arm of one seed is made by `method`; with several seeds it is that of `auto`.
    """
    own = list(curves)
    if len(own) == 1:
        single = auc_intervals(estimate, level, method)
        limits = float(single.low[own[0]]), float(single.high[own[0]])
        se, note = float(estimate.se[own[0]]), estimate.notes[own[0]]
        return _arm_mean(estimate, arm, own, se, limits, single.method, note)
    test = mean_over_seeds(estimate.auc, estimate.covariance, own, level, estimate.parts)
    return _mean_of_seeds(estimate, arm, own, test, level, seeds_random=True)


def fixed_mean(
    estimate: AucEstimate, curves: Sequence[int], arm: str = "", level: float = 0.95
) -> ArmMean:
    """Return the mean AUC of some curves with an interval for these checkpoints alone."""
    values = aucs(estimate)
    test = mean_of_arm(values, curves, level, seeds_random=False)
    return _mean_of_seeds(estimate, arm, list(curves), test, level, seeds_random=False)


def _mean_of_seeds(
    estimate: AucEstimate,
    arm: str,
    own: list[int],
    test: Combined,
    level: float,
    seeds_random: bool,
) -> ArmMean:
    se = math.nan if test.se is None else test.se
    share = share_of_arm(aucs(estimate), own, seeds_random)
    limits = (math.nan, math.nan) if share is None else share.interval(level)
    if share is not None and all(Flag.CONSTANT_SCORES in estimate.flags[k] for k in own):
        limits = share.value, share.value
    flagged = _flags_of_a_mean([estimate.flags[k] for k in own], share)
    # That a mean has no variance is among the flags; the test's own words are about a difference.
    of_test = "" if test.note in (IDENTICAL, DEGENERATE) else test.note
    note = "; ".join(dict.fromkeys(filter(None, (of_test, *flagged))))
    return _arm_mean(estimate, arm, own, se, limits, f"{test.method}_score", note)


def _flags_of_a_mean(of_seeds: Sequence[tuple[Flag, ...]], share: Share | None) -> list[str]:
    """Return what is to be said of a mean, with the number of seeds where it is not of all."""
    said = []
    for flag in dict.fromkeys(flag for flags in of_seeds for flag in flags):
        count = sum(flag in flags for flags in of_seeds)
        if flag is Flag.FEW_MISTAKES:
            # The mean has limits of its own.
            if share is not None and share.few_mistakes:
                said.append(flag.value)
        else:
            said.append(
                flag if count == len(of_seeds) else f"{count} of {len(of_seeds)} seeds: {flag}"
            )
    return said


def _arm_mean(
    estimate: AucEstimate,
    arm: str,
    own: list[int],
    se: float,
    limits: tuple[float, float],
    method: str,
    note: str,
) -> ArmMean:
    values = estimate.auc[own]
    return ArmMean(
        arm,
        len(own),
        _or_none(float(values.mean())),
        _or_none(se),
        _or_none(limits[0]),
        _or_none(limits[1]),
        _or_none(float(values.std(ddof=1))) if len(own) > 1 else None,
        method,
        note,
    )


def _curve_rows(
    estimate: AucEstimate, curves: Sequence[Curve], level: float, method: IntervalMethod
) -> Iterator[CurveAuc]:
    logit = auc_intervals(estimate, level, method)
    wald = auc_intervals(estimate, level, "wald")
    for k, (arm, seed) in enumerate(curves):
        yield CurveAuc(
            arm=arm,
            seed=seed,
            auc=_or_none(estimate.auc[k]),
            se=_or_none(estimate.se[k]),
            ci_low=_or_none(logit.low[k]),
            ci_high=_or_none(logit.high[k]),
            wald_low=_or_none(wald.low[k]),
            wald_high=_or_none(wald.high[k]),
            interval=logit.method,
            n_pos=estimate.n_pos,
            n_neg=estimate.n_neg,
            n_clusters=estimate.n_clusters,
            note=estimate.notes[k],
        )


def _ensembles(
    labels: ArrayLike,
    scores: ArrayLike,
    positions: dict[str, dict[str | None, int]],
    clusters: ArrayLike | None,
) -> AucEstimate:
    matrix = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    means = np.stack([matrix[list(seeds.values())].mean(axis=0) for seeds in positions.values()])
    return auc_covariance(labels, means, clusters)


def _arm_pair(
    estimate: AucEstimate,
    a: str,
    b: str,
    positions: dict[str, dict[str | None, int]],
    ensemble: Combined,
    level: float,
) -> ArmPair:
    first, second = list(positions[a].values()), list(positions[b].values())
    shared = [seed for seed in positions[a] if seed in positions[b]]
    own = [positions[a][seed] for seed in shared], [positions[b][seed] for seed in shared]
    values, covariance = estimate.auc, estimate.covariance
    # With few patients of several images the normal distribution rejects 7 % of true nulls.
    few = estimate.few and estimate.n_clusters < estimate.n
    exact = exact_fixed(values, covariance, first, second, level, estimate.parts if few else ())
    correlation = seed_correlation(covariance, *own) if shared else None
    if max(len(first), len(second)) < 2:
        return ArmPair(a, b, (), exact, correlation)
    if shared:
        by_seed = [
            obuchowski_rockette_crossed(values, covariance, *own, level),
            strube(values, covariance, *own),
            stouffer_naive(values, covariance, *own),
        ]
        if len(shared) < max(len(first), len(second)):
            note = f"over the {len(shared)} seeds that both arms have"
            by_seed = [replace(t, note="; ".join(filter(None, (note, t.note)))) for t in by_seed]
    else:
        reason = "undefined: the arms share no seed"
        by_seed = [
            Combined(method, exact.estimate, None, None, math.inf, None, None, None, reason)
            for method in (CROSSED, "strube", "stouffer_naive")
        ]
    nested = obuchowski_rockette_nested(values, covariance, first, second, level, estimate.parts)
    crossed, corrected, naive = by_seed
    return ArmPair(a, b, (nested, crossed, exact, corrected, ensemble, naive), exact, correlation)


def _omnibus(
    estimate: AucEstimate, positions: dict[str, dict[str | None, int]]
) -> ChiSquareTest | None:
    if len(positions) < 3:
        return None
    means: NDArray[np.float64] = np.zeros((len(positions), estimate.auc.size))
    for row, seeds in enumerate(positions.values()):
        means[row, list(seeds.values())] = 1.0 / len(seeds)
    return omnibus(estimate.auc, estimate.covariance, means[1:] - means[0])


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
