"""How many labelled local cases a site needs, and what a planned comparison could show.

References
----------
Bamber 1975, Journal of Mathematical Psychology 12:387; Hanley and McNeil 1982, Radiology 143:29,
equation 2 (variance of an AUC). Obuchowski, Lieber and Wians 2004, Clinical Chemistry 50:1118
(variance for rating data). Owen 1956, Annals of Mathematical Statistics 27:1075 (the bivariate
normal probability behind the binormal variance). Linnet 1987, Clinical Chemistry 33:1716
(sensitivity at an estimated threshold). Kish 1965, Survey Sampling, section 5.4 (design effect).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scipy.special import expit, logit, ndtri, owens_t

from mammoshift.errors import StatisticsError
from mammoshift.statistics.comparisons import power_of_difference
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.proportions import checked_level, wilson_interval

LARGEST_SAMPLE = 10**9

VarianceModel = Literal["binormal", "hanley_mcneil", "obuchowski"]


@dataclass(frozen=True)
class SampleSize:
    """The cases that are needed.

    Attributes
    ----------
    n, n_pos, n_neg
        Cases (images, say) after the design effect.
    n_patients
        n divided by the cases for each patient, rounded up.
    achieved
        The width, or the power, that the plan reaches.
    """

    n: int
    n_pos: int
    n_neg: int
    n_patients: int
    achieved: float


def auc_variance(
    auc: float, n_pos: float, n_neg: float, model: VarianceModel = "binormal"
) -> float:
    """Return the planned variance of an AUC of independent cases.

    Parameters
    ----------
    auc
        In (0, 1).
    n_pos, n_neg
        Cases; they need not be whole numbers.
    model
        How scores are distributed. `binormal`: two normal distributions of equal variance,
        exact. `hanley_mcneil`: exponential distributions. `obuchowski`: the formula for rating
        data on few categories, 0.0099 exp(-a^2/2) (5a^2 + 8 + (a^2 + 8) n_pos/n_neg) / n_pos
        with a = 1.414 * the normal quantile of the AUC; cautious for continuous scores.
    """
    _check_share("auc", auc)
    if not (n_pos > 0 and n_neg > 0):
        raise StatisticsError(f"AUC variance: {n_pos} positives and {n_neg} negatives; need both")
    quantile = float(ndtri(auc))
    if model == "obuchowski":
        a = 1.414 * quantile
        shape = (5.0 * a**2 + 8.0) + (a**2 + 8.0) * n_pos / n_neg
        return 0.0099 * math.exp(-(a**2) / 2.0) * shape / n_pos
    # q1: two positives both beat one negative; q2: one positive beats two negatives.
    if model == "hanley_mcneil":
        q1, q2 = auc / (2.0 - auc), 2.0 * auc**2 / (1.0 + auc)
    else:
        q1 = q2 = auc - 2.0 * float(owens_t(quantile, 1.0 / math.sqrt(3.0)))
    total = auc * (1.0 - auc) + (n_pos - 1.0) * (q1 - auc**2) + (n_neg - 1.0) * (q2 - auc**2)
    return total / (n_pos * n_neg)


def sensitivity_variance(
    sensitivity: float, n_pos: float, n_neg: float, specificity: float | None = None
) -> float:
    """Return the planned variance of a sensitivity.

    With a fixed threshold it is binomial. With the threshold re-estimated on the same cases'
    negatives to reach `specificity`, r^2 * specificity * (1 - specificity) / n_neg is added, r
    being the slope of the ROC curve there (Linnet 1987), here that of two normal distributions
    of equal variance.
    """
    _check_share("sensitivity", sensitivity)
    fixed = sensitivity * (1.0 - sensitivity) / n_pos
    if specificity is None:
        return fixed
    _check_share("specificity", specificity)
    cut, distance = float(ndtri(specificity)), float(ndtri(sensitivity))
    slope = math.exp((cut**2 - distance**2) / 2.0)
    return fixed + slope**2 * specificity * (1.0 - specificity) / n_neg


def cases_for_auc(
    auc: float,
    width: float,
    prevalence: float,
    *,
    level: float = 0.95,
    model: VarianceModel = "binormal",
    cases_per_patient: float = 1.0,
    intra_patient_correlation: float = 0.0,
) -> SampleSize:
    """Return the cases at which the logit interval of an AUC is expected to be `width` wide.

    Parameters
    ----------
    auc
        Expected value, in (0, 1).
    width
        From limit to limit, in (0, 1).
    prevalence
        Share of positives among the cases, in (0, 1).
    cases_per_patient, intra_patient_correlation
        Give the design effect 1 + (cases - 1) * correlation.

    Raises
    ------
    StatisticsError
        If a value is outside its range or no practicable number suffices.
    """
    z = critical_value(checked_level(level))

    def width_at(n: float) -> float:
        se = math.sqrt(auc_variance(auc, n * prevalence, n * (1.0 - prevalence), model))
        half, centre = z * se / (auc * (1.0 - auc)), float(logit(auc))
        return float(expit(centre + half) - expit(centre - half))

    _check_share("auc", auc)
    return _smallest(
        width_at, width, prevalence, cases_per_patient, intra_patient_correlation, "width"
    )


def cases_for_sensitivity(
    sensitivity: float,
    width: float,
    prevalence: float,
    *,
    specificity: float | None = None,
    level: float = 0.95,
    cases_per_patient: float = 1.0,
    intra_patient_correlation: float = 0.0,
) -> SampleSize:
    """Return the cases at which a sensitivity's interval is expected to be `width` wide.

    Parameters
    ----------
    sensitivity, width, prevalence
        In (0, 1); see `cases_for_auc` for the rest.
    specificity
        None: the threshold is fixed beforehand and the interval is Wilson's. Otherwise the
        threshold is re-estimated on the same cases for this specificity, and the interval is
        the normal one with the variance of `sensitivity_variance`.
    """
    z = critical_value(checked_level(level))

    def width_at(n: float) -> float:
        n_pos, n_neg = n * prevalence, n * (1.0 - prevalence)
        if specificity is None:
            low, high = wilson_interval(sensitivity * n_pos, n_pos, level)
            return float(high - low)
        return 2.0 * z * math.sqrt(sensitivity_variance(sensitivity, n_pos, n_neg, specificity))

    _check_share("sensitivity", sensitivity)
    return _smallest(
        width_at, width, prevalence, cases_per_patient, intra_patient_correlation, "width"
    )


def paired_difference_se(
    auc_a: float,
    auc_b: float,
    n_pos: float,
    n_neg: float,
    correlation: float,
    model: VarianceModel = "binormal",
) -> float:
    """Return the planned standard error of a difference of two AUCs.

    `correlation` is that of the two AUC estimates, in [-1, 1]: 0 on different patients, about
    0.3 to 0.9 for two classifiers on the same ones.
    """
    if not -1.0 <= correlation <= 1.0:
        raise StatisticsError(f"the correlation is {correlation}; it must lie in [-1, 1]")
    a, b = (auc_variance(auc, n_pos, n_neg, model) for auc in (auc_a, auc_b))
    return math.sqrt(max(0.0, a + b - 2.0 * correlation * math.sqrt(a * b)))


def cases_for_difference(
    auc_a: float,
    auc_b: float,
    correlation: float,
    prevalence: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    model: VarianceModel = "binormal",
    cases_per_patient: float = 1.0,
    intra_patient_correlation: float = 0.0,
) -> SampleSize:
    """Return the cases at which a paired two-sided test finds the difference with `power`."""
    _check_share("power", power)
    if auc_a == auc_b:
        raise StatisticsError("cases for a difference: the two AUCs are equal")

    def missed_at(n: float) -> float:
        se = paired_difference_se(
            auc_a, auc_b, n * prevalence, n * (1.0 - prevalence), correlation, model
        )
        return 1.0 - power_of_difference(auc_a - auc_b, se, alpha) if se > 0 else 0.0

    found = _smallest(
        missed_at, 1.0 - power, prevalence, cases_per_patient, intra_patient_correlation, "power"
    )
    return SampleSize(found.n, found.n_pos, found.n_neg, found.n_patients, 1.0 - found.achieved)


def design_effect(cases_per_patient: float, intra_patient_correlation: float) -> float:
    """Return by how much dependence within patients multiplies the cases that are needed."""
    if cases_per_patient < 1.0 or not 0.0 <= intra_patient_correlation <= 1.0:
        raise StatisticsError(
            f"design effect: {cases_per_patient} cases for each patient (at least 1) with "
            f"correlation {intra_patient_correlation} (0 to 1)"
        )
    return 1.0 + (cases_per_patient - 1.0) * intra_patient_correlation


def _smallest(
    measure: Callable[[float], float],
    wanted: float,
    prevalence: float,
    cases_per_patient: float,
    correlation: float,
    what: str,
) -> SampleSize:
    """Return the smallest number of cases whose falling `measure` is at most `wanted`."""
    _check_share("prevalence", prevalence)
    _check_share(what, wanted)
    effect = design_effect(cases_per_patient, correlation)
    low, high = 2, 2
    while measure(high / effect) > wanted:
        low, high = high, high * 2
        if high > LARGEST_SAMPLE:
            raise StatisticsError(
                f"no sample of up to {LARGEST_SAMPLE:,} cases reaches the {what} that is wanted"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if measure(middle / effect) <= wanted else (middle, high)
    n_pos = math.ceil(high * prevalence)
    n_neg = math.ceil(high * (1.0 - prevalence))
    n = n_pos + n_neg
    return SampleSize(n, n_pos, n_neg, math.ceil(n / cases_per_patient), measure(high / effect))


def _check_share(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise StatisticsError(f"the {name} is {value}; it must lie between 0 and 1")
