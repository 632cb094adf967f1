"""Operating points: metrics at thresholds that were chosen elsewhere, or on the judged cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from mammoshift.configuration.judged import EvaluationSettings
from mammoshift.evaluation.grid import Cell, FloatArray, Grid
from mammoshift.evaluation.rows import CHECKPOINTS, LEAKS, MetricRow, metric_row
from mammoshift.statistics.bootstrap import percentile_interval, resamples_text
from mammoshift.statistics.bootstrap_curves import bootstrap_curves
from mammoshift.statistics.confusion import ConfusionMatrix, confusion_matrix, confusion_metrics
from mammoshift.statistics.operating_points import operating_points_of
from mammoshift.statistics.patient_confusion import patient_confusion_metrics
from mammoshift.statistics.proportions import Estimate, undefined
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.thresholds import (
    Threshold,
    g_mean_threshold,
    threshold_at_specificity,
    youden_threshold,
)

OWN_VALIDATION = "own_validation"
REESTIMATED = "reestimated"
FIXED = "fixed"
JUDGED = "judged_cases"
OPTIMISTIC = "optimistic: the threshold was chosen on the judged cases"
ONE_CLASS = "undefined: the cases are all of one class"
REPORTED_AT_A_THRESHOLD = (
    "sensitivity",
    "specificity",
    "accuracy",
    "balanced_accuracy",
    "precision",
    "f1",
)
_Maker = Callable[[str, Estimate, str], MetricRow]


@dataclass(frozen=True)
class Curve:
    """One curve of a cell: an arm with one seed, or the mean logit of its seeds."""

    arm: str
    seed: str
    logits: FloatArray


@dataclass(frozen=True)
class _Rule:
    """How a threshold is chosen and where; `stream` names the random streams that it uses."""

    criterion: str
    threshold_from: str
    stream: str


def curves_of(cell: Cell) -> list[Curve]:
    """Return every arm with every seed, then the ensembles."""
    single = [
        Curve(arm, str(seed), cell.of(arm)[s])
        for arm in cell.arms
        for s, seed in enumerate(cell.seeds)
    ]
    ensembles = [Curve(arm, "ensemble", cell.ensemble[a]) for a, arm in enumerate(cell.arms)]
    return single + ensembles


def criterion_of(specificity: float) -> str:
    """Return the name of a criterion that holds the specificity, such as `specificity_0.95`."""
    return f"specificity_{specificity:g}"


def operating_points(settings: EvaluationSettings, grid: Grid, cell: Cell) -> Iterator[MetricRow]:
    """Yield the metrics of every curve of a cell at thresholds.

    Transferred thresholds are those of the arm's own validation patients; an arm without them, or
    with those of one class, has a null row instead.
    """
    study, specificity = settings.study, settings.specificity
    percent = f"{100 * specificity:g}".replace(".", "")
    at = criterion_of(specificity)
    transferred = _Rule(at, OWN_VALIDATION, f"spec{percent}_transferred")
    one_class = len(set(cell.labels)) < 2
    reasons = {arm: ONE_CLASS if one_class else why_no_threshold(grid, arm) for arm in cell.arms}
    for arm, reason in reasons.items():
        if reason:
            make = _threshold_rows(study, cell, arm, "mean", transferred)
            yield make("sensitivity", undefined(reason), "")
    if one_class:
        return
    yield from _reestimated(settings, cell, _Rule(at, REESTIMATED, f"spec{percent}_reestimated"))
    chosen: dict[_Rule, Callable[[np.ndarray, FloatArray], Threshold]] = {
        transferred: lambda y, s: threshold_at_specificity(y, s, specificity),
        _Rule("youden", OWN_VALIDATION, "youden_validation"): youden_threshold,
        _Rule("g_mean", OWN_VALIDATION, "gmean_validation"): g_mean_threshold,
    }
    for rule, choose in chosen.items():
        rows = []
        for curve in curves_of(cell):
            validation = grid.validation_of(curve.arm)
            if validation is None or reasons[curve.arm]:
                continue
            threshold = choose(validation.labels, _same_curve(validation, curve))
            note = LEAKS[validation.leak]
            rows += _at_threshold(settings.study, cell, curve, threshold, rule, note)
        yield from rows
        yield from _means_over_seeds(study, cell, rows, rule)
    yield from _without_validation(study, cell)


def _without_validation(study: str, cell: Cell) -> Iterator[MetricRow]:
    """Yield the metrics at a probability of one half, and at the optimum of the judged cases."""
    for rule in (
        _Rule("probability_0.5", FIXED, "probability_05"),
        _Rule("g_mean", JUDGED, "gmean_judged"),
    ):
        rows = []
        for curve in curves_of(cell):
            best = g_mean_threshold(cell.labels, curve.logits)
            threshold = best if rule.threshold_from == JUDGED else replace(best, value=0.0, note="")
            leak = OPTIMISTIC if rule.threshold_from == JUDGED else ""
            rows += _at_threshold(study, cell, curve, threshold, rule, leak)
        yield from rows
        yield from _means_over_seeds(study, cell, rows, rule)


def why_no_threshold(grid: Grid, arm: str) -> str:
    """Return why an arm has no threshold of its own validation patients; empty where it has."""
    validation = grid.validation_of(arm)
    if validation is None:
        return grid.why_no_validation(arm)
    return ONE_CLASS if len(set(validation.labels)) < 2 else ""


def _same_curve(cell: Cell, curve: Curve) -> FloatArray:
    own = cell.of(curve.arm)
    if curve.seed == "ensemble":
        return cell.ensemble[cell.arms.index(curve.arm)]
    return own[cell.seeds.index(int(curve.seed))]


def _reestimated(settings: EvaluationSettings, cell: Cell, rule: _Rule) -> Iterator[MetricRow]:
    curves = curves_of(cell)
    scores = np.stack([curve.logits for curve in curves])
    resamples = settings.bootstrap_resamples
    replicates = bootstrap_curves(
        cell.labels,
        scores,
        generator_for(settings.study, cell.domain, cell.subset, rule.stream),
        patients=cell.clusters,
        specificities=(settings.specificity,),
        resamples=resamples,
    )
    points = operating_points_of(cell.labels, scores, replicates, 0, patients=cell.clusters)
    for curve, point in zip(curves, points, strict=True):
        make = _threshold_rows(settings.study, cell, curve.arm, curve.seed, rule)
        yield make("sensitivity", point.sensitivity, point.note)
        yield make("specificity", point.specificity, "")
        yield make("threshold", Estimate(point.threshold), "")
        yield from _counts(make, point.matrix)
    for arm in cell.arms:
        positions = cell.positions(arm)
        values = [points[k].sensitivity.value for k in positions]
        low, high = percentile_interval(replicates.sensitivity[0, positions].mean(axis=0))
        method = resamples_text(resamples)
        known = [value for value in values if value is not None]
        mean = Estimate(float(np.mean(known)), float(low), float(high), method)
        make = _threshold_rows(settings.study, cell, arm, "mean", rule)
        fixed = CHECKPOINTS if len(positions) > 1 else ""
        yield make("sensitivity", mean, fixed)
        reached = [points[k].specificity.value or 0.0 for k in positions]
        yield make("specificity", Estimate(float(np.mean(reached))), "")


def _at_threshold(
    study: str,
    cell: Cell,
    curve: Curve,
    threshold: Threshold,
    rule: _Rule,
    leak: str,
) -> Iterator[MetricRow]:
    called = curve.logits >= threshold.value
    matrix = confusion_matrix(cell.labels, called)
    metrics = (
        patient_confusion_metrics(cell.labels, called.astype(np.int8), cell.clusters)
        if cell.clustered
        else confusion_metrics(matrix)
    )
    make = _threshold_rows(study, cell, curve.arm, curve.seed, rule, leak)
    for metric in REPORTED_AT_A_THRESHOLD:
        yield make(metric, getattr(metrics, metric), threshold.note)
    yield make("threshold", Estimate(threshold.value), threshold.note)
    yield from _counts(make, matrix)


def _threshold_rows(
    study: str, cell: Cell, arm: str, seed: str, rule: _Rule, leak: str = ""
) -> _Maker:
    def make(metric: str, estimate: Estimate, note: str) -> MetricRow:
        return metric_row(
            study,
            cell,
            arm,
            seed,
            metric,
            estimate,
            note,
            leak,
            criterion=rule.criterion,
            threshold_from=rule.threshold_from,
        )

    return make


def _counts(make: _Maker, matrix: ConfusionMatrix) -> Iterator[MetricRow]:
    for name in ("tp", "fp", "tn", "fn"):
        yield make(name, Estimate(float(getattr(matrix, name))), "")


def _means_over_seeds(
    study: str, cell: Cell, rows: list[MetricRow], rule: _Rule
) -> Iterator[MetricRow]:
    """Yield the mean over seeds of each metric, no interval; undefined where a seed has none."""
    seeds = {str(seed) for seed in cell.seeds}
    for arm in cell.arms:
        for metric in REPORTED_AT_A_THRESHOLD:
            own = [r for r in rows if r.arm == arm and r.metric == metric and r.seed in seeds]
            if not own:
                continue
            values = [r.value for r in own if r.value is not None]
            mean = Estimate(None, note=f"only {len(values)} of {len(seeds)} seeds")
            if len(values) == len(seeds):
                mean = Estimate(float(np.mean(values)), method="mean_of_seeds")
            elif len(seeds) == 1:
                mean = undefined(own[0].note)
            yield _threshold_rows(study, cell, arm, "mean", rule)(metric, mean, "")
