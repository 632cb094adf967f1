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
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mammoshift.statistics.inputs import FloatArray

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = math.exp(-5.0), math.exp(5.0)
MANY = 20_000
"""A fit of more than twice as many cases starts where about so many of them, evenly spaced, end."""
_NEWTON_STEPS, _QUICK_STEPS = 100, 5
_TOLERANCE = 1e-12
_SAFE_STEP = 0.5
"""A Newton step that moves no case's log-odds farther cannot raise the loss: along it their weights
p (1 - p) change by less than a factor of e^0.5, and less than 2 is enough."""
_EXTREME = 30.0
"""Log-odds beyond which cases have no weight left to start Newton's method from."""
Cases = tuple[FloatArray, FloatArray, FloatArray | None]
"""Logits, targets and weights of D fits, [D, N] each; None weighs all alike."""


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
    active, unasked = np.flatnonzero(~failed), ~failed
    for number in range(_NEWTON_STEPS):
        every = active.size == len(logits)
        z, y = (logits, positive) if every else (logits[active], positive[active])
        b = scales[active]
        p = expit(b[:, None] * z)
        gradient = np.vecdot(p - y, z)
        p *= (1.0 - p) * z
        curvature = np.vecdot(p, z)
        high[active] = np.where(gradient > 0, b, high[active])
        low[active] = np.where(gradient <= 0, b, low[active])
        with np.errstate(divide="ignore", invalid="ignore"):
            step = b - gradient / curvature
        # A step that leaves the bracket is replaced by bisection on the logarithm of the slope.
        inside = (step > low[active]) & (step < high[active])
        moved = np.where(inside, step, np.sqrt(low[active] * high[active]))
        # At the root a step may be lost in rounding, and then end on the bracket.
        there = (gradient == 0.0) | (np.abs(step - b) <= _TOLERANCE * b)
        moved = np.where(there, b, moved)
        # A row that leaves it, or is slow, may have its root beyond a limit; it is asked once.
        slow = (~inside & ~there) | (gradient == 0.0) | (number >= _QUICK_STEPS)
        asked = np.flatnonzero(slow & unasked[active])
        for sign, limit in ((1.0, highest), (-1.0, lowest)):
            rows = asked[sign * gradient[asked] <= 0.0]
            beyond = rows[sign * _slope_gradient(limit, z[rows], y[rows]) <= 0.0]
            moved[beyond] = b[beyond] = limit
        unasked[active[asked]] = False
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
    D, N = logits.shape
    total = np.full(D, float(N)) if weights is None else weights.sum(axis=1)
    centre = _weighted(logits, weights).sum(axis=1) / total
    x = logits - centre[:, None]
    spread = np.sqrt(np.vecdot(_weighted(x, weights), x) / total)
    x /= spread[:, None]
    farthest = np.abs(x).max(axis=1)
    mean = _weighted(targets, weights).sum(axis=1) / total
    a, b = np.log(mean) - np.log1p(-mean), np.zeros(D)
    few = _evenly_spaced(logits)
    if few is not None and weights is None:
        a, b = _better_start(a, b, x, targets, few)
    active = np.arange(D)
    for _ in range(_NEWTON_STEPS):
        cases = x, targets, weights
        u, t, v = cases if active.size == D else _rows(cases, active)
        p = expit(a[active, None] + b[active, None] * u)
        error = _weighted(p - t, v)
        g0, g1 = error.sum(axis=1), np.vecdot(error, u)
        p *= 1.0 - p
        weight = _weighted(p, v)
        h00, h01 = weight.sum(axis=1), np.vecdot(weight, u)
        weight *= u
        h11 = np.vecdot(weight, u)
        determinant = h00 * h11 - h01 * h01
        with np.errstate(divide="ignore", invalid="ignore"):
            step_a = (h11 * g0 - h01 * g1) / determinant
            step_b = (h00 * g1 - h01 * g0) / determinant
        usable = np.isfinite(step_a) & np.isfinite(step_b)
        step_a, step_b = np.where(usable, step_a, 0.0), np.where(usable, step_b, 0.0)
        new_a, new_b = a[active] - step_a, b[active] - step_b
        far = np.abs(step_a) + np.abs(step_b) * farthest[active] > _SAFE_STEP
        if far.any():
            which = active[far]
            new_a[far], new_b[far] = _damped_step(
                a[which], b[which], step_a[far], step_b[far], _rows((u, t, v), far)
            )
        moved = np.hypot(new_a - a[active], new_b - b[active])
        a[active], b[active] = new_a, new_b
        active = active[moved > _TOLERANCE * (1.0 + np.hypot(new_a, new_b))]
        if not active.size:
            break
    slopes = b / spread
    return a - slopes * centre, slopes


def _evenly_spaced(logits: FloatArray) -> slice | None:
    step = logits.shape[1] // MANY
    return slice(None, None, step) if step > 2 else None


def _weighted(values: FloatArray, weights: FloatArray | None) -> FloatArray:
    return values if weights is None else weights * values


def _rows(cases: Cases, which: NDArray[Any]) -> Cases:
    x, targets, weights = cases
    return x[which], targets[which], None if weights is None else weights[which]


def _better_start(
    a: FloatArray, b: FloatArray, x: FloatArray, targets: FloatArray, few: slice
) -> tuple[FloatArray, FloatArray]:
    """Return the fit of some of the cases, but for an extreme one that has more loss on all."""
    chosen, wanted = x[:, few], targets[:, few]
    varies = (np.ptp(chosen, axis=1) > 0) & (np.ptp(wanted, axis=1) > 0)
    if not varies.all():
        return a, b
    start_a, start_b = logistic_lines(chosen, wanted)
    reach = np.abs(start_a) + np.abs(start_b) * np.abs(x).max(axis=1)
    if (reach < _EXTREME).all():
        return start_a, start_b
    before = _logistic_loss(a, b, (x, targets, None))
    found = _logistic_loss(start_a, start_b, (x, targets, None))
    better = np.isfinite(found) & (found < before)
    return np.where(better, start_a, a), np.where(better, start_b, b)


def _damped_step(
    a: FloatArray,
    b: FloatArray,
    step_a: FloatArray,
    step_b: FloatArray,
    cases: Cases,
) -> tuple[FloatArray, FloatArray]:
    """Take Newton's step, halved in each row until the loss there no longer rises."""
    size = np.ones(a.size)
    loss = _logistic_loss(a, b, cases)
    while True:
        new_a, new_b = a - size * step_a, b - size * step_b
        new_loss = _logistic_loss(new_a, new_b, cases)
        worse = new_loss > loss + 1e-12 * np.abs(loss)
        if not worse.any() or size.min() < 1e-9:
            return new_a, new_b
        size = np.where(worse, size / 2.0, size)


def _slope_gradient(scale: float, logits: FloatArray, positive: NDArray[np.bool_]) -> FloatArray:
    return ((expit(scale * logits) - positive) * logits).sum(axis=1)


def _logistic_loss(a: FloatArray, b: FloatArray, cases: Cases) -> FloatArray:
    x, targets, weights = cases
    line = a[:, None] + b[:, None] * x
    return _weighted(np.logaddexp(0.0, line) - targets * line, weights).sum(axis=1)
