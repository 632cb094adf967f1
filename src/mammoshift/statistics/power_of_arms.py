"""What a planned comparison of two architectures could show: power for seeds and cases.

The test is `multireader.obuchowski_rockette_nested`: with S seeds of each arm the variance of the
mean difference is the seeds' part (s^2 + s'^2) / S, which more cases do not reduce, plus the
patients' part, which falls with their number. Its degrees of freedom are those of that test. With
one seed of each arm the claim is about these models alone and the normal test of the difference.

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
        Of the difference, at the numbers of cases that factors refer to.
    seed_sds
        Standard deviation of the AUC between the seeds of each arm.
    """

    difference: float
    patient_variance: float
    seed_sds: tuple[float, float]


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
    if seeds < 1 or factor <= 0.0 or plan.patient_variance <= 0.0 or min(plan.seed_sds) < 0.0:
        raise StatisticsError(
            f"power: {seeds} seeds (at least 1), variance {plan.patient_variance} (above 0), "
            f"seed SDs {plan.seed_sds} (not negative)"
        )
    patients = plan.patient_variance / factor
    parts = [sd**2 / seeds for sd in plan.seed_sds]
    if seeds == 1 or not any(parts):
        return power_of_difference(plan.difference, math.sqrt(patients), alpha)
    own = seeds - 1.0
    # The degrees of freedom trust the seeds' variances less, as the test does.
    scaled = [part * (own + 2.0) / own for part in parts]
    df = (sum(scaled) + patients) ** 2 / sum(part**2 / own for part in scaled)
    shift = plan.difference / math.sqrt(sum(parts) + patients)
    c = critical_value(1.0 - alpha, df)
    return float(nct.sf(c, df, shift) + nct.cdf(-c, df, shift))


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
