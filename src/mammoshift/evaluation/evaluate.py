"""The metric table of a study: accuracy, operating points, transfer drops, subgroups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mammoshift.configuration.judged import EvaluationSettings, Subgroup
from mammoshift.evaluation.drops import arm_weights, mean_drop, share_patients
from mammoshift.evaluation.grid import OVERLAPPING, Cell, Grid, why_not_judged
from mammoshift.evaluation.rows import INDEPENDENCE, LEAKS, MetricRow, defined, metric_row
from mammoshift.evaluation.thresholds import curves_of, operating_points
from mammoshift.statistics.auc import AucEstimate, auc_covariance
from mammoshift.statistics.auprc import auprc_covariance, auprc_intervals
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.estimates import Flag
from mammoshift.statistics.intervals import auc_intervals, logit_interval
from mammoshift.statistics.proportions import Estimate, undefined
from mammoshift.statistics.subgroups import (
    SubgroupEstimate,
    interaction_within_patients,
    subgroup_covariance,
)


def evaluate_study(settings: EvaluationSettings, grid: Grid) -> list[MetricRow]:
    """Return every metric of a study that needs no comparison between arms.

    Intervals of AUC and AUPRC are on the logit scale with patient-clustered variances; those of
    operating points come from a bootstrap of patients that chooses re-estimated thresholds anew
    in every resample.
    """
    rows: list[MetricRow] = []
    for cell in [*grid.validations, *grid.reported]:
        rows += _areas(settings.study, cell)
    for cell in grid.reported:
        rows += operating_points(settings, grid, cell)
        for name in settings.subgroups:
            rows += _subgroups(settings, cell, name)
    rows += _drops(settings.study, grid)
    return rows


def _areas(study: str, cell: Cell) -> Iterator[MetricRow]:
    method = "logit_delong" if cell.patients_unknown else "logit_obuchowski"
    scores = np.vstack([cell.curves, cell.ensemble])
    names = [(curve.arm, curve.seed) for curve in curves_of(cell)]

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


def _subgroups(settings: EvaluationSettings, cell: Cell, name: Subgroup) -> Iterator[MetricRow]:
    """Yield the mean AUC of each arm in each subgroup, and whether it varies between them."""
    parts = cell.subgroups(name)
    for value, part in parts.items():
        if not len(part.labels):
            continue
        estimate = part.auc
        for arm in cell.arms:
            mean, se = _mean_over_seeds(estimate, cell.positions(arm))
            yield metric_row(
                settings.study,
                part,
                arm,
                "mean",
                "auc",
                replace(mean, method="logit_obuchowski"),
                se=defined(se),
                subgroup=name,
                subgroup_value=value,
            )
    if name != OVERLAPPING and len(parts) > 1:
        yield from _interactions(settings, cell, name)


def _interactions(settings: EvaluationSettings, cell: Cell, name: Subgroup) -> Iterator[MetricRow]:
    """Yield p of the test that an arm's AUC, or its difference to a reference, is the same in all.

    Subgroups may share patients, as the two views of a breast do; lesion types overlap within an
    image and are not tested.
    """
    part = cell.only(cell.subgroup_values(name).notna().to_numpy())
    groups = part.subgroup_values(name).to_numpy(dtype=str)
    estimate = subgroup_covariance(part.labels, part.curves, groups, part.clusters)
    references = set(settings.references) & set(cell.arms)
    for arm in cell.arms:
        yield _interaction_row(settings.study, part, name, arm, "", estimate)
        for reference in sorted(references - {arm}):
            yield _interaction_row(settings.study, part, name, arm, reference, estimate)


def _interaction_row(
    study: str, part: Cell, name: str, arm: str, reference: str, estimate: SubgroupEstimate
) -> MetricRow:
    signs = {arm: 1.0, reference: -1.0} if reference else {arm: 1.0}
    weights = arm_weights(part, signs)
    test = interaction_within_patients(estimate, weights)
    return metric_row(
        study,
        part,
        arm,
        "mean",
        "interaction_p",
        Estimate(test.p, method="wald_chi_square", note=test.note),
        INDEPENDENCE if part.patients_unknown else "",
        reference=reference,
        subgroup=name,
    )


def _drops(study: str, grid: Grid) -> Iterator[MetricRow]:
    """Yield what each arm loses from its own domain to each other one."""
    for cell in grid.reported:
        for arm in cell.arms:
            if cell.domain == grid.study.arm(arm).own_domain:
                continue
            own = grid.own_of(arm)
            if own is None:
                nothing = undefined(why_not_judged(grid.study.arm(arm).own_domain))
                yield metric_row(study, cell, arm, "mean", "transfer_drop", nothing)
                continue
            drop = mean_drop(own, cell, arm)
            paired = share_patients(own, cell)
            method = "paired_obuchowski" if paired else "unpaired_obuchowski"
            yield metric_row(
                study,
                cell,
                arm,
                "mean",
                "transfer_drop",
                Estimate(drop.estimate, drop.ci_low, drop.ci_high, method, drop.note),
                INDEPENDENCE if own.patients_unknown else "",
                LEAKS[own.leak],
                se=drop.se,
            )
