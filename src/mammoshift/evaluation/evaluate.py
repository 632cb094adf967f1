"""The metric table of a study: accuracy, operating points, transfer drops, subgroups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammoshift.evaluation.drops import arm_weights, mean_drop
from mammoshift.evaluation.grid import SUBGROUP_COLUMNS, Cell, Grid
from mammoshift.evaluation.rows import INDEPENDENCE, MetricRow, defined, metric_row
from mammoshift.statistics.auc import (
    AucEstimate,
    Flag,
    auc_covariance,
    auc_intervals,
    logit_interval,
)
from mammoshift.statistics.auprc import auprc_covariance, auprc_intervals
from mammoshift.statistics.bootstrap import bootstrap_curves, percentile_interval, resamples_text
from mammoshift.statistics.confusion import (
    ConfusionMatrix,
    clustered_confusion_metrics,
    confusion_matrix,
)
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.operating_points import (
    Threshold,
    g_mean_threshold,
    operating_points_of,
    threshold_at_specificity,
    youden_threshold,
)
from mammoshift.statistics.proportions import Estimate, undefined
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.subgroups import (
    SubgroupEstimate,
    interaction_within_patients,
    subgroup_covariance,
)

FloatArray = NDArray[np.float64]
_Maker = Callable[[str, Estimate, str], MetricRow]
ONE_CLASS = "undefined: the cases are all of one class"
REPORTED_AT_A_THRESHOLD = (
    "sensitivity",
    "specificity",
    "accuracy",
    "balanced_accuracy",
    "precision",
    "f1",
)


@dataclass(frozen=True)
class _Curve:
    """One curve of a cell: an arm with one seed, or the mean logit of its seeds."""

    arm: str
    seed: str
    logits: FloatArray


def evaluate_study(study: Mapping[str, Any], grid: Grid) -> list[MetricRow]:
    """Return every metric of a study that needs no comparison between arms.

    Intervals of AUC and AUPRC are on the logit scale with patient-clustered variances; those of
    operating points come from a bootstrap of patients that chooses re-estimated thresholds anew
    in every resample.
    """
    rows: list[MetricRow] = []
    for cell in [grid.validation, *grid.reported]:
        rows += _areas(study["study"], cell)
    for cell in grid.reported:
        rows += _operating_points(study, cell, grid.validation)
        for name in study["subgroups"]:
            rows += _subgroups(study, cell, name)
    rows += _drops(study, grid)
    return rows


def _areas(study: str, cell: Cell) -> Iterator[MetricRow]:
    method = "logit_delong" if cell.patients_unknown else "logit_obuchowski"
    scores = np.vstack([cell.curves, cell.ensemble])
    names = [(curve.arm, curve.seed) for curve in _curves(cell)]

    def row(arm: str, seed: str, metric: str, estimate: Estimate, se: float | None) -> MetricRow:
        found = replace(estimate, method=method)
        return metric_row(study, cell, arm, seed, metric, found, se=defined(se))

    auc = auc_covariance(cell.labels, scores, cell.clusters)
    auprc = auprc_covariance(cell.labels, scores, cell.clusters)
    for metric, values, se, limits, notes in (
        ("auc", auc.auc, auc.se, auc_intervals(auc), auc.notes),
        ("auprc", auprc.auprc, auprc.se, auprc_intervals(auprc), auprc.notes),
    ):
        for k, (arm, seed) in enumerate(names):
            estimate = Estimate(values[k], limits.low[k], limits.high[k], note=notes[k])
            yield row(arm, seed, metric, estimate, se[k])
    for arm in cell.arms:
        positions = cell.positions(arm)
        mean = _mean_over_seeds(auc, positions)
        yield row(arm, "mean", "auc", mean[0], mean[1])
        if len(positions) > 1:
            spread = float(np.std(auc.auc[positions], ddof=1))
            yield row(arm, "mean", "seed_sd", Estimate(spread, note=mean[0].note), None)


def _curves(cell: Cell) -> list[_Curve]:
    """Return every arm with every seed, then the ensembles."""
    single = [
        _Curve(arm, str(seed), cell.logits[a, s])
        for a, arm in enumerate(cell.arms)
        for s, seed in enumerate(cell.seeds)
    ]
    ensembles = [_Curve(arm, "ensemble", cell.ensemble[a]) for a, arm in enumerate(cell.arms)]
    return single + ensembles


def _mean_over_seeds(estimate: AucEstimate, positions: list[int]) -> tuple[Estimate, float]:
    """Return the mean AUC of an arm's seeds; its interval is for these checkpoints.

    As for a single curve, a variance estimate of zero gives no interval, unless all
    scores are equal.
    """
    value = float(estimate.auc[positions].mean())
    variance = estimate.covariance[np.ix_(positions, positions)].mean()
    se = float(np.sqrt(max(variance, 0.0)))
    constant = all(Flag.CONSTANT_SCORES in estimate.flags[k] for k in positions)
    known = se if se > 0.0 or constant else np.nan
    low, high = logit_interval(np.array([value]), np.array([known]), critical_value(0.95))
    note = next((estimate.notes[k] for k in positions if estimate.notes[k]), "")
    return Estimate(value, float(low[0]), float(high[0]), "logit", note), se


def _operating_points(
    study: Mapping[str, Any], cell: Cell, validation: Cell
) -> Iterator[MetricRow]:
    percent = f"{100 * study['specificity']:g}".replace(".", "")
    reestimated, transferred = f"spec{percent}_reestimated", f"spec{percent}_transferred"
    if len(set(cell.labels)) < 2 or len(set(validation.labels)) < 2:
        for arm in cell.arms:
            nothing = undefined(ONE_CLASS)
            yield metric_row(
                study["study"], cell, arm, "mean", "sensitivity", nothing, variant=transferred
            )
        return
    yield from _reestimated(study, cell, reestimated)
    chosen = {
        transferred: lambda y, s: threshold_at_specificity(y, s, study["specificity"]),
        "youden_validation": youden_threshold,
        "gmean_validation": g_mean_threshold,
    }
    for variant, choose in chosen.items():
        rows = [
            row
            for curve, own in zip(_curves(cell), _curves(validation), strict=True)
            for row in _at_threshold(
                study, cell, curve, choose(validation.labels, own.logits), variant
            )
        ]
        yield from rows
        yield from _means_over_seeds(rows, cell)


def _reestimated(study: Mapping[str, Any], cell: Cell, variant: str) -> Iterator[MetricRow]:
    curves = _curves(cell)
    scores = np.stack([curve.logits for curve in curves])
    generator = generator_for(study["study"], cell.dataset, cell.subset, variant)
    resamples = study["bootstrap_resamples"]
    replicates = bootstrap_curves(
        cell.labels,
        scores,
        generator,
        patients=cell.clusters,
        specificities=(study["specificity"],),
        resamples=resamples,
    )
    points = operating_points_of(cell.labels, scores, replicates, 0, patients=cell.clusters)
    for curve, point in zip(curves, points, strict=True):
        make = _threshold_rows(study["study"], cell, curve, variant)
        yield make("sensitivity", point.sensitivity, point.note)
        yield make("specificity", point.specificity, "")
        yield make("threshold", Estimate(point.threshold), "")
        yield from _cells(make, point.matrix)
    for arm in cell.arms:
        positions = cell.positions(arm)
        values = [points[k].sensitivity.value for k in positions]
        low, high = percentile_interval(replicates.sensitivity[0, positions].mean(axis=0))
        method = resamples_text(resamples)
        known = [value for value in values if value is not None]
        mean = Estimate(float(np.mean(known)), float(low), float(high), method)
        make = _threshold_rows(study["study"], cell, _Curve(arm, "mean", scores[0]), variant)
        yield make("sensitivity", mean, "")
        reached = [points[k].specificity.value or 0.0 for k in positions]
        yield make("specificity", Estimate(float(np.mean(reached))), "")


def _at_threshold(
    study: Mapping[str, Any], cell: Cell, curve: _Curve, threshold: Threshold, variant: str
) -> Iterator[MetricRow]:
    generator = generator_for(
        study["study"], cell.dataset, cell.subset, curve.arm, curve.seed, variant
    )
    metrics = clustered_confusion_metrics(
        cell.labels,
        (curve.logits >= threshold.value).astype(np.int8),
        cell.clusters,
        generator,
        resamples=study["bootstrap_resamples"],
    )
    make = _threshold_rows(study["study"], cell, curve, variant)
    for metric in REPORTED_AT_A_THRESHOLD:
        yield make(metric, getattr(metrics, metric), threshold.note)
    yield make("threshold", Estimate(threshold.value), threshold.note)
    called = curve.logits >= threshold.value
    yield from _cells(make, confusion_matrix(cell.labels, called))


def _threshold_rows(study: str, cell: Cell, curve: _Curve, variant: str) -> _Maker:
    def make(metric: str, estimate: Estimate, note: str) -> MetricRow:
        return metric_row(
            study, cell, curve.arm, curve.seed, metric, estimate, note, variant=variant
        )

    return make


def _cells(make: _Maker, matrix: ConfusionMatrix) -> Iterator[MetricRow]:
    for name in ("tp", "fp", "tn", "fn"):
        yield make(name, Estimate(float(getattr(matrix, name))), "")


def _means_over_seeds(rows: list[MetricRow], cell: Cell) -> Iterator[MetricRow]:
    """Yield the mean over seeds of each metric at transferred thresholds, without interval."""
    seeds = {str(seed) for seed in cell.seeds}
    for arm in cell.arms:
        for metric in REPORTED_AT_A_THRESHOLD:
            own = [r for r in rows if r.arm == arm and r.metric == metric and r.seed in seeds]
            values = [r.value for r in own if r.value is not None]
            if len(values) == len(seeds):
                curve = _Curve(arm, "mean", np.empty(0))
                make = _threshold_rows(own[0].study, cell, curve, own[0].variant)
                yield make(metric, Estimate(float(np.mean(values)), method="mean_of_seeds"), "")


def _subgroups(study: Mapping[str, Any], cell: Cell, name: str) -> Iterator[MetricRow]:
    """Yield the mean AUC of each arm in each subgroup, and whether it varies between them."""
    parts = cell.subgroups(name)
    for value, part in parts.items():
        if not len(part.labels):
            continue
        estimate = part.auc
        for arm in cell.arms:
            mean, se = _mean_over_seeds(estimate, cell.positions(arm))
            yield metric_row(
                study["study"],
                part,
                arm,
                "mean",
                "auc",
                replace(mean, method="logit_obuchowski"),
                se=defined(se),
                subgroup=name,
                subgroup_value=value,
            )
    if name != "lesion_type" and len(parts) > 1:
        yield from _interactions(study, cell, name)


def _interactions(study: Mapping[str, Any], cell: Cell, name: str) -> Iterator[MetricRow]:
    """Yield p of the test that an arm's AUC, or its difference to a reference, is the same in all.

    Subgroups may share patients, as the two views of a breast do; lesion types overlap within an
    image and are not tested.
    """
    column = cell.cases[SUBGROUP_COLUMNS[name]]
    part = cell.only(column.notna().to_numpy())
    groups = part.cases[SUBGROUP_COLUMNS[name]].to_numpy(dtype=str)
    estimate = subgroup_covariance(part.labels, part.curves, groups, part.clusters)
    references = {c["reference"] for c in study["comparisons"]}
    for arm in cell.arms:
        yield _interaction_row(study, part, name, arm, "", estimate)
        for reference in sorted(references - {arm}):
            yield _interaction_row(study, part, name, arm, reference, estimate)


def _interaction_row(
    study: Mapping[str, Any],
    part: Cell,
    name: str,
    arm: str,
    reference: str,
    estimate: SubgroupEstimate,
) -> MetricRow:
    signs = {arm: 1.0, reference: -1.0} if reference else {arm: 1.0}
    weights = arm_weights(part, signs)
    test = interaction_within_patients(estimate, weights)
    return metric_row(
        study["study"],
        part,
        arm,
        "mean",
        "interaction_p",
        Estimate(test.p, method="wald_chi_square", note=test.note),
        INDEPENDENCE if part.patients_unknown else "",
        variant=reference,
        subgroup=name,
    )


def _drops(study: Mapping[str, Any], grid: Grid) -> Iterator[MetricRow]:
    """Yield what each arm loses from the source's test patients to each target."""
    for target in grid.targets:
        for arm in target.arms:
            drop = mean_drop(grid.test, target, arm)
            yield metric_row(
                study["study"],
                target,
                arm,
                "mean",
                "transfer_drop",
                Estimate(
                    drop.estimate, drop.ci_low, drop.ci_high, "unpaired_obuchowski", drop.note
                ),
                INDEPENDENCE if grid.test.patients_unknown else "",
                se=drop.se,
            )
