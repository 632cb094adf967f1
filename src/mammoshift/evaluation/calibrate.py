"""The calibration table of a study: before and after each way of recalibrating."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from mammoshift.errors import StatisticsError
from mammoshift.evaluation.grid import Cell, FloatArray, Grid
from mammoshift.evaluation.rows import MetricRow, joined_notes, metric_row
from mammoshift.statistics.calibration import CalibrationMeasures, calibration_measures
from mammoshift.statistics.operating_points import threshold_at_specificity
from mammoshift.statistics.proportions import Estimate
from mammoshift.statistics.recalibration import (
    IDENTITY,
    LogitMap,
    cross_fit,
    fit_platt,
    fit_temperature,
    prior_shift,
)
from mammoshift.statistics.recalibration_budget import recalibration_budget
from mammoshift.statistics.seeding import generator_for

ORACLE = "uses the target's prevalence"
CROSS_FITTED = {
    "temperature_target_crossfit": fit_temperature,
    "platt_target_crossfit": fit_platt,
}


def calibrate_study(study: Mapping[str, Any], grid: Grid) -> list[MetricRow]:
    """Return calibration measures of every arm and seed at every reported cell.

    Maps are fitted on the source's validation patients, or cross-fitted by patient at the
    target; none sees the case that it is applied to. The recalibration budget is made from each
    arm's mean logit of the seeds. A fit that is impossible gives a null row with the reason.
    """
    rows: list[MetricRow] = []
    for cell in grid.reported:
        for a, arm in enumerate(cell.arms):
            per_seed = []
            for s in range(len(cell.seeds)):
                own = list(_one_curve(study, cell, grid.validation, a, s))
                per_seed += own
                rows += own
            rows += _means_over_seeds(study["study"], cell, per_seed)
            if "budget" in study["calibration"]:
                rows += _budget(study, cell, grid.validation, a, arm)
    return rows


def _one_curve(
    study: Mapping[str, Any], cell: Cell, validation: Cell, a: int, s: int
) -> Iterator[MetricRow]:
    name = (study["study"], cell.dataset, cell.subset, cell.arms[a], str(cell.seeds[s]))
    logits, held_out = cell.logits[a, s], validation.logits[a, s]
    recalibrated: dict[str, Callable[[], tuple[FloatArray, LogitMap | None, str]]] = {
        "uncalibrated": lambda: (logits, IDENTITY, ""),
        "temperature_source": lambda: _mapped(fit_temperature(held_out, validation.labels), logits),
        "prior_shift": lambda: _mapped(
            prior_shift(float(validation.labels.mean()), float(cell.labels.mean())),
            logits,
            ORACLE,
        ),
    }
    for variant, fit in CROSS_FITTED.items():
        recalibrated[variant] = lambda fit=fit, variant=variant: (
            cross_fit(
                logits,
                cell.labels,
                fit,
                generator_for(*name, variant, "folds"),
                patients=cell.clusters,
            ).logits,
            None,
            "",
        )
    for variant, apply in recalibrated.items():
        if variant != "uncalibrated" and variant not in study["calibration"]:
            continue
        make = _row_maker(study["study"], cell, cell.arms[a], str(cell.seeds[s]), variant)
        try:
            mapped, applied, note = apply()
            measures = calibration_measures(
                mapped, cell.labels, generator_for(*name, variant), patients=cell.clusters
            )
        except StatisticsError as error:
            yield make("ece", Estimate(None, note=str(error)))
            continue
        yield from _measured(make, measures, note)
        if applied is not None and variant == "temperature_source":
            yield make("temperature", Estimate(applied.temperature, note=applied.note))


def _mapped(
    applied: LogitMap, logits: FloatArray, note: str = ""
) -> tuple[FloatArray, LogitMap, str]:
    return applied.apply(logits), applied, joined_notes(applied.note, note)


_Maker = Callable[[str, Estimate], MetricRow]


def _measured(make: _Maker, measures: CalibrationMeasures, note: str) -> Iterator[MetricRow]:
    ece = measures.ece
    method = f"{ece.bins}_equal_width_bins"
    band = f"mean and {100 * ece.level:g} % limit under perfect calibration"
    yield make("ece", Estimate(ece.value, method=method, note=note))
    yield make("ece_null", Estimate(ece.null_mean, 0.0, ece.null_high, method, band))
    equal_mass = measures.ece_equal_mass
    yield make("ece_equal_mass", Estimate(equal_mass.value, method=f"{ece.bins}_equal_mass_bins"))
    yield make("debiased_l2", Estimate(measures.debiased_l2))
    yield make("brier", measures.brier)
    skill = measures.brier_parts.skill
    yield make("brier_skill", Estimate(skill, note="" if skill is not None else "one class"))
    yield make("nll", measures.nll)
    yield make("calibration_in_the_large", measures.line.in_the_large)
    yield make("calibration_intercept", measures.line.intercept)
    yield make("calibration_slope", measures.line.slope)


def _row_maker(study: str, cell: Cell, arm: str, seed: str, variant: str) -> _Maker:
    def make(metric: str, estimate: Estimate) -> MetricRow:
        return metric_row(study, cell, arm, seed, metric, estimate, variant=variant)

    return make


def _means_over_seeds(study: str, cell: Cell, rows: list[MetricRow]) -> Iterator[MetricRow]:
    """Yield the mean of each measure over the seeds, and of the null band's limit; no interval."""
    groups: dict[tuple[str, str], list[MetricRow]] = {}
    for row in rows:
        groups.setdefault((row.variant, row.metric), []).append(row)
    for (variant, metric), own in groups.items():
        values = [row.value for row in own if row.value is not None]
        complete = len(values) == len(cell.seeds)
        reason = next((row.note for row in own if row.value is None), "")
        highs = [row.ci_high for row in own if row.ci_high is not None]
        band = metric == "ece_null" and len(highs) == len(cell.seeds)
        mean = Estimate(
            float(np.mean(values)) if complete else None,
            0.0 if band else None,
            float(np.mean(highs)) if band else None,
            "mean_of_seeds",
            own[0].note if complete else reason or f"only {len(values)} of {len(cell.seeds)} seeds",
        )
        yield metric_row(study, cell, own[0].arm, "mean", metric, mean, variant=variant)


def _budget(
    study: Mapping[str, Any], cell: Cell, validation: Cell, a: int, arm: str
) -> Iterator[MetricRow]:
    """Yield what k labelled local patients restore, for the mean logit of the seeds."""
    generator = generator_for(study["study"], cell.dataset, cell.subset, arm, "budget")
    specificity = study["specificity"]
    try:
        threshold = threshold_at_specificity(validation.labels, validation.ensemble[a], specificity)
        budget = recalibration_budget(
            cell.ensemble[a],
            cell.labels,
            generator,
            patients=cell.clusters,
            sizes=study["budget_sizes"],
            specificity=specificity,
            transferred_threshold=threshold.value,
        )
    except StatisticsError as error:
        make = _row_maker(study["study"], cell, arm, "ensemble", "budget_none_0")
        yield make("ece", Estimate(None, note=str(error)))
        return
    for point in budget.points:
        variant = f"budget_{point.method}_{point.patients}"
        make = _row_maker(study["study"], cell, arm, "ensemble", variant)
        failed = f"{100 * point.failed:.0f} % of draws could not be fitted" if point.failed else ""
        method = f"{point.draws}_draws" if point.patients else "all_cases"
        yield make(point.metric, Estimate(point.mean, point.low, point.high, method, failed))
