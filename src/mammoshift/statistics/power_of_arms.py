"""What a planned comparison of two architectures could show: power for seeds and cases.

The test is `multireader.obuchowski_rockette_nested`: with S seeds of each arm the variance of the
mean difference is a part of the seeds, divided by S, and one of the patients that all seeds share.
The seeds' part is itself a sum: what differs between seeds on any number of cases, which more
cases do not reduce, and what differs between them on these cases. The degrees of freedom are those
of that test. With one seed of each arm the claim is about these models alone.

References
----------
Hillis, Obuchowski and Berbaum 2011, Academic Radiology 18:129 (power of Obuchowski and Rockette's
analysis).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import nct

from mammoshift.errors import StatisticsError
from mammoshift.statistics.comparisons import power_of_difference
from mammoshift.statistics.distributions import critical_value

LARGEST_FACTOR = 2.0**30


@dataclass(frozen=True)
class PlannedDifference:
    """What is assumed of two arms.

    Attributes
    ----------
    difference
        Of their mean AUC, not zero.
    patient_variance
        Of the difference, as far as all seeds share it, at the numbers of cases that factors
        refer to.
    seed_sds
        Standard deviation of the true AUC between the seeds of each arm.
    own_variances
        Of each arm's AUC over patients, as far as a seed does not share it with other seeds, at
        the same numbers of cases. 0 takes the seeds of an arm as alike on every case, which is on
        the cautious side.
    """

    difference: float
    patient_variance: float
    seed_sds: tuple[float, float]
    own_variances: tuple[float, float] = (0.0, 0.0)


def power_of_arms(
    plan: PlannedDifference, seeds: int, factor: float = 1.0, alpha: float = 0.05
) -> float:
    """Return the power of the two-sided test with `seeds` of each arm.

    Parameters
    ----------
    plan
        What is assumed.
    seeds
        Of each arm; 1 tests these models alone.
    factor
        How many times the cases that `plan.patient_variance` belongs to.
    alpha
        Level of the test.

    Raises
    ------
    StatisticsError
        If a number is outside its range.
    """
    smallest = min(plan.patient_variance, *plan.seed_sds, *plan.own_variances)
    total = plan.patient_variance + sum(plan.own_variances)
    if seeds < 1 or factor <= 0.0 or smallest < 0.0 or total <= 0.0:
        raise StatisticsError(
            f"power: {seeds} seeds (at least 1), variances {plan.patient_variance} and "
            f"{plan.own_variances} over patients (one above 0), seed SDs {plan.seed_sds}"
        )
    if seeds == 1:
        return power_of_difference(plan.difference, math.sqrt(total / factor), alpha)
    patients = plan.patient_variance / factor
    parts = [
        (sd**2 + own / factor) / seeds
        for sd, own in zip(plan.seed_sds, plan.own_variances, strict=True)
    ]
    if not any(parts):
        return power_of_difference(plan.difference, math.sqrt(patients), alpha)
    own = seeds - 1.0
    # The degrees of freedom trust the seeds' variances less, as the test does.
    scaled = [part * (own + 2.0) / own for part in parts]
    df = (sum(scaled) + patients) ** 2 / sum(part**2 / own for part in scaled)
    shift = plan.difference / math.sqrt(sum(parts) + patients)
    c = critical_value(1.0 - alpha, df)
    found = float(nct.sf(c, df, shift) + nct.cdf(-c, df, shift))
    # Far in the tail the noncentral t overflows; the test then finds the difference for certain.
    return found if math.isfinite(found) else 1.0


def factor_for_power(
    plan: PlannedDifference, seeds: int, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return how many times the cases are needed for a power; None where no number suffices.

    More cases do not reduce what differs between seeds, so that only more seeds help then.
    """
    if not 0.0 < power < 1.0:
        raise StatisticsError(f"the power is {power}; it must lie between 0 and 1")
    if plan.difference == 0.0:
        raise StatisticsError("power: the two AUCs are equal, so that there is nothing to find")
    high = 1.0
    while power_of_arms(plan, seeds, high, alpha) < power:
        high *= 2.0
        if high > LARGEST_FACTOR:
            return None
    low = high / 2.0
    while power_of_arms(plan, seeds, low, alpha) >= power:
        high, low = low, low / 2.0
    while high / low > 1.001:
        middle = math.sqrt(high * low)
        enough = power_of_arms(plan, seeds, middle, alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high
