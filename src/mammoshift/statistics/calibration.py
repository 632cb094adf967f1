"""How well predicted probabilities agree with what happened.

Everything takes logits (log-odds of the positive class) and computes in float64: probabilities
saturate. The calibration error of this project has ONE definition: the predicted probability is
that of the positive class, P(y = 1), in 15 bins of equal width on [0, 1], right-closed (the first
also holds 0), and

    ECE = sum over bins of (cases in bin / N) * |share of positives - mean probability|.

It is biased upwards: a perfectly calibrated model shows about 0.10 at 140 cases and 0.04 at 1000.
It must therefore be read beside its null band, the values that the same predictions would show
if they were calibrated perfectly.

References
----------
Brier 1950, Monthly Weather Review 78:1. Murphy 1973, Journal of Applied Meteorology 12:595
(decomposition); Stephenson, Coelho and Jolliffe 2008, Weather and Forecasting 23:752 (its
within-bin terms). Cox 1958, Biometrika 45:562 (intercept and slope). Naeini, Cooper and
Hauskrecht 2015, AAAI:2901 (ECE). Bröcker and Smith 2007, Weather and Forecasting 22:651
(simulating labels from the predictions). Kumar, Liang and Ma 2019, NeurIPS, section 5 (debiased
squared error). Liang and Zeger 1986, Biometrika 73:13 (cluster-robust standard errors).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from mammoshift.errors import StatisticsError
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.inputs import FloatArray, IntArray, checked_cases, cluster_codes
from mammoshift.statistics.proportions import Estimate, undefined, wilson_interval
from mammoshift.statistics.recalibration import logistic_lines

DEFAULT_BINS = 15
NULL_SIMULATIONS = 1000

SEPARATED = "undefined: the logits separate the classes, so no finite slope exists"
CONSTANT = "undefined: all logits are equal"
ONE_CLASS = "undefined: all labels are equal"
FEWEST_PATIENTS = 8
FEW_PATIENTS = (
    f"fewer than {FEWEST_PATIENTS} patients of one class: intercept and slope are hardly known"
)

_LARGE_VARIANCE = 100.0
_CHUNK_ELEMENTS = 4_000_000

Binning = Literal["equal_width", "equal_mass"]


@dataclass(frozen=True)
class ReliabilityCurve:
    """The share of positives in each bin of the predicted probability.

    All arrays are [bins], from low to high probability; bins without a case have count 0 and
    NaN elsewhere than in `bin_low` and `bin_high`.

    Attributes
    ----------
    bin_low, bin_high
        Edges; a bin holds bin_low < p <= bin_high, the first also p = bin_low.
    count, positives
        Cases and positive cases.
    mean_predicted, observed
        Mean probability and share of positives.
    ci_low, ci_high
        Wilson interval of `observed`, cases taken as independent.
    """

    bin_low: FloatArray
    bin_high: FloatArray
    count: IntArray
    positives: IntArray
    mean_predicted: FloatArray
    observed: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray


@dataclass(frozen=True)
class BrierDecomposition:
    """The Brier score as reliability - resolution + uncertainty + within_bin.

    `within_bin` is what the binning leaves over: the variance of the probabilities within bins
    minus twice their covariance with the labels (Stephenson 2008); it is 0 when each bin holds a
    single probability, and then this is Murphy's decomposition. `skill` is 1 - score /
    uncertainty, None where all labels are equal.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bin: float
    skill: float | None


@dataclass(frozen=True)
class CalibrationError:
    """An expected calibration error and the values it would take under perfect calibration.

    `null_mean` and `null_high` are the mean and the upper limit (95 % unless told otherwise) of
    the error when the labels are drawn from the predictions themselves.
    """

    value: float
    null_mean: float
    null_high: float
    bins: int
    binning: Binning
    level: float

    @property
    def within_null(self) -> bool:
        """Whether this error is no larger than chance alone would make it."""
        return self.value <= self.null_high


@dataclass(frozen=True)
class CalibrationLine:
    """Logistic recalibration: how the labels' log-odds depend on the logit.

    `in_the_large` is the intercept with the slope held at 1 (0 when the mean risk is right);
    `intercept` and `slope` are fitted together (0 and 1 when calibrated; a slope below 1 means
    predictions that are too extreme).
    """

    in_the_large: Estimate
    intercept: Estimate
    slope: Estimate


@dataclass(frozen=True)
class CalibrationMeasures:
    """Everything that a result table says about one set of predictions."""

    n: int
    n_pos: int
    n_patients: int
    prevalence: float
    mean_predicted: float
    nll: Estimate
    brier: Estimate
    brier_parts: BrierDecomposition
    ece: CalibrationError
    ece_equal_mass: CalibrationError
    debiased_l2: float
    line: CalibrationLine


def calibration_measures(
    logits: ArrayLike,
    labels: ArrayLike,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    bins: int = DEFAULT_BINS,
    simulations: int = NULL_SIMULATIONS,
    level: float = 0.95,
) -> CalibrationMeasures:
    """Return all calibration measures of one set of predictions.

    Parameters
    ----------
    logits
        [N], finite log-odds of the positive class.
    labels
        [N], 0 or 1.
    rng
        Source of the simulated labels behind the null bands.
    patients
        [N]; standard errors and null bands then allow for dependence within a patient.
    """
    positive, row = _cases(logits, labels)
    codes = None if patients is None else cluster_codes(patients, row.size)
    nll, brier = nll_terms(row, positive), brier_terms(row, positive)
    return CalibrationMeasures(
        n=row.size,
        n_pos=int(positive.sum()),
        n_patients=row.size if codes is None else int(codes.max()) + 1,
        prevalence=float(positive.mean()),
        mean_predicted=float(expit(row).mean()),
        nll=_mean(nll, codes, level, math.inf),
        brier=_mean(brier, codes, level, 1.0),
        brier_parts=brier_decomposition(row, positive, bins=bins),
        ece=calibration_error(
            row, positive, rng, patients=codes, bins=bins, simulations=simulations, level=level
        ),
        ece_equal_mass=calibration_error(
            row,
            positive,
            rng,
            patients=codes,
            bins=bins,
            binning="equal_mass",
            simulations=simulations,
            level=level,
        ),
        debiased_l2=debiased_l2(row, positive, bins=bins),
        line=calibration_line(row, positive, patients=codes, level=level),
    )


def nll_terms(logits: FloatArray, positive: NDArray[np.bool_]) -> FloatArray:
    """Return each case's negative log-likelihood in nats, finite for any finite logit."""
    return np.logaddexp(0.0, np.where(positive, -logits, logits))


def brier_terms(logits: FloatArray, positive: NDArray[np.bool_]) -> FloatArray:
    """Return each case's squared error (p - y)^2, in [0, 1]."""
    return expit(np.where(positive, -logits, logits)) ** 2


def brier_decomposition(
    logits: ArrayLike, labels: ArrayLike, *, bins: int = DEFAULT_BINS
) -> BrierDecomposition:
    """Return the Brier score and its parts over bins of equal width (see `BrierDecomposition`)."""
    positive, row = _cases(logits, labels)
    p = expit(row)
    index, size = bin_index(p, bins)
    count, positives, mass = _bin_sums(index, size, p, positive)
    some = count > 0
    share, mean = positives[some] / count[some], mass[some] / count[some]
    weight = count[some] / p.size
    base = float(positive.mean())
    score = float(brier_terms(row, positive).mean())
    reliability = float(np.sum(weight * (mean - share) ** 2))
    resolution = float(np.sum(weight * (share - base) ** 2))
    uncertainty = base * (1.0 - base)
    return BrierDecomposition(
        score,
        reliability,
        resolution,
        uncertainty,
        score - reliability + resolution - uncertainty,
        1.0 - score / uncertainty if uncertainty > 0 else None,
    )


def expected_calibration_error(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    bins: int = DEFAULT_BINS,
    binning: Binning = "equal_width",
) -> float:
    """Return the ECE as this module defines it, in [0, 1]; N >= 1.

    `equal_mass` bins hold nearly equal numbers of cases; equal probabilities stay together.
    """
    positive, row = _cases(logits, labels)
    p = expit(row)
    index, size = bin_index(p, bins, binning)
    _, positives, mass = _bin_sums(index, size, p, positive)
    return float(np.abs(positives - mass).sum() / p.size)


def calibration_error(
    logits: ArrayLike,
    labels: ArrayLike,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    bins: int = DEFAULT_BINS,
    binning: Binning = "equal_width",
    simulations: int = NULL_SIMULATIONS,
    level: float = 0.95,
) -> CalibrationError:
    """Return the ECE with its null band (see `CalibrationError`).

    With patients, cases of one patient that share a label count as one outcome, since two views
    of a breast are not two cancers; the band is then on the wide side.
    """
    positive, row = _cases(logits, labels)
    groups = None if patients is None else 2 * cluster_codes(patients, row.size) + positive
    null = null_calibration_errors(
        row, rng, groups=groups, bins=bins, binning=binning, simulations=simulations
    )
    return CalibrationError(
        expected_calibration_error(row, positive, bins=bins, binning=binning),
        float(null.mean()),
        float(np.quantile(null, level)),
        bins,
        binning,
        level,
    )


def null_calibration_errors(
    logits: ArrayLike,
    rng: np.random.Generator,
    *,
    groups: ArrayLike | None = None,
    bins: int = DEFAULT_BINS,
    binning: Binning = "equal_width",
    simulations: int = NULL_SIMULATIONS,
) -> FloatArray:
    """Return the ECE [simulations] of labels drawn from the predictions themselves.

    Only the number of positives in each bin matters. It is counted from simulated labels, but
    drawn from the normal distribution where its variance exceeds 100 (its skewness is then below
    0.1), so that a million cases cost no more than ten thousand. Bins are drawn independently.

    Parameters
    ----------
    groups
        [N] whole numbers; the labels of a group follow from one random number, the strongest
        dependence that the probabilities allow. None draws every label by itself.
    """
    row = np.asarray(logits, dtype=np.float64)
    p = expit(row)
    index, size = bin_index(p, bins, binning)
    owner = np.arange(p.size) if groups is None else np.asarray(groups)
    total = np.zeros(simulations)
    for b in range(size):
        inside = p[index == b]
        if not inside.size:
            continue
        codes = np.unique(owner[index == b], return_inverse=True)[1]
        variance = _variance_of_positives(inside, codes)
        if variance > _LARGE_VARIANCE * int(np.bincount(codes).max()) ** 2:
            total += np.abs(rng.normal(0.0, math.sqrt(variance), simulations))
        else:
            total += np.abs(_simulated_positives(inside, codes, simulations, rng) - inside.sum())
    return total / p.size


def debiased_l2(logits: ArrayLike, labels: ArrayLike, *, bins: int = DEFAULT_BINS) -> float:
    """Return the root of the debiased squared calibration error over bins of equal count.

    From each bin's squared gap its expectation under perfect calibration, s(1 - s)/(n - 1) with
    the bin's share of positives s, is taken away (Kumar 2019, definition 5.1); a negative total
    counts as 0. A bin of one case has no such estimate and is left out. Bins are those of the
    paper's package, see `equal_count_bins`.
    """
    positive, row = _cases(logits, labels)
    index, size = equal_count_bins(row, bins)
    return math.sqrt(max(0.0, debiased_square(expit(row), positive, index, size)))


def debiased_square(
    p: FloatArray, positive: NDArray[np.bool_], index: IntArray, size: int
) -> float:
    """Return the debiased squared calibration error of probabilities [N] in given bins.

    About zero for a calibrated model, whatever the number of cases; it may be negative.
    """
    count, positives, mass = _bin_sums(index, size, p, positive)
    some = count > 1
    n = count[some].astype(np.float64)
    share = positives[some] / n
    gaps = (share - mass[some] / n) ** 2 - share * (1.0 - share) / (n - 1.0)
    return float(np.sum(n * gaps) / p.size)


def equal_count_bins(values: FloatArray, bins: int) -> tuple[IntArray, int]:
    """Return the bin of each of N values [N] and the number of bins.

    The sorted values are cut into bins of N / bins values, the first N mod bins with one more;
    values that are equal belong to the lower bin. An increasing map of the values changes nothing.
    """
    if bins < 1:
        raise StatisticsError(f"calibration: {bins} bins; at least one is needed")
    ordered = np.sort(values)
    parts = min(bins, values.size)
    ends = np.cumsum(
        np.full(parts, values.size // parts) + (np.arange(parts) < values.size % parts)
    )
    edges = np.unique(ordered[ends[:-1] - 1])
    index = np.searchsorted(edges, values, side="left")
    return index, edges.size + 1


def reliability_curve(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    bins: int = DEFAULT_BINS,
    binning: Binning = "equal_width",
    level: float = 0.95,
) -> ReliabilityCurve:
    """Return the points and bars of a reliability diagram (see `ReliabilityCurve`)."""
    positive, row = _cases(logits, labels)
    p = expit(row)
    edges = _edges(p, bins, binning)
    index = np.searchsorted(edges, p, side="left")
    count, positives, mass = _bin_sums(index, edges.size + 1, p, positive)
    with np.errstate(invalid="ignore"):
        mean, observed = mass / count, positives / count
    low, high = wilson_interval(positives, count, level)
    return ReliabilityCurve(
        np.concatenate([[0.0], edges]),
        np.concatenate([edges, [1.0]]),
        count,
        positives,
        mean,
        observed,
        low,
        high,
    )


def calibration_line(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    patients: ArrayLike | None = None,
    level: float = 0.95,
) -> CalibrationLine:
    """Return calibration in the large, intercept and slope by maximum likelihood (Cox 1958).

    Parameters
    ----------
    logits, labels
        [N].
    patients
        [N]; the intervals then use the cluster-robust sandwich variance, times I/(I - 1) for I
        patients, with Student's t on the patients of the rarer class less one (the normal covers
        83 % of slopes with 4 positive patients). Without them they use the inverse information.

    Returns
    -------
    CalibrationLine
        With estimates that are None where no finite maximum exists: one class only, constant
        logits, or (for intercept and slope) classes that the logit separates.
    """
    positive, row = _cases(logits, labels)
    codes = None if patients is None else cluster_codes(patients, row.size)
    if positive.all() or not positive.any():
        return CalibrationLine(*(undefined(ONE_CLASS) for _ in range(3)))
    df, few = _patients_behind(positive, codes)
    shift = _in_the_large(row, positive)
    spread = _robust_se(np.ones((row.size, 1)), row + shift, positive, codes)
    method = "wald" if codes is None else "wald_patient_robust"
    in_the_large = _wald(shift, float(spread[0]), method, level, df, few)
    reason = _no_line(row, positive)
    if reason:
        return CalibrationLine(in_the_large, undefined(reason), undefined(reason))
    intercepts, slopes = logistic_lines(row[None, :], positive[None, :].astype(np.float64))
    a, b = float(intercepts[0]), float(slopes[0])
    spread = _robust_se(np.column_stack([np.ones(row.size), row]), a + b * row, positive, codes)
    return CalibrationLine(
        in_the_large,
        _wald(a, float(spread[0]), method, level, df, few),
        _wald(b, float(spread[1]), method, level, df, few),
    )


def bin_index(
    probabilities: FloatArray, bins: int, binning: Binning = "equal_width"
) -> tuple[IntArray, int]:
    """Return the bin of each probability and the number of bins (equal mass may merge some)."""
    edges = _edges(probabilities, bins, binning)
    return np.searchsorted(edges, probabilities, side="left"), edges.size + 1


def _edges(probabilities: FloatArray, bins: int, binning: Binning) -> FloatArray:
    """Return the inner edges; a probability on an edge belongs to the bin below it."""
    if bins < 1:
        raise StatisticsError(f"calibration: {bins} bins; at least one is needed")
    inner = np.arange(1, bins) / bins
    if binning == "equal_width":
        return inner
    return np.unique(np.quantile(probabilities, inner, method="inverted_cdf"))


def _bin_sums(
    index: IntArray, size: int, p: FloatArray, positive: NDArray[np.bool_]
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return for each bin the cases, the positives and the sum of the probabilities."""
    return (
        np.bincount(index, minlength=size),
        np.bincount(index[positive], minlength=size),
        np.bincount(index, weights=p, minlength=size).astype(np.float64, copy=False),
    )


def _variance_of_positives(p: FloatArray, codes: IntArray) -> float:
    """Return the variance of the number of positives when a group shares one random number.

    Two labels of a group then have the covariance min(p, q) - p q; for each case the terms
    min(p, q) with the larger probabilities of its group are its own p.
    """
    order = np.lexsort((-p, codes))
    sizes = np.bincount(codes)
    larger = np.arange(p.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    means = np.bincount(codes, weights=p)
    return float(np.sum(p[order] * (1.0 + 2.0 * larger)) - np.sum(means**2))


def _simulated_positives(
    p: FloatArray, codes: IntArray, simulations: int, rng: np.random.Generator
) -> FloatArray:
    groups, width = int(codes.max()) + 1, max(1, _CHUNK_ELEMENTS // p.size)
    counts = [
        np.count_nonzero(
            rng.random((min(width, simulations - start), groups))[:, codes] < p, axis=1
        )
        for start in range(0, simulations, width)
    ]
    return np.concatenate(counts).astype(np.float64)


def _in_the_large(logits: FloatArray, positive: NDArray[np.bool_]) -> float:
    """Return the shift of all logits at which the mean probability is the share of positives."""
    # The root lies between the shifts that would suit the highest and the lowest logit alone;
    # Newton's steps are kept inside that bracket, which shrinks with every step.
    share = float(positive.mean())
    odds = math.log(share) - math.log1p(-share)
    low, high = odds - float(logits.max()), odds - float(logits.min())
    shift = min(max(0.0, low), high)
    for _ in range(200):
        p = expit(logits + shift)
        gap = float(p.mean()) - share
        low, high = (low, shift) if gap > 0 else (shift, high)
        weight = float(np.mean(p * (1.0 - p)))
        step = shift - gap / weight if weight > 0 else math.inf
        moved = step if low <= step <= high else (low + high) / 2.0
        if abs(moved - shift) <= 1e-13 * (1.0 + abs(shift)):
            return moved
        shift = moved
    return shift


def _no_line(logits: FloatArray, positive: NDArray[np.bool_]) -> str:
    """Return why intercept and slope have no finite maximum; empty when they have one."""
    if np.ptp(logits) == 0.0:
        return CONSTANT
    above, below = logits[positive], logits[~positive]
    overlap = below.max() > above.min() and above.max() > below.min()
    return "" if overlap else SEPARATED


def _robust_se(
    design: FloatArray, line: FloatArray, positive: NDArray[np.bool_], codes: IntArray | None
) -> FloatArray:
    """Return standard errors of a logistic fit: model-based, or robust to clusters."""
    p = expit(line)
    information = (design * (p * (1.0 - p))[:, None]).T @ design
    try:
        inverse = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return np.full(design.shape[1], np.nan)
    if codes is not None:
        scores = design * (positive - p)[:, None]
        sums = np.stack([np.bincount(codes, weights=column) for column in scores.T], axis=1)
        I = len(sums)  # noqa: E741
        inverse = inverse @ (sums.T @ sums) @ inverse * (I / (I - 1) if I > 1 else math.nan)
    return np.sqrt(np.diag(inverse))


def _mean(terms: FloatArray, codes: IntArray | None, level: float, most: float) -> Estimate:
    """Return a mean over cases, which lies between 0 and `most`; the variance is over patients."""
    value = float(terms.mean())
    deviations = terms - value
    sums = deviations if codes is None else np.bincount(codes, weights=deviations)
    if sums.size < 2:
        return Estimate(value, note="no interval: there is only one patient")
    se = math.sqrt(sums.size / (sums.size - 1) * float(np.sum(sums**2))) / terms.size
    found = _wald(value, se, "wald" if codes is None else "wald_patient_robust", level)
    if found.ci_low is None or found.ci_high is None:
        return found
    return replace(found, ci_low=max(0.0, found.ci_low), ci_high=min(most, found.ci_high))


def _wald(
    value: float, se: float, method: str, level: float, df: float = math.inf, note: str = ""
) -> Estimate:
    if not math.isfinite(se):
        return Estimate(value, note="no interval: the information matrix is singular")
    half = critical_value(level, df) * se
    return Estimate(value, value - half, value + half, method, note)


def _patients_behind(positive: NDArray[np.bool_], codes: IntArray | None) -> tuple[float, str]:
    """Return the degrees of freedom of a variance over patients, and a note where they are few."""
    if codes is None:
        fewest = min(int(positive.sum()), int((~positive).sum()))
        return math.inf, FEW_PATIENTS if fewest < FEWEST_PATIENTS else ""
    fewest = min(np.unique(codes[side]).size for side in (positive, ~positive))
    return max(1.0, fewest - 1.0), FEW_PATIENTS if fewest < FEWEST_PATIENTS else ""


def _cases(logits: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.bool_], FloatArray]:
    positive, matrix = checked_cases(labels, logits)
    if matrix.shape[0] != 1:
        raise StatisticsError(f"calibration: logits of one arm are expected, not {len(matrix)}")
    if not positive.size:
        raise StatisticsError("calibration: there is no case")
    return positive, matrix[0]
