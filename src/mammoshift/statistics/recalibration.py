"""Maps that recalibrate a logit: temperature, Platt, prior shift.

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
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mammoshift.errors import StatisticsError
from mammoshift.statistics.inputs import FloatArray, checked_classes
from mammoshift.statistics.logistic_fits import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    at_limit,
    platt_of,
    temperatures_of,
)

SEPARATED = (
    "the classes are separated by the logit's sign, so the likelihood rises without end as the "
    f"temperature falls; it is held at its lower limit {LOWEST_TEMPERATURE:.4g}"
)
AT_UPPER_LIMIT = (
    "the logits say so little about the labels that the temperature is held at its upper limit "
    f"{HIGHEST_TEMPERATURE:.4g}"
)
AT_LOWER_LIMIT = f"the temperature is held at its lower limit {LOWEST_TEMPERATURE:.4g}"


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
    positive, row = checked_classes(labels, logits, "temperature")
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
    positive, row = checked_classes(labels, logits, "Platt scaling")
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
