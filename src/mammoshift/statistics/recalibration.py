"""Maps that recalibrate a logit: temperature, Platt, prior shift; fitted once or cross-fitted.

Every map here is affine and increasing in the logit, logit' = scale * logit + shift, so ranks and
with them the AUC stay as they were. A temperature T (scale 1/T) repairs over- and
underconfidence only; a change of prevalence or intercept needs Platt's two parameters or a
prior shift.

References
----------
Guo, Pleiss, Sun and Weinberger 2017, ICML:1321 (temperature; for a binary logit as
p = sigmoid(logit / T)). Platt 1999, Advances in Large Margin Classifiers:61 (two parameters,
smoothed targets). Elkan 2001, IJCAI:973; Saerens, Latinne and Decaestecker 2002, Neural
Computation 14:21, equation 2.4 (prior shift).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from mammoshift.errors import StatisticsError
from mammoshift.statistics.inputs import FloatArray, IntArray, checked_cases, cluster_codes

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = math.exp(-5.0), math.exp(5.0)

SEPARATED = (
    "the classes are separated by the logit's sign, so the likelihood rises without end as the "
    f"temperature falls; it is held at its lower limit {LOWEST_TEMPERATURE:.4g}"
)
AT_UPPER_LIMIT = (
    "the logits say so little about the labels that the temperature is held at its upper limit "
    f"{HIGHEST_TEMPERATURE:.4g}"
)
AT_LOWER_LIMIT = f"the temperature is held at its lower limit {LOWEST_TEMPERATURE:.4g}"

_NEWTON_STEPS = 100
_TOLERANCE = 1e-12


@dataclass(frozen=True)
class LogitMap:
    """An increasing affine map of a logit and what it was fitted on.

    Attributes
    ----------
    method
        `identity`, `temperature`, `platt` or `prior_shift`.
    scale, shift
        logit' = scale * logit + shift, with scale > 0.
    n, n_pos
        Cases it was fitted on; 0 where nothing was fitted.
    note
        Says when a limit was met; empty otherwise.
    """

    method: str
    scale: float
    shift: float
    n: int
    n_pos: int
    note: str = ""

    @property
    def temperature(self) -> float:
        """1 / scale."""
        return 1.0 / self.scale

    def apply(self, logits: ArrayLike) -> FloatArray:
        """Return the recalibrated logits, of the same shape."""
        return self.scale * np.asarray(logits, dtype=np.float64) + self.shift


@dataclass(frozen=True)
class CrossFit:
    """Logits recalibrated by maps that never saw the patient they are applied to.

    Attributes
    ----------
    logits
        [N], recalibrated.
    folds
        [N], the fold of each case, 0 .. K-1.
    maps
        The map applied to each fold, fitted on all other folds.
    """

    logits: FloatArray
    folds: IntArray
    maps: tuple[LogitMap, ...]


IDENTITY = LogitMap("identity", 1.0, 0.0, 0, 0)


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> LogitMap:
    """Return the temperature that maximises the likelihood of the labels (Guo 2017).

    1/T is the slope of a logistic regression of the label on the logit without intercept; the
    negative log-likelihood is strictly convex in it, and its root is found to 1e-12 relative.

    Parameters
    ----------
    logits
        [N], finite log-odds of the positive class.
    labels
        [N], 0 or 1; both must occur. Give calibration patients, never the reported ones.

    Raises
    ------
    StatisticsError
        If a class is empty, or if the fitted slope is not positive: higher logits then go with
        negative labels, and no temperature can help.
    """
    positive, row = _fit_cases(labels, logits, "temperature")
    scales, failed = temperatures_of(row[None, :], positive[None, :])
    if failed[0]:
        raise StatisticsError(
            "temperature: the slope of the labels on the logits is not positive, that is, higher "
            "logits do not go with positive labels; check the label's meaning and the AUC"
        )
    scale = float(scales[0])
    separated = bool(((row > 0) <= positive).all() and ((row < 0) <= ~positive).all())
    note = ""
    if at_limit(scales)[0]:
        lower = SEPARATED if separated else AT_LOWER_LIMIT
        note = lower if scale > 1.0 else AT_UPPER_LIMIT
    return LogitMap("temperature", scale, 0.0, row.size, int(positive.sum()), note)


def fit_platt(logits: ArrayLike, labels: ArrayLike) -> LogitMap:
    """Return Platt's slope and intercept, fitted to smoothed targets (Platt 1999).

    Positives get the target (m + 1) / (m + 2), negatives 1 / (n + 2): a uniform prior on each
    class's error, which keeps the fit finite under perfect separation and vanishes as m and n
    grow.

    Parameters
    ----------
    logits, labels
        [N] as in `fit_temperature`.

    Raises
    ------
    StatisticsError
        If a class is empty, all logits are equal, or the slope is not positive.
    """
    positive, row = _fit_cases(labels, logits, "Platt scaling")
    intercepts, slopes, failed = platt_of(row[None, :], positive[None, :])
    if failed[0]:
        reason = (
            "all logits are equal"
            if np.ptp(row) == 0
            else "the slope of the labels on the logits is not positive; check the label's "
            "meaning and the AUC"
        )
        raise StatisticsError(f"Platt scaling: {reason}")
    return LogitMap("platt", float(slopes[0]), float(intercepts[0]), row.size, int(positive.sum()))


def prior_shift(source_prevalence: float, target_prevalence: float) -> LogitMap:
    """Return the shift of the log-odds for a new prevalence.

    It is right where only the share of positives changed and each class looks as it did.

    Parameters
    ----------
    source_prevalence, target_prevalence
        Shares of positives in (0, 1); the first is that of the cases that the model was fitted
        (or calibrated) on.
    """
    for name, value in (("source", source_prevalence), ("target", target_prevalence)):
        if not 0.0 < value < 1.0:
            raise StatisticsError(
                f"prior shift: the {name} prevalence is {value}; it must lie between 0 and 1"
            )
    shift = math.log(target_prevalence) - math.log1p(-target_prevalence)
    shift -= math.log(source_prevalence) - math.log1p(-source_prevalence)
    return LogitMap("prior_shift", 1.0, shift, 0, 0)


def cross_fit(
    logits: ArrayLike,
    labels: ArrayLike,
    fit: Callable[[ArrayLike, ArrayLike], LogitMap],
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    folds: int = 5,
) -> CrossFit:
    """Recalibrate every case by a map fitted on the other folds' patients.

    Parameters
    ----------
    logits, labels
        [N].
    fit
        `fit_temperature`, `fit_platt` or a function like them.
    rng
        Draws the folds. Patients are dealt out in turn, those with a positive case first, so
        that the folds have nearly equal numbers of each.
    patients
        [N]; None treats every case as its own patient.
    folds
        K >= 2.

    Raises
    ------
    StatisticsError
        If there are fewer patients of a class than folds, or a fit fails; the fold is named.
    """
    positive, row = _fit_cases(labels, logits, "cross-fitting")
    of = patient_folds(positive, rng, patients=patients, folds=folds)
    recalibrated = np.empty(row.size)
    maps = []
    for fold in range(folds):
        held_out = of == fold
        try:
            fitted = fit(row[~held_out], positive[~held_out])
        except StatisticsError as error:
            raise StatisticsError(f"cross-fitting, fold {fold + 1} of {folds}: {error}") from error
        recalibrated[held_out] = fitted.apply(row[held_out])
        maps.append(fitted)
    return CrossFit(recalibrated, of, tuple(maps))


def patient_folds(
    labels: ArrayLike,
    rng: np.random.Generator,
    *,
    patients: ArrayLike | None = None,
    folds: int = 5,
) -> IntArray:
    """Return the fold [N] of each case: grouped by patient, stratified by the patient's class.

    Raises
    ------
    StatisticsError
        If `folds` is below 2, or fewer patients than `folds` have a positive, or a negative, case.
    """
    positive, _ = checked_cases(labels, np.zeros(np.shape(labels)))
    N = positive.size
    codes = np.arange(N, dtype=np.intp) if patients is None else cluster_codes(patients, N)
    if folds < 2:
        raise StatisticsError(f"cross-fitting needs at least 2 folds, not {folds}")
    size = int(codes.max()) + 1
    has_positive = np.bincount(codes[positive], minlength=size) > 0
    has_negative = np.bincount(codes[~positive], minlength=size) > 0
    for group, name in ((has_positive, "positive"), (has_negative, "negative")):
        if np.count_nonzero(group) < folds:
            raise StatisticsError(
                f"cross-fitting with {folds} folds needs {folds} patients with a {name} case; "
                f"there are {np.count_nonzero(group)}"
            )
    fold_of = np.empty(size, dtype=np.intp)
    dealt = np.concatenate(
        [
            rng.permutation(np.flatnonzero(group))
            for group in (has_positive & ~has_negative, has_positive & has_negative, ~has_positive)
        ]
    )
    fold_of[dealt] = np.arange(size) % folds
    return fold_of[codes]


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
    used = np.ones(logits.shape) if weights is None else weights
    m = (used * positive).sum(axis=1, keepdims=True)
    n = used.sum(axis=1, keepdims=True) - m
    targets = np.where(positive, (m + 1.0) / (m + 2.0), 1.0 / (n + 2.0))
    lowest = np.where(used > 0, logits, np.inf).min(axis=1)
    highest = np.where(used > 0, logits, -np.inf).max(axis=1)
    fit = (highest > lowest) & (m[:, 0] > 0) & (n[:, 0] > 0)
    intercepts, slopes = np.zeros(len(logits)), np.ones(len(logits))
    intercepts[fit], slopes[fit] = logistic_lines(logits[fit], targets[fit], used[fit])
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
    active = np.arange(len(logits))
    for _ in range(_NEWTON_STEPS):
        u, t, v = x[active], targets[active], w[active]
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


def _fit_cases(
    labels: ArrayLike, logits: ArrayLike, what: str
) -> tuple[NDArray[np.bool_], FloatArray]:
    positive, matrix = checked_cases(labels, logits)
    if matrix.shape[0] != 1:
        raise StatisticsError(f"{what}: logits of one arm are expected, not of {len(matrix)}")
    for present, name in ((positive.any(), "positive"), ((~positive).any(), "negative")):
        if not present:
            raise StatisticsError(f"{what}: there is no {name} case among {positive.size}")
    return positive, matrix[0]
