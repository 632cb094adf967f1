"""The metric table of a study: accuracy, operating points, transfer drops, subgroups."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mammoshift.configuration.judged import EvaluationSettings, Subgroup
from mammoshift.errors import StatisticsError
from mammoshift.evaluation.drops import arm_weights
from mammoshift.evaluation.grid import OVERLAPPING, Cell, Grid
from mammoshift.evaluation.losses import Transfer, transfers_of
from mammoshift.evaluation.rows import INDEPENDENCE, MetricRow, defined, metric_row
from mammoshift.evaluation.thresholds import curves_of, operating_points
from mammoshift.statistics.arm_comparison import arm_mean, fixed_mean
from mammoshift.statistics.auc import AucEstimate, auc_covariance
from mammoshift.statistics.auprc import auprc_covariance, auprc_intervals
from mammoshift.statistics.intervals import auc_intervals
from mammoshift.statistics.proportions import Estimate, undefined
from mammoshift.statistics.standardisation import case_mix_weights
from mammoshift.statistics.subgroups import (
    SubgroupEstimate,
    interaction_within_patients,
    subgroup_covariance,
)


def evaluate_study(settings: EvaluationSettings, grid: Grid) -> list[MetricRow]:
    """Return every metric of a study that needs no comparison between arms.

    Intervals of AUC and AUPRC have patient-clustered variances; those of a mean over seeds hold
    what other seeds would change. Intervals of re-estimated operating points come from a bootstrap
    of patients that chooses the threshold anew in every resample.
    """
    rows: list[MetricRow] = []
    for cell in [*grid.validations, *grid.reported]:
        rows += _areas(settings.study, cell)
    for cell in grid.reported:
        rows += operating_points(settings, grid, cell)
        for name in settings.subgroups:
            rows += _subgroups(settings, cell, name)
    if settings.case_mix is not None:
        for transfer in transfers_of(grid):
            rows += _case_mix_support(settings, transfer)
    return rows


def _areas(study: str, cell: Cell) -> Iterator[MetricRow]:
    scores = np.vstack([cell.curves, cell.ensemble])
    names = [(curve.arm, curve.seed) for curve in curves_of(cell)]

    def row(arm: str, seed: str, metric: str, estimate: Estimate, se: float | None) -> MetricRow:
        return metric_row(study, cell, arm, seed, metric, estimate, se=defined(se))

    auc = auc_covariance(cell.labels, scores, cell.clusters)
    auprc = auprc_covariance(cell.labels, scores, cell.clusters)
    for metric, values, se, limits, notes in (
        ("auc", auc.auc, auc.se, auc_intervals(auc, method="auto"), auc.notes),
        ("auprc", auprc.auprc, auprc.se, auprc_intervals(auprc, method="logit_t"), auprc.notes),
    ):
        method = _method(limits.method, cell)
        for k, (arm, seed) in enumerate(names):
            estimate = Estimate(values[k], limits.low[k], limits.high[k], method, notes[k])
            yield row(arm, seed, metric, estimate, se[k])
    for arm in cell.arms:
        mean, se, spread = _mean_over_seeds(auc, cell, arm)
        yield row(arm, "mean", "auc", mean, se)
        if len(cell.seeds) > 1:
            yield row(arm, "mean", "seed_sd", Estimate(spread, note=mean.note), None)
            fixed = fixed_mean(auc, cell.positions(arm))
            method = _method(fixed.method, cell)
            estimate = Estimate(fixed.auc, fixed.ci_low, fixed.ci_high, method, fixed.note)
            yield row(arm, "mean", "auc_of_models", estimate, fixed.se)


def _method(interval: str, cell: Cell) -> str:
    """Return the name of an interval with that of its variance."""
    return f"{interval}_{'obuchowski' if cell.clustered else 'delong'}"


def _mean_over_seeds(
    auc: AucEstimate, cell: Cell, arm: str
) -> tuple[Estimate, float | None, float | None]:
    """Return the mean AUC of an arm's seeds, its standard error and the seeds' deviation.

    The interval is about the architecture; that of an arm of one seed about this model.
    """
    mean = arm_mean(auc, arm, cell.positions(arm))
    method = _method(mean.method, cell)
    found = Estimate(mean.auc, mean.ci_low, mean.ci_high, method, mean.note)
    return found, mean.se, mean.seed_sd


def _subgroups(settings: EvaluationSettings, cell: Cell, name: Subgroup) -> Iterator[MetricRow]:
    """Yield the mean AUC of each arm in each subgroup, and whether it varies between them."""
    parts = cell.subgroups(name)
    for value, part in parts.items():
        if not len(part.labels):
            continue
        estimate = part.auc
        for arm in cell.arms:
            mean, se, _ = _mean_over_seeds(estimate, part, arm)
            yield metric_row(
                settings.study,
                part,
                arm,
                "mean",
                "auc",
                mean,
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
        Estimate(test.p, method="johansen_f", note=test.note),
        INDEPENDENCE if part.patients_unknown else "",
        reference=reference,
        subgroup=name,
    )


def _case_mix_support(settings: EvaluationSettings, transfer: Transfer) -> Iterator[MetricRow]:
    """Yield how far a domain holds the kinds of cases of the own one, class by class.

    `strata` are those that both have, the shares those of the cases in them, `effective` how many
    equally weighted cases the weighted ones are worth.
    """
    own, other = transfer.own, transfer.other
    columns = settings.case_mix or ()
    try:
        _, support = case_mix_weights(
            (own.labels, own.strata(columns)), (other.labels, other.strata(columns))
        )
    except StatisticsError as error:
        for arm in transfer.arms:
            nothing = undefined(str(error))
            yield metric_row(settings.study, other, arm, "mean", "case_mix_strata_pos", nothing)
        return
    for name in ("strata", "source_share", "target_share", "effective"):
        for value, side in zip(getattr(support, name), ("pos", "neg"), strict=True):
            for arm in transfer.arms:
                metric = f"case_mix_{name}_{side}"
                found = Estimate(float(value))
                yield metric_row(settings.study, other, arm, "mean", metric, found)
