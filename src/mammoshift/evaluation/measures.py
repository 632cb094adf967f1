"""What the curves of a cell are compared by beside the AUC: operating points and proper scores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from mammoshift.configuration.judged import LossSettings
from mammoshift.evaluation.grid import Cell, FloatArray, Grid
from mammoshift.evaluation.thresholds import (
    OWN_VALIDATION,
    REESTIMATED,
    criterion_of,
    why_no_threshold,
)
from mammoshift.statistics.curve_values import CurveValues
from mammoshift.statistics.paired_operating_points import (
    rates_of_decisions,
    sensitivities_at_specificity,
)
from mammoshift.statistics.paired_proper_scores import (
    brier_scores,
    likelihoods,
    squared_calibration_errors,
)
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.thresholds import threshold_at_specificity

FIXED_THRESHOLD = "thresholds held fixed"


@dataclass(frozen=True)
class Measure:
    """What is compared; the fields are columns of the comparison table."""

    metric: str
    criterion: str = ""
    threshold_from: str = ""

    @property
    def note(self) -> str:
        """What a reader of a test of it must know."""
        return FIXED_THRESHOLD if self.threshold_from == OWN_VALIDATION else ""


@dataclass
class Measures:
    """The measures of all cells of a study, each worked out once.

    A cell whose cases are of one class has none. A curve without a threshold is NaN.
    """

    settings: LossSettings
    grid: Grid
    _known: dict[tuple[str, str, str], dict[Measure, CurveValues]] = field(default_factory=dict)

    def operating_points(self, cell: Cell) -> dict[Measure, CurveValues]:
        """Return sensitivity where the specificity is reached here, and both at own thresholds."""
        key = (cell.domain, cell.subset, "operating points")
        if key not in self._known:
            self._known[key] = self._operating_points(cell)
        return self._known[key]

    def proper_scores(self, cell: Cell) -> dict[Measure, CurveValues]:
        """Return Brier score, likelihood and calibration error of the logits as they are."""
        key = (cell.domain, cell.subset, "proper scores")
        if key not in self._known:
            parts = (cell.labels, cell.curves, cell.clusters)
            self._known[key] = {
                Measure("brier"): brier_scores(*parts),
                Measure("nll"): likelihoods(*parts),
                Measure("squared_calibration_error"): squared_calibration_errors(*parts),
            }
        return self._known[key]

    def _operating_points(self, cell: Cell) -> dict[Measure, CurveValues]:
        if len(set(cell.labels)) < 2:
            return {}
        settings = self.settings
        at = criterion_of(settings.specificity)
        names = (settings.study, cell.domain, cell.subset, "paired sensitivity")
        found = {
            Measure("sensitivity", at, REESTIMATED): sensitivities_at_specificity(
                cell.labels,
                cell.curves,
                settings.specificity,
                generator_for(*names),
                patients=cell.clusters,
                resamples=settings.bootstrap_resamples,
            )
        }
        thresholds = self._own_thresholds(cell)
        known = np.isfinite(thresholds)
        if known.any():
            called = cell.curves[known] >= thresholds[known, None]
            pair = rates_of_decisions(cell.labels, called, cell.clusters)
            for metric, values in zip(("sensitivity", "specificity"), pair, strict=True):
                found[Measure(metric, at, OWN_VALIDATION)] = _spread(values, known)
        return found

    def _own_thresholds(self, cell: Cell) -> FloatArray:
        """Return the threshold [curves] that each curve got on its arm's validation patients."""
        thresholds = []
        for arm in cell.arms:
            validation = self.grid.validation_of(arm)
            for s in range(len(cell.seeds)):
                if validation is None or why_no_threshold(self.grid, arm):
                    thresholds.append(np.nan)
                    continue
                scores = validation.of(arm)[s]
                found = threshold_at_specificity(
                    validation.labels, scores, self.settings.specificity
                )
                thresholds.append(found.value)
        return np.array(thresholds)


def _spread(values: CurveValues, known: np.ndarray) -> CurveValues:
    """Return the values of the known curves among all, NaN for the others."""
    size = known.size
    at = np.flatnonzero(known)
    means, covariance = np.full(size, np.nan), np.full((size, size), np.nan)
    means[at] = values.values
    covariance[np.ix_(at, at)] = values.covariance
    parts = []
    for part in values.parts:
        wide = np.zeros((size, size))
        wide[np.ix_(at, at)] = part.covariance
        parts.append(replace(part, covariance=wide))
    return CurveValues(means, covariance, tuple(parts), values.beforehand)
