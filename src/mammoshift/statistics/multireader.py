"""Comparing architectures with training seeds as random readers (Obuchowski and Rockette).

An AUC of arm i and seed j varies because the patients were sampled and because the seed was:
AUC_ij = mu_i + seed effect + patient effect, and the patient effects of all curves are correlated
since the patients are the same. The analysis of variance estimates the seed part from the spread
of the AUCs, and the patient part from the covariance C of the curves:

    Cov2  mean covariance of two seeds of the same arm
    Cov3  mean covariance of two seeds of different arms (crossed: of different seeds)

`nested`: every arm has seeds of its own (the usual case: seed 1 of one architecture has nothing
in common with seed 1 of another), and seeds of its own variance. `crossed`: the seed means the
same for both arms, as a reader does, for example the same order of the data and the same
augmentation. `mean_over_seeds` is one arm by itself.

Everything holds for any value of a curve whose covariance over patients is known: an AUC, a
sensitivity, or what the checkpoint loses from one dataset to another (`transfer`).

References
----------
Obuchowski and Rockette 1995, Communications in Statistics 24:285.
Hillis 2007, Statistics in Medicine 26:596 (denominator and its degrees of freedom).
Hillis, Obuchowski, Schartz and Berbaum 2005, Statistics in Medicine 24:1579.
Satterthwaite 1946, Biometrics Bulletin 2:110; Welch 1938, Biometrika 29:350 (unequal variances).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mammoshift.errors import StatisticsError
from mammoshift.statistics.comparisons import UNDEFINED, Combined, combined, difference_test
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.shares import NO_SEED_VARIANCE, cautious_factor
from mammoshift.statistics.variance_parts import VariancePart, degrees_of_freedom

NESTED = "obuchowski_rockette_nested"
CROSSED = "obuchowski_rockette_crossed"
MEAN = "seeds_random"
TOO_FEW = "undefined: seeds as random need two seeds of each arm at least"
TOO_FEW_OF_ONE = "undefined: seeds as random need two seeds at least"
TWO_SEEDS = "two seeds only: a test at 5 % may reject up to 11 % of true nulls; train three"
THREE_SEEDS = (
    "three seeds: differences of arms are on the cautious side, a test at 5 % rejects 3 to 6 % of "
    "true nulls"
)
UNEQUAL_SEEDS = "the arms have {} seeds; each has a seed variance of its own"


def obuchowski_rockette_nested(
    values: FloatArray,
    covariance: FloatArray,
    first: Sequence[int],
    second: Sequence[int],
    level: float = 0.95,
    parts: Sequence[VariancePart] = (),
) -> Combined:
    """Test two arms' mean value with seeds random and nested in the arm.

    With S and S' seeds, whose values have the variances s^2 and s'^2,

        Var = s^2 / S + s'^2 / S' + P,   P = max(Cov2 + Cov2' - 2 Cov3, 0)
        df  = (v + v' + P)^2 / (v^2 / (S - 1) + v'^2 / (S' - 1) + P^2 / df of the patients)
        v   = (S + 1) / (S - 1) s^2 / S

    and df at least the smaller of S - 1 and S' - 1. For S = S' the variance is that of Obuchowski
    and Rockette. The degrees of freedom are Satterthwaite's, since one architecture may vary more
    from seed to seed than another, with v instead of s^2 / S: where two or three seeds happen to
    agree, the plain formula trusts them (it rejects 7.5 % of true nulls with three seeds, this one
    6.4 % at most). With two seeds of an arm up to 11 % are rejected, and the note says so.

    Parameters
    ----------
    values, covariance
        [K] and [K, K], such as those of `AucEstimate`.
    first, second
        Positions of the two arms' curves; the arms may have different numbers of seeds.
    level
        Of the interval.
    parts
        Of the estimate, for the degrees of freedom of the patients; without them infinite.
    """
    return nested_contrast(values, covariance, (first, second), (1.0, -1.0), level, parts)


def nested_contrast(
    values: FloatArray,
    covariance: FloatArray,
    arms: Sequence[Sequence[int]],
    coefficients: Sequence[float],
    level: float = 0.95,
    parts: Sequence[VariancePart] = (),
) -> Combined:
    """Test a contrast of several arms' mean values with seeds random and nested in the arm.

    `obuchowski_rockette_nested` is the contrast (1, -1) of two arms, and has its other parameters.
    With coefficients c_i, P is the sum of c_i c_j times the mean covariance of two curves of the
    arms i and j, and s_i^2 / S_i counts c_i^2 times.

    Parameters
    ----------
    arms
        Positions of each arm's curves.
    coefficients
        One for each arm.
    """
    sizes = [len(own) for own in arms]
    if min(sizes) < 2:
        return _too_few(NESTED, values, arms, coefficients)
    weights = mean_weights(values.size, arms, coefficients)
    used = [k for own in arms for k in own]
    means = [float(values[list(own)].mean()) for own in arms]
    seeds = [
        (c**2 * float(values[list(own)].var(ddof=1)) / len(own), len(own) - 1.0)
        for own, c in zip(arms, coefficients, strict=True)
    ]
    patients = 0.0
    for i, (one, c) in enumerate(zip(arms, coefficients, strict=True)):
        patients += c * c * _mean_off_diagonal(covariance, one)
        for other, d in zip(arms[:i], coefficients[:i], strict=True):
            patients += 2.0 * c * d * float(covariance[np.ix_(list(one), list(other))].mean())
    test = _finish(
        NESTED,
        float(np.dot(coefficients, means)),
        seeds,
        patients,
        degrees_of_freedom(parts, weights),
        float(np.abs(covariance[np.ix_(used, used)]).max()),
        level,
    )
    different = dict.fromkeys(map(str, sizes))
    unequal = UNEQUAL_SEEDS.format(" and ".join(different)) if len(different) > 1 else ""
    seeds_note = {2: TWO_SEEDS, 3: THREE_SEEDS}.get(min(sizes), "")
    return replace(test, note="; ".join(filter(None, (unequal, seeds_note, test.note))))


def mean_weights(
    size: int, arms: Sequence[Sequence[int]], coefficients: Sequence[float]
) -> FloatArray:
    """Return the weights [size] of a contrast of the means of some arms' curves."""
    weights = np.zeros(size)
    for own, coefficient in zip(arms, coefficients, strict=True):
        np.add.at(weights, list(own), coefficient / len(own))
    return weights


def mean_over_seeds(
    values: FloatArray,
    covariance: FloatArray,
    curves: Sequence[int],
    level: float = 0.95,
    parts: Sequence[VariancePart] = (),
) -> Combined:
    """Estimate the mean value of one arm over all seeds that it might have had.

    Var = s^2 / S + max(Cov2, 0), with the degrees of freedom of `obuchowski_rockette_nested`, whose
    parameters these are; the test is against zero.
    """
    own = values[list(curves)]
    if own.size < 2 or not np.isfinite(own).all():
        known = own.size and np.isfinite(own).all()
        mean = float(own.mean()) if known else None
        note = TOO_FEW_OF_ONE if known else UNDEFINED
        return Combined(MEAN, mean, None, None, math.inf, None, None, None, note)
    weights = np.zeros(values.shape)
    np.add.at(weights, list(curves), 1.0 / own.size)
    test = _finish(
        MEAN,
        float(own.mean()),
        [(float(own.var(ddof=1)) / own.size, own.size - 1.0)],
        _mean_off_diagonal(covariance, curves),
        degrees_of_freedom(parts, weights),
        float(np.abs(covariance[np.ix_(list(curves), list(curves))]).max()),
        level,
    )
    note = TWO_SEEDS if own.size == 2 else ""
    return replace(test, note="; ".join(filter(None, (note, test.note))))


def obuchowski_rockette_crossed(
    values: FloatArray,
    covariance: FloatArray,
    first: Sequence[int],
    second: Sequence[int],
    level: float = 0.95,
) -> Combined:
    """Test two arms' mean AUC with seeds random and shared by both arms.

    MS is the mean square of arm by seed, half the variance of the paired differences, and
    df = den^2 / (MS^2 / (S - 1)) (Hillis 2007). With human readers for seeds and modalities for
    arms this is the usual multi-reader multi-case analysis, and t^2 its F.

    Parameters
    ----------
    values, covariance
        [K] and [K, K], of `AucEstimate`.
    first, second
        Positions of the two arms' curves, seed by seed in the same order.
    level
        Of the interval.

    Raises
    ------
    StatisticsError
        If the arms have different numbers of seeds.
    """
    S = len(first)
    if len(second) != S:
        raise StatisticsError(
            f"{S} and {len(second)} seeds cannot be crossed: give the same seeds of both arms"
        )
    if S < 2:
        return _too_few(CROSSED, values, (first, second), (1.0, -1.0))
    d = values[list(first)] - values[list(second)]
    block = covariance[np.ix_(list(first), list(second))]
    other_seed = ~np.eye(S, dtype=bool)
    within = sum(_mean_off_diagonal(covariance, indices) for indices in (first, second))
    return _finish(
        CROSSED,
        float(d.mean()),
        [(float(d.var(ddof=1)) / S, S - 1.0)],
        within - 2.0 * float(block[other_seed].mean()),
        math.inf,
        float(np.abs(covariance[np.ix_([*first, *second], [*first, *second])]).max()),
        level,
        cautious=False,
    )


def _finish(
    method: str,
    estimate: float,
    seed_parts: Sequence[tuple[float, float]],
    patient_part: float,
    patient_df: float,
    scale: float,
    level: float,
    cautious: bool = True,
) -> Combined:
    """Test `estimate` with the sum of its variances: those of seeds, each with its df, and P."""
    patients = max(patient_part, 0.0)
    variance = sum(part for part, _ in seed_parts) + patients
    df = math.inf
    varying = [(part, own) for part, own in seed_parts if part > NO_SEED_VARIANCE]
    if math.isfinite(variance) and (varying or math.isfinite(patient_df)):
        scaled = [
            (part * cautious_factor(own + 1.0) if cautious else part, own) for part, own in varying
        ]
        spread = sum(part**2 / own for part, own in scaled) + patients**2 / patient_df
        if spread > 0.0:
            df = (sum(part for part, _ in scaled) + patients) ** 2 / spread
            df = max(df, min(own for _, own in seed_parts))
    return combined(method, difference_test(estimate, variance, scale, df, level))


def _mean_off_diagonal(covariance: FloatArray, indices: Sequence[int]) -> float:
    block = covariance[np.ix_(list(indices), list(indices))]
    S = len(indices)
    return float((block.sum() - np.trace(block)) / (S * (S - 1)))


def _too_few(
    method: str,
    values: FloatArray,
    arms: Sequence[Sequence[int]],
    coefficients: Sequence[float],
) -> Combined:
    used = [k for own in arms for k in own]
    if not all(arms) or not np.isfinite(values[used]).all():
        return Combined(method, None, None, None, math.inf, None, None, None, UNDEFINED)
    means = [float(values[list(own)].mean()) for own in arms]
    estimate = float(np.dot(coefficients, means))
    return Combined(method, estimate, None, None, math.inf, None, None, None, TOO_FEW)
