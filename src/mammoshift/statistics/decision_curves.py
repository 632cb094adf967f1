"""Decision curves: whether acting on a classifier is better than treating all, or none.

At a threshold probability t a patient is treated if the predicted probability is at least t.
Treating a healthy patient costs t / (1 - t) times what treating a diseased one gains, so the
net benefit in units of true positives per case is

    NB(t) = TP / N - FP / N * t / (1 - t).

References
----------
Vickers and Elkin 2006, Medical Decision Making 26:565 (net benefit); Vickers, Van Calster and
Steyerberg 2019, Diagnostic and Prognostic Research 3:18 (interpretation, standardised form).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logit

from mammoshift.errors import StatisticsError
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.inputs import FloatArray, checked_cases, cluster_codes
from mammoshift.statistics.proportions import checked_level


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit of one set of predictions over threshold probabilities.

    All arrays are [T]; net benefits are in true positives per case, at most the prevalence.

    Attributes
    ----------
    thresholds
        Threshold probabilities, ascending, in (0, 1).
    net_benefit, ci_low, ci_high
        Of acting on the model; Wald limits, with a variance over patients, cut at the largest and
        the smallest net benefit that there is. NaN where all cases count the same.
    treat_all
        Of treating everybody. Treating nobody has a net benefit of 0.
    advantage, advantage_low, advantage_high
        net_benefit minus the better of treating all and none; the interval is that of the
        paired difference from that alternative, NaN where it is the same for all cases.
    prevalence
        The share of positives that the curve holds for.
    """

    thresholds: FloatArray
    net_benefit: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    treat_all: FloatArray
    advantage: FloatArray
    advantage_low: FloatArray
    advantage_high: FloatArray
    prevalence: float


def decision_curve(
    logits: ArrayLike,
    labels: ArrayLike,
    thresholds: ArrayLike,
    *,
    patients: ArrayLike | None = None,
    prevalence: float | None = None,
    level: float = 0.95,
) -> DecisionCurve:
    """Return the net benefit at each threshold probability.

    Parameters
    ----------
    logits
        [N], finite log-odds; they should be calibrated, since thresholds are probabilities.
    labels
        [N], 0 or 1.
    thresholds
        [T], ascending, each in (0, 1).
    patients
        [N]; the variance is then one over patients.
    prevalence
        Share of positives to weight the two classes to, as case-control sets need, whose own
        share is an accident of sampling; by default the share among these cases.

    Raises
    ------
    StatisticsError
        If the input cannot be used, or a prevalence is given and a class is empty.
    """
    positive, matrix = checked_cases(labels, logits)
    cuts = np.asarray(thresholds, dtype=np.float64)
    _check(matrix, cuts)
    share = float(positive.mean())
    wanted = share if prevalence is None else prevalence
    if not 0.0 < wanted < 1.0 and prevalence is not None:
        raise StatisticsError(f"decision curve: the prevalence is {wanted}, not between 0 and 1")
    if prevalence is not None and share in (0.0, 1.0):
        raise StatisticsError("decision curve: a prevalence can be given where both classes occur")
    weights = (
        np.ones(positive.size)
        if prevalence is None
        else np.where(positive, wanted / share, (1.0 - wanted) / (1.0 - share))
    )
    codes = np.arange(positive.size) if patients is None else cluster_codes(patients, positive.size)
    odds = cuts / (1.0 - cuts)
    treat_all = wanted - (1.0 - wanted) * odds
    gain, cost = weights * positive, weights * ~positive
    net, spread, advantage, advantage_spread = (np.empty(cuts.size) for _ in range(4))
    cut_logits = logit(cuts)
    for i, (cut, odd) in enumerate(zip(cut_logits, odds, strict=True)):
        everybody = gain - odd * cost
        terms = np.where(matrix[0] >= cut, everybody, 0.0)
        net[i], spread[i] = _mean_and_se(terms, codes)
        rival = everybody if treat_all[i] > 0 else 0.0
        advantage[i], advantage_spread[i] = _mean_and_se(terms - rival, codes)
    z = critical_value(checked_level(level))
    # Where all cases count the same nothing shows how much they vary.
    spread, advantage_spread = (np.where(s > 0.0, s, np.nan) for s in (spread, advantage_spread))
    # A prevalence that is estimated may be anything; a given one is the most to be gained.
    most, least = (1.0, -odds) if prevalence is None else (wanted, -(1.0 - wanted) * odds)
    return DecisionCurve(
        cuts,
        net,
        np.maximum(net - z * spread, least),
        np.minimum(net + z * spread, most),
        treat_all,
        advantage,
        advantage - z * advantage_spread,
        advantage + z * advantage_spread,
        wanted,
    )


def _mean_and_se(terms: FloatArray, codes: np.ndarray) -> tuple[float, float]:
    mean = float(terms.mean())
    sums = np.bincount(codes, weights=terms - mean)
    if sums.size < 2:
        return mean, float("nan")
    variance = sums.size / (sums.size - 1) * float(np.sum(sums**2))
    return mean, float(np.sqrt(variance)) / terms.size


def _check(matrix: FloatArray, cuts: FloatArray) -> None:
    if matrix.shape[0] != 1 or not matrix.size:
        raise StatisticsError("decision curve: the logits of one arm, at least one, are expected")
    if cuts.ndim != 1 or not cuts.size or not ((cuts > 0) & (cuts < 1)).all():
        raise StatisticsError("decision curve: thresholds are probabilities between 0 and 1, [T]")
    if (np.diff(cuts) <= 0).any():
        raise StatisticsError("decision curve: thresholds must rise")
