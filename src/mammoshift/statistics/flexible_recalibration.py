"""Maps of a logit with more freedom than a line: beta calibration and isotonic regression.

Both need many labelled cases, and below that are refused: a beta map has three parameters, and an
isotonic one as many steps as the cases ask for, which on fewer than about a thousand cases follow
their noise. In simulations (`benchmarks/failing_calibration.py`) a map of the least number allowed
costs at most about 0.01 nat a case where Platt's line is right, and is worse than no map in at most
2 % of samples. Further images of a patient are hardly further evidence, so that `too_few` counts
patients. An isotonic map makes ties, so that the AUC may change a little.

References
----------
Kull, Silva Filho and Flach 2017, AISTATS:623 (beta calibration). Zadrozny and Elkan 2002, KDD:694
(isotonic regression). Niculescu-Mizil and Caruana 2005, ICML:625 (how many cases it needs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, logit

from mammoshift.errors import StatisticsError
from mammoshift.statistics.inputs import FloatArray, checked_classes, cluster_codes

FEWEST_FOR_BETA = 50
FEWEST_FOR_ISOTONIC = 1000
FEWEST_OF_A_CLASS = 100
COSTS_LITTLE = 4000
COSTLY = (
    f"isotonic map of fewer than {COSTS_LITTLE} cases: where Platt's line is right it costs about "
    "0.01 nat a case with 1000, and 0.003 with 4000"
)
_STEPS = 100
_LARGEST = 1e6


@dataclass(frozen=True)
class BetaMap:
    """logit' = a ln p - b ln(1 - p) + shift with p = sigmoid(logit), a and b not negative.

    a = b = 1 with shift 0 is the identity; a = b is Platt's map with slope a.
    """

    a: float
    b: float
    shift: float
    n: int
    n_pos: int
    method: str = "beta"
    note: str = ""

    def apply(self, logits: ArrayLike) -> FloatArray:
        """Return the recalibrated logits, of the same shape."""
        row = np.asarray(logits, dtype=np.float64)
        return self.a * log_expit(row) - self.b * log_expit(-row) + self.shift


@dataclass(frozen=True)
class IsotonicMap:
    """A rising map through `points` of (logit, probability), straight between, constant beyond.

    Probabilities stay within 1 / (n + 2) of 0 and 1, so that logits are finite.
    """

    at: FloatArray
    probabilities: FloatArray
    n: int
    n_pos: int
    method: str = "isotonic"
    note: str = ""

    def apply(self, logits: ArrayLike) -> FloatArray:
        """Return the recalibrated logits, of the same shape."""
        row = np.asarray(logits, dtype=np.float64)
        return np.asarray(logit(np.interp(row, self.at, self.probabilities)))


def too_few(
    method: Literal["beta", "isotonic"],
    labels: ArrayLike,
    patients: ArrayLike | None,
    share: float = 1.0,
) -> str:
    """Return why a map cannot be fitted to so few patients, empty where it can.

    Parameters
    ----------
    method
        Which map.
    labels
        [N], 0 or 1.
    patients
        [N]; None takes every case as a patient of its own.
    share
        Of the patients that a fit gets, in (0, 1]; less than 1 where some are held out.
    """
    positive = np.asarray(labels) == 1
    N = positive.size
    owners = np.arange(N) if patients is None else cluster_codes(patients, N)
    count = int(share * np.unique(owners).size)
    fewest = int(share * min(np.unique(owners[side]).size for side in (positive, ~positive)))
    if method == "beta" and fewest < FEWEST_FOR_BETA:
        return (
            f"beta calibration: {fewest} patients of one class; with fewer than {FEWEST_FOR_BETA} "
            "its three parameters are not known, use Platt's two"
        )
    if method == "isotonic" and (count < FEWEST_FOR_ISOTONIC or fewest < FEWEST_OF_A_CLASS):
        return (
            f"isotonic calibration: {count} patients, {fewest} of one class; with fewer than "
            f"{FEWEST_FOR_ISOTONIC}, {FEWEST_OF_A_CLASS} of each class, it follows their noise, "
            "use Platt's map"
        )
    return ""


def fit_beta(logits: ArrayLike, labels: ArrayLike) -> BetaMap:
    """Return the beta map that maximises the likelihood of the labels (Kull 2017).

    A coefficient that would be negative is held at zero, as the authors do, so that the map rises.

    Parameters
    ----------
    logits, labels
        [N]; at least 50 cases of each class, and of other patients, see `too_few`.

    Raises
    ------
    StatisticsError
        If a class has too few cases, the classes are separated or the logits are constant, or
        higher logits do not go with positive labels.
    """
    positive, row = checked_classes(labels, logits, "beta calibration")
    reason = too_few("beta", positive, None)
    if reason:
        raise StatisticsError(reason)
    above, below = row[positive], row[~positive]
    if np.ptp(row) == 0 or above.min() >= below.max() or above.max() <= below.min():
        raise StatisticsError("beta calibration: the logits are constant or separate the classes")
    design = np.column_stack([log_expit(row), -log_expit(-row), np.ones(row.size)])
    used = np.array([True, True, True])
    while True:
        found = np.zeros(3)
        found[used] = _logistic_coefficients(design[:, used], positive)
        negative = found[:2] < 0.0
        if not negative.any():
            break
        used[int(np.argmin(found[:2]))] = False
        if not used[:2].any():
            raise StatisticsError(
                "beta calibration: higher logits do not go with positive labels; check the "
                "label's meaning and the AUC"
            )
    a, b, shift = map(float, found)
    return BetaMap(a, b, shift, row.size, int(positive.sum()))


def fit_isotonic(logits: ArrayLike, labels: ArrayLike) -> IsotonicMap:
    """Return the rising map of least squared error (Zadrozny and Elkan 2002), by scikit-learn.

    Parameters
    ----------
    logits, labels
        [N]; at least 1000 cases, 100 of each class, and of other patients, see `too_few`.

    Raises
    ------
    StatisticsError
        If there are too few cases.
    """
    # Importing it takes a second, which other maps do not need.
    from sklearn.isotonic import IsotonicRegression

    positive, row = checked_classes(labels, logits, "isotonic calibration")
    reason = too_few("isotonic", positive, None)
    if reason:
        raise StatisticsError(reason)
    edge = 1.0 / (row.size + 2.0)
    fitted = IsotonicRegression(y_min=edge, y_max=1.0 - edge).fit(row, positive)
    return IsotonicMap(
        np.asarray(fitted.X_thresholds_, dtype=np.float64),
        np.asarray(fitted.y_thresholds_, dtype=np.float64),
        row.size,
        int(positive.sum()),
        note=COSTLY if row.size < COSTS_LITTLE else "",
    )


def _logistic_coefficients(design: FloatArray, positive: NDArray[np.bool_]) -> FloatArray:
    """Maximise the logistic likelihood over a few columns [N, C] by Newton's method, damped."""
    beta = np.zeros(design.shape[1])
    loss = positive.size * np.log(2.0)
    for _ in range(_STEPS):
        p = expit(design @ beta)
        gradient = design.T @ (p - positive)
        information = (design * (p * (1.0 - p))[:, None]).T @ design
        step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        size = 1.0
        while True:
            moved = beta - size * step
            line = design @ moved
            found = float(np.sum(np.logaddexp(0.0, line) - positive * line))
            if found <= loss + 1e-12 * abs(loss) or size < 1e-9:
                break
            size /= 2.0
        distance = float(np.abs(moved - beta).max())
        beta, loss = moved, found
        if np.abs(beta).max() > _LARGEST:
            raise StatisticsError("beta calibration: the classes are separated, so no map is best")
        if distance <= 1e-10 * (1.0 + float(np.abs(beta).max())):
            break
    return beta
