"""What `mammoshift compare --metric` can compare, and its rows: any measure, tested alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mammoshift.commands.chosen_curves import as_probable_logits
from mammoshift.contracts.external_predictions import DatasetScores
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.auprc import auprc_covariance
from mammoshift.statistics.curve_values import CurveValues, aucs
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.paired_operating_points import (
    rates_of_decisions,
    sensitivities_at_specificity,
)
from mammoshift.statistics.paired_proper_scores import (
    brier_scores,
    likelihoods,
    squared_calibration_errors,
)
from mammoshift.statistics.partial_auc import partial_auc
from mammoshift.statistics.seeding import generator_for


@dataclass(frozen=True)
class At:
    """Where operating points are measured.

    Attributes
    ----------
    specificity
        Of the sensitivity, and the lowest one of the partial AUC.
    sensitivity
        Of the specificity.
    threshold
        On the scale of the table's scores, for sensitivity and specificity instead; None for none.
    of_probabilities
        Whether it cuts probabilities, whose log-odds are what is compared.
    """

    specificity: float = 0.95
    sensitivity: float = 0.9
    threshold: float | None = None
    of_probabilities: bool = False

    @property
    def cut(self) -> float | None:
        """The threshold on the scale of what is compared."""
        if self.threshold is None or not self.of_probabilities:
            return self.threshold
        # By the transformation of the scores, so that one that equals the threshold reaches it.
        return float(as_probable_logits(np.array([self.threshold]), "the threshold")[0])


@dataclass(frozen=True)
class Metric:
    """One measure of curves.

    Attributes
    ----------
    title
        What a table calls it; `at` says where.
    values
        From a dataset, where it is measured and the scores [K, N], its values with covariance.
    lower_is_better
        Whether a larger value is a loss.
    bounded
        Whether it is a share, whose interval is best made on the logit scale.
    needs_logits
        Whether scores must be log-odds.
    needs_classes
        Whether it is undefined where all labels are equal.
    """

    title: str
    values: Callable[[DatasetScores, At], CurveValues]
    lower_is_better: bool = False
    bounded: bool = True
    needs_logits: bool = False
    needs_classes: bool = True


def _auc(part: DatasetScores, _at: At) -> CurveValues:
    found = auc_covariance(part.labels, part.scores, part.patients)
    return aucs(found)


def _auprc(part: DatasetScores, _at: At) -> CurveValues:
    found = auprc_covariance(part.labels, part.scores, part.patients)
    return CurveValues(found.auprc, found.covariance, found.parts)


def _partial_auc(part: DatasetScores, at: At) -> CurveValues:
    found = partial_auc(part.labels, part.scores, at.specificity, part.patients)
    return CurveValues(found.mean_sensitivity, found.covariance, found.parts)


def _sensitivity(part: DatasetScores, at: At) -> CurveValues:
    if at.cut is not None:
        return rates_of_decisions(part.labels, _called(part, at.cut), part.patients)[0]
    return _matched(part, part.labels, part.scores, at.specificity, "sensitivity")


def _specificity(part: DatasetScores, at: At) -> CurveValues:
    if at.cut is not None:
        return rates_of_decisions(part.labels, _called(part, at.cut), part.patients)[1]
    # With labels and scores turned round a specificity is a sensitivity.
    return _matched(part, 1 - part.labels, -part.scores, at.sensitivity, "specificity")


def _called(part: DatasetScores, threshold: float) -> FloatArray:
    return (part.scores >= threshold).astype(np.float64)


def _matched(
    part: DatasetScores, labels: np.ndarray, scores: FloatArray, rate: float, name: str
) -> CurveValues:
    rng = generator_for("compare", part.dataset or "", name)
    return sensitivities_at_specificity(labels, scores, rate, rng, patients=part.patients)


METRICS: dict[str, Metric] = {
    "auc": Metric("AUC", _auc),
    "auprc": Metric("average precision", _auprc),
    "partial_auc": Metric(
        "mean sensitivity at specificities from {specificity:g} to 1", _partial_auc
    ),
    "sensitivity": Metric("sensitivity at {where}", _sensitivity),
    "specificity": Metric("specificity at {where}", _specificity),
    "brier": Metric(
        "Brier score",
        lambda part, _at: brier_scores(part.labels, part.scores, part.patients),
        lower_is_better=True,
        bounded=False,
        needs_logits=True,
        needs_classes=False,
    ),
    "nll": Metric(
        "negative log-likelihood",
        lambda part, _at: likelihoods(part.labels, part.scores, part.patients),
        lower_is_better=True,
        bounded=False,
        needs_logits=True,
        needs_classes=False,
    ),
    "calibration": Metric(
        "squared calibration error, debiased",
        lambda part, _at: squared_calibration_errors(part.labels, part.scores, part.patients),
        lower_is_better=True,
        bounded=False,
        needs_logits=True,
        needs_classes=False,
    ),
}


def values_of(name: str, part: DatasetScores, at: At) -> CurveValues:
    """Return a metric of all curves of a dataset; NaN where it lacks a class that is needed."""
    metric = METRICS[name]
    if metric.needs_classes and part.one_class:
        K = len(part.curves)
        return CurveValues(np.full(K, np.nan), np.full((K, K), np.nan))
    return metric.values(part, at)


def title_of(name: str, at: At) -> str:
    """Return what a table calls a metric, with where it is measured."""
    where = {
        "sensitivity": f"a re-estimated specificity of {at.specificity:g}",
        "specificity": f"a re-estimated sensitivity of {at.sensitivity:g}",
    }.get(name, "")
    if at.threshold is not None:
        where = f"the threshold {at.threshold:g}"
    return METRICS[name].title.format(specificity=at.specificity, where=where)


def positions_of(curves: Sequence[tuple[str, str | None]]) -> dict[str, list[int]]:
    """Return where the curves of each arm are, in the order of the arms."""
    arms: dict[str, list[int]] = {}
    for k, (arm, _) in enumerate(curves):
        arms.setdefault(arm, []).append(k)
    return arms
