"""The share of positives at a target without its labels, and whether nothing but that has changed.

Where each class looks as it did at the source (label shift), the target's scores are a mixture of
the source's two classes, and the share of positives that makes them likeliest is the fixed point
of an expectation-maximisation over posterior probabilities. Its log-likelihood

    sum over cases of log(q r + 1 - q),    r = p / (1 - p) * (1 - s) / s

is concave in the share q, so the fixed point is found as the root of its derivative; p is the
posterior at the source, by a logistic line through the source's logits, and s the source's share.

Label shift can be contradicted without labels: `fit` compares the target's scores with the best
mixture of the source's two classes in bins. A small p says that the scores of a class have moved
(another sensor does that), and then the estimate means nothing. A large p proves nothing: a shift
of both classes may look like one of prevalence.

References
----------
Saerens, Latinne and Decaestecker 2002, Neural Computation 14:21 (equations 2.9, 2.10). Alexandari,
Kundaje and Shrikumar 2020, ICML:222 (calibrate first; concavity). Garg, Wu, Balakrishnan and Lipton
2020, NeurIPS (consistency under a calibrated source). Stefanski and Boos 2002, The American
Statistician 56:29 (stacked estimating equations).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import root_scalar
from scipy.special import expit, logit

from mammoshift.errors import StatisticsError
from mammoshift.statistics.distributions import chi_square_p, critical_value
from mammoshift.statistics.inputs import (
    FloatArray,
    IntArray,
    checked_cases,
    checked_classes,
    cluster_codes,
)
from mammoshift.statistics.logistic_fits import logistic_lines
from mammoshift.statistics.recalibration import LogitMap

METHOD = "prior_shift_em"
AT_LIMIT = "the likelihood has its maximum at a share of {:g}: no interval"
MOVED = (
    "the scores fit no mixture of the source's classes (p = {:.2g}): more than the prevalence has "
    "changed, and this estimate means nothing"
)
_BINS, _CASES_OF_A_BIN = 10, 30
_LIMIT = 1e-6
_CONTRADICTED = 0.05


@dataclass(frozen=True)
class MixtureFit:
    """Whether a mixture of the source's classes can explain the target's scores, in bins."""

    statistic: float
    df: int
    p: float


@dataclass(frozen=True)
class PriorShift:
    """The target's share of positives, estimated from scores alone.

    Attributes
    ----------
    prevalence, ci_low, ci_high
        In [0, 1]; the interval holds the uncertainty of both samples, None at a limit.
    source_prevalence
        Share of positives among the source's cases.
    fit
        Whether label shift is contradicted; None with too few cases for bins, and where both
        classes of the source fill the bins alike.
    map
        From the target's logits to recalibrated ones: the source's line, then the shift.
    note
        What a reader must know.
    """

    prevalence: float
    ci_low: float | None
    ci_high: float | None
    source_prevalence: float
    fit: MixtureFit | None
    map: LogitMap
    note: str


def estimate_prior_shift(
    source_logits: ArrayLike,
    source_labels: ArrayLike,
    target_logits: ArrayLike,
    *,
    source_patients: ArrayLike | None = None,
    target_patients: ArrayLike | None = None,
    level: float = 0.95,
) -> PriorShift:
    """Estimate the share of positives at the target, without its labels.

    Parameters
    ----------
    source_logits, source_labels
        [N] of other patients; both classes, whose logits overlap.
    target_logits
        [M], finite.
    source_patients, target_patients
        [N] and [M]; None treats every case as its own patient.

    Raises
    ------
    StatisticsError
        If the input cannot be used, the classes are separated at the source, higher logits do not
        go with positive labels there, or all target logits are equal.
    """
    positive, x = checked_classes(source_labels, source_logits, "prior shift")
    given = np.asarray(target_logits, dtype=np.float64)
    _, matrix = checked_cases(np.zeros(given.shape), given)
    z = matrix[0]
    if not z.size:
        raise StatisticsError("prior shift: there is no target case")
    if z.size > 1 and not np.ptp(z):
        raise StatisticsError(
            "prior shift: all target logits are equal, and say nothing of a share"
        )
    below, above = x[~positive], x[positive]
    if above.min() >= below.max() or above.max() <= below.min():
        raise StatisticsError("prior shift: the logits separate the source's classes")
    owners = _codes(source_patients, x.size), _codes(target_patients, z.size)
    share = float(positive.mean())
    intercepts, slopes = logistic_lines(x[None, :], positive[None, :].astype(np.float64))
    theta = np.array([intercepts[0], slopes[0], share])
    if not theta[1] > 0.0:
        raise StatisticsError("prior shift: higher logits do not go with positive labels")
    estimate = _share_of(z, theta)
    shift = float(logit(estimate) - logit(share))
    fitted = LogitMap(METHOD, float(theta[1]), float(theta[0]) + shift, x.size, int(positive.sum()))
    fit = _mixture_fit(x, positive, z, owners, estimate)
    notes, low, high = [], None, None
    if min(estimate, 1.0 - estimate) <= 2.0 * _LIMIT:
        notes.append(AT_LIMIT.format(round(estimate)))
    else:
        se = _standard_error(x, positive, z, theta, estimate, owners)
        half = critical_value(level) * se / (estimate * (1.0 - estimate))
        low, high = (float(expit(logit(estimate) + side)) for side in (-half, half))
    if fit is not None and fit.p < _CONTRADICTED:
        notes.append(MOVED.format(fit.p))
    return PriorShift(estimate, low, high, share, fit, fitted, "; ".join(notes))


def _codes(patients: ArrayLike | None, size: int) -> IntArray:
    return np.arange(size) if patients is None else cluster_codes(patients, size)


def _ratios(z: FloatArray, theta: FloatArray) -> FloatArray:
    """Return the ratio [M] of the classes' densities at the target's logits, less one."""
    a, b, share = theta
    with np.errstate(over="ignore"):
        return np.minimum(np.exp(a + b * z - logit(share)), 1e300) - 1.0


def _share_of(z: FloatArray, theta: FloatArray) -> float:
    """Return the share that maximises the likelihood, within `_LIMIT` of 0 and 1."""
    d = _ratios(z, theta)

    def gradient(share: float) -> float:
        return float(np.mean(d / (1.0 + share * d)))

    if gradient(_LIMIT) <= 0.0:
        return _LIMIT
    if gradient(1.0 - _LIMIT) >= 0.0:
        return 1.0 - _LIMIT
    found = root_scalar(gradient, bracket=(_LIMIT, 1.0 - _LIMIT), method="brentq", xtol=1e-13)
    return float(found.root)


def _standard_error(
    x: FloatArray,
    positive: NDArray[np.bool_],
    z: FloatArray,
    theta: FloatArray,
    share: float,
    owners: tuple[IntArray, IntArray],
) -> float:
    """Return the standard error of the share: target cases, and what the source's line adds."""
    d = _ratios(z, theta)
    score = d / (1.0 + share * d)
    own = np.bincount(owners[1], weights=score) / float(score @ score)
    p = expit(theta[0] + theta[1] * x)
    design = np.column_stack([np.ones(x.size), x])
    information = (design * (p * (1.0 - p))[:, None]).T @ design
    of_line = np.linalg.solve(information, (design * (positive - p)[:, None]).T)
    influences = np.vstack([of_line, (positive - theta[2]) / x.size])
    # The share solves mean(d / (1 + share d)) = 0: what it moves by when the line moves.
    with np.errstate(over="ignore"):
        by_ratio = (1.0 + d) / (1.0 + share * d) ** 2
    moved = [by_ratio.sum(), by_ratio @ z, -by_ratio.sum() / (theta[2] * (1.0 - theta[2]))]
    slopes = np.array(moved) / float(score @ score)
    other = np.bincount(owners[0], weights=slopes @ influences)
    return math.sqrt(_sum_of_squares(own) + _sum_of_squares(other))


def _sum_of_squares(terms: NDArray[Any]) -> float:
    size = terms.size
    return float(terms @ terms) * (size / (size - 1) if size > 1 else math.nan)


def _mixture_fit(
    x: FloatArray,
    positive: NDArray[np.bool_],
    z: FloatArray,
    owners: tuple[IntArray, IntArray],
    share: float,
) -> MixtureFit | None:
    """Test that the target's shares of cases in bins are a mixture of those of the two classes.

    Minimum chi-square over the mixture's share, with covariances over patients; the bins hold
    equal shares of the target.
    """
    bins = min(_BINS, z.size // _CASES_OF_A_BIN)
    edges = np.unique(np.quantile(z, np.arange(1, bins) / bins)) if bins > 2 else np.empty(0)
    rows = edges.size
    if rows < 2:
        return None
    at_target, at_source = np.searchsorted(edges, z), np.searchsorted(edges, x)
    of_target = _centred_counts(at_target, rows, owners[1])
    of_ones, of_zeros = (
        _centred_counts(at_source[side], rows, owners[0][side], int(owners[0].max()) + 1)
        for side in (positive, ~positive)
    )
    target, ones, zeros = of_target.shares, of_ones.shares, of_zeros.shares
    source = (
        share * of_ones.sums / positive.sum() + (1.0 - share) * of_zeros.sums / (~positive).sum()
    )
    V = _covariance(of_target.sums / z.size) + _covariance(source)
    values, vectors = np.linalg.eigh(V)
    kept = values > 1e-10 * values[-1]
    if np.count_nonzero(kept) < 2:
        return None
    whitened = vectors[:, kept].T / np.sqrt(values[kept])[:, None]
    gap, direction = whitened @ (target - zeros), whitened @ (ones - zeros)
    if not direction.any():
        return None
    rest = gap - direction * (gap @ direction) / (direction @ direction)
    df = int(np.count_nonzero(kept)) - 1
    statistic = float(rest @ rest)
    return MixtureFit(statistic, df, chi_square_p(statistic, df))


@dataclass(frozen=True)
class _Counts:
    """Shares of cases in bins [rows], and each patient's cases there less those expected."""

    shares: FloatArray
    sums: FloatArray


def _centred_counts(bins: IntArray, rows: int, owners: IntArray, patients: int = 0) -> _Counts:
    """Count the cases of each patient in the first `rows` bins; the sums are [patients, rows]."""
    size = max(patients, int(owners.max()) + 1)
    inside = bins < rows
    cells = owners[inside] * rows + bins[inside]
    counts = np.bincount(cells, minlength=size * rows).reshape(size, rows)
    shares = counts.sum(axis=0) / bins.size
    return _Counts(shares, counts - np.bincount(owners, minlength=size)[:, None] * shares)


def _covariance(sums: FloatArray) -> FloatArray:
    size = len(sums)
    return sums.T @ sums * (size / max(1, size - 1))
