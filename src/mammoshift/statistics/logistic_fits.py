"""Logistic fits of one logit, many at once: a slope alone, or an intercept and a slope.

Newton's method on all rows together, each held in a bracket or halved until its loss no longer
rises. `statsmodels` and scikit-learn fit one row at a time and stop at looser tolerances; where
classes are separated they diverge or regularise, while here a limit is met and reported.

References
----------
Guo, Pleiss, Sun and Weinberger 2017, ICML:1321 (temperature). Platt 1999, Advances in Large
Margin Classifiers:61 (smoothed targets).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mammoshift.statistics.inputs import FloatArray

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = math.exp(-5.0), math.exp(5.0)
MANY = 20_000
"""A fit of more than twice as many cases starts where about so many of them, evenly spaced, end."""
_NEWTON_STEPS = 100
_TOLERANCE = 1e-12


def temperatures_of(
    logits: FloatArray, positive: NDArray[np.bool_]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Fit D temperatures at once.

    Parameters
    ----------
    logits, positive
        [D, N], one row for each fit. A logit of 0 carries no information on the temperature, so
        rows of fewer cases can be filled up with zeros.

    Returns
    -------
    scales
        [D], 1/T, within the limits of the temperature; 1 where the fit failed.
    failed
        [D], true where the slope is not positive.
    """
    # The derivative of the negative log-likelihood in the slope rises with it: at slope 0 it is
    # sum((1/2 - y) z), and a root exists above 0 exactly when that is negative.
    failed = ~(((0.5 - positive) * logits).sum(axis=1) < 0.0)
    lowest, highest = 1.0 / HIGHEST_TEMPERATURE, 1.0 / LOWEST_TEMPERATURE
    low, high = np.full(len(logits), lowest), np.full(len(logits), highest)
    scales = np.ones(len(logits))
    few = _evenly_spaced(logits)
    if few is not None:
        scales, _ = temperatures_of(logits[:, few], positive[:, few])
    beyond = _slope_gradient(highest, logits, positive) <= 0.0
    below = _slope_gradient(lowest, logits, positive) >= 0.0
    scales[beyond & ~failed], scales[below & ~failed] = highest, lowest
    active = np.flatnonzero(~(failed | beyond | below))
    for _ in range(_NEWTON_STEPS):
        z, b = logits[active], scales[active]
        p = expit(b[:, None] * z)
        gradient = ((p - positive[active]) * z).sum(axis=1)
        curvature = (p * (1.0 - p) * z * z).sum(axis=1)
        high[active] = np.where(gradient > 0, b, high[active])
        low[active] = np.where(gradient <= 0, b, low[active])
        with np.errstate(divide="ignore", invalid="ignore"):
            step = b - gradient / curvature
        # A step that leaves the bracket is replaced by bisection on the logarithm of the slope.
        inside = (step > low[active]) & (step < high[active])
        moved = np.where(inside, step, np.sqrt(low[active] * high[active]))
        moved = np.where(gradient == 0.0, b, moved)
        scales[active] = moved
        active = active[np.abs(moved - b) > _TOLERANCE * b]
        if not active.size:
            break
    return scales, failed


def at_limit(scales: FloatArray) -> NDArray[np.bool_]:
    """Return where a fitted scale is the lowest or highest that a temperature may have."""
    return (scales <= 1.0 / HIGHEST_TEMPERATURE) | (scales >= 1.0 / LOWEST_TEMPERATURE)


def platt_of(
    logits: FloatArray, positive: NDArray[np.bool_], weights: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Fit D times Platt's intercept and slope at once.

    Parameters
    ----------
    logits, positive
        [D, N], one row for each fit.
    weights
        [D, N], 1 where a case belongs to the fit and 0 where it only fills the row.

    Returns
    -------
    intercepts, slopes
        [D]; 0 and 1 where the fit failed.
    failed
        [D], true where a class is empty, the logits are constant or the slope is not positive.
    """
    if weights is None:
        m = np.count_nonzero(positive, axis=1)[:, None].astype(np.float64)
        n = positive.shape[1] - m
        lowest, highest = logits.min(axis=1), logits.max(axis=1)
    else:
        m = (weights * positive).sum(axis=1, keepdims=True)
        n = weights.sum(axis=1, keepdims=True) - m
        lowest = np.where(weights > 0, logits, np.inf).min(axis=1)
        highest = np.where(weights > 0, logits, -np.inf).max(axis=1)
    targets = np.where(positive, (m + 1.0) / (m + 2.0), 1.0 / (n + 2.0))
    fit = (highest > lowest) & (m[:, 0] > 0) & (n[:, 0] > 0)
    intercepts, slopes = np.zeros(len(logits)), np.ones(len(logits))
    intercepts[fit], slopes[fit] = logistic_lines(
        logits[fit], targets[fit], None if weights is None else weights[fit]
    )
    failed = ~fit | ~(slopes > 0.0)
    return np.where(failed, 0.0, intercepts), np.where(failed, 1.0, slopes), failed


def logistic_lines(
    logits: FloatArray, targets: FloatArray, weights: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Maximise the logistic likelihood of intercept and slope, D times at once.

    Newton's method with step halving on standardised logits. A finite maximum must exist: the
    targets lie strictly between 0 and 1, or the classes overlap; and no row is constant.

    Parameters
    ----------
    logits, targets
        [D, N]; targets in [0, 1].
    weights
        [D, N], not negative; None weighs all cases alike.

    Returns
    -------
    intercepts, slopes
        [D].
    """
    w = np.ones(logits.shape) if weights is None else weights
    total = w.sum(axis=1)
    centre = (w * logits).sum(axis=1) / total
    spread = np.sqrt((w * (logits - centre[:, None]) ** 2).sum(axis=1) / total)
    x = (logits - centre[:, None]) / spread[:, None]
    mean = (w * targets).sum(axis=1) / total
    a, b = np.log(mean) - np.log1p(-mean), np.zeros(len(logits))
    loss = _logistic_loss(a, b, x, targets, w)
    few = _evenly_spaced(logits)
    if few is not None and weights is None:
        a, b, loss = _better_start(a, b, loss, x, targets, w, few)
    active = np.arange(len(logits))
    for _ in range(_NEWTON_STEPS):
        every = active.size == len(logits)
        u, t, v = (x, targets, w) if every else (x[active], targets[active], w[active])
        p = expit(a[active, None] + b[active, None] * u)
        error, weight = v * (p - t), v * p * (1.0 - p)
        g0, g1 = error.sum(axis=1), (error * u).sum(axis=1)
        h00, h01 = weight.sum(axis=1), (weight * u).sum(axis=1)
        h11 = (weight * u * u).sum(axis=1)
        determinant = h00 * h11 - h01 * h01
        with np.errstate(divide="ignore", invalid="ignore"):
            step_a = (h11 * g0 - h01 * g1) / determinant
            step_b = (h00 * g1 - h01 * g0) / determinant
        usable = np.isfinite(step_a) & np.isfinite(step_b)
        step_a, step_b = np.where(usable, step_a, 0.0), np.where(usable, step_b, 0.0)
        new_a, new_b, new_loss = _damped_step(
            a[active], b[active], step_a, step_b, loss[active], (u, t, v)
        )
        moved = np.hypot(new_a - a[active], new_b - b[active])
        a[active], b[active], loss[active] = new_a, new_b, new_loss
        active = active[moved > _TOLERANCE * (1.0 + np.hypot(new_a, new_b))]
        if not active.size:
            break
    slopes = b / spread
    return a - slopes * centre, slopes


def _evenly_spaced(logits: FloatArray) -> slice | None:
    step = logits.shape[1] // MANY
    return slice(None, None, step) if step > 2 else None


def _better_start(
    a: FloatArray,
    b: FloatArray,
    loss: FloatArray,
    x: FloatArray,
    targets: FloatArray,
    w: FloatArray,
    few: slice,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the fit of some of the cases where it has less loss than the start on all of them."""
    chosen, wanted = x[:, few], targets[:, few]
    varies = (np.ptp(chosen, axis=1) > 0) & (np.ptp(wanted, axis=1) > 0)
    if not varies.all():
        return a, b, loss
    start_a, start_b = logistic_lines(chosen, wanted)
    found = _logistic_loss(start_a, start_b, x, targets, w)
    better = np.isfinite(found) & (found < loss)
    return (
        np.where(better, start_a, a),
        np.where(better, start_b, b),
        np.where(better, found, loss),
    )


def _damped_step(
    a: FloatArray,
    b: FloatArray,
    step_a: FloatArray,
    step_b: FloatArray,
    loss: FloatArray,
    cases: tuple[FloatArray, FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Take Newton's step, halved in each row until the loss there no longer rises."""
    size = np.ones(a.size)
    while True:
        new_a, new_b = a - size * step_a, b - size * step_b
        new_loss = _logistic_loss(new_a, new_b, *cases)
        worse = new_loss > loss + 1e-12 * np.abs(loss)
        if not worse.any() or size.min() < 1e-9:
            return new_a, new_b, new_loss
        size = np.where(worse, size / 2.0, size)


def _slope_gradient(scale: float, logits: FloatArray, positive: NDArray[np.bool_]) -> FloatArray:
    return ((expit(scale * logits) - positive) * logits).sum(axis=1)


def _logistic_loss(
    a: FloatArray, b: FloatArray, x: FloatArray, targets: FloatArray, weights: FloatArray
) -> FloatArray:
    line = a[:, None] + b[:, None] * x
    return (weights * (np.logaddexp(0.0, line) - targets * line)).sum(axis=1)
