"""Calibration in the large, intercept and slope: how the labels' log-odds depend on the logit.

References
----------
Cox 1958, Biometrika 45:562 (intercept and slope). Liang and Zeger 1986, Biometrika 73:13
(cluster-robust standard errors).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from mammoshift.statistics.inputs import FloatArray, IntArray, checked_curve, cluster_codes
from mammoshift.statistics.logistic_fits import MANY, logistic_lines
from mammoshift.statistics.proportions import Estimate, undefined, wald_estimate

SEPARATED = "undefined: the logits separate the classes, so no finite slope exists"
CONSTANT = "undefined: all logits are equal"
ONE_CLASS = "undefined: all labels are equal"
FEWEST_PATIENTS = 8
FEW_PATIENTS = (
    f"fewer than {FEWEST_PATIENTS} patients of one class: intercept and slope are hardly known"
)
WIDE_BELOW = 20
WIDE = (
    f"fewer than {WIDE_BELOW} patients of one class: intervals of intercept and slope are on the "
    "wide side (95 % intervals of the slope cover 97 to 98 %)"
)


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
    positive, row = checked_curve(labels, logits, "calibration")
    codes = None if patients is None else cluster_codes(patients, row.size)
    if positive.all() or not positive.any():
        return CalibrationLine(*(undefined(ONE_CLASS) for _ in range(3)))
    df, few = _patients_behind(positive, codes)
    shift = _in_the_large(row, positive)
    spread = _robust_se(np.ones((row.size, 1)), row + shift, positive, codes)
    method = "wald" if codes is None else "wald_patient_robust"
    in_the_large = wald_estimate(shift, float(spread[0]), method, level, df, few)
    reason = _no_line(row, positive)
    if reason:
        return CalibrationLine(in_the_large, undefined(reason), undefined(reason))
    intercepts, slopes = logistic_lines(row[None, :], positive[None, :].astype(np.float64))
    a, b = float(intercepts[0]), float(slopes[0])
    spread = _robust_se(np.column_stack([np.ones(row.size), row]), a + b * row, positive, codes)
    return CalibrationLine(
        in_the_large,
        wald_estimate(a, float(spread[0]), method, level, df, few),
        wald_estimate(b, float(spread[1]), method, level, df, few),
    )


def _in_the_large(logits: FloatArray, positive: NDArray[np.bool_]) -> float:
    """Return the shift of all logits at which the mean probability is the share of positives."""
    # The root lies between the shifts that would suit the highest and the lowest logit alone;
    # Newton's steps are kept inside that bracket, which shrinks with every step.
    share = float(positive.mean())
    odds = math.log(share) - math.log1p(-share)
    low, high = odds - float(logits.max()), odds - float(logits.min())
    start = 0.0
    if logits.size > 2 * MANY and positive[:: logits.size // MANY].any():
        few = slice(None, None, logits.size // MANY)
        start = 0.0 if positive[few].all() else _in_the_large(logits[few], positive[few])
    shift = min(max(start, low), high)
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


def _patients_behind(positive: NDArray[np.bool_], codes: IntArray | None) -> tuple[float, str]:
    """Return the degrees of freedom of a variance over patients, and a note where they are few."""
    if codes is None:
        fewest = min(int(positive.sum()), int((~positive).sum()))
        return math.inf, FEW_PATIENTS if fewest < FEWEST_PATIENTS else ""
    fewest = min(int(np.count_nonzero(np.bincount(codes[side]))) for side in (positive, ~positive))
    note = FEW_PATIENTS if fewest < FEWEST_PATIENTS else WIDE if fewest < WIDE_BELOW else ""
    return max(1.0, fewest - 1.0), note
