"""The calibration table of a study: before and after each way of recalibrating."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from mammoshift.configuration.judged import CalibrationSettings
from mammoshift.errors import StatisticsError
from mammoshift.evaluation.grid import Cell, FloatArray, Grid
from mammoshift.evaluation.rows import LEAKS, MetricRow, joined_notes, metric_row
from mammoshift.evaluation.thresholds import OWN_VALIDATION, criterion_of
from mammoshift.statistics.calibration import CalibrationMeasures, calibration_measures
from mammoshift.statistics.cross_fitting import cross_fit
from mammoshift.statistics.proportions import Estimate
from mammoshift.statistics.recalibration import LogitMap, fit_platt, fit_temperature, prior_shift
from mammoshift.statistics.recalibration_budget import BudgetPoint, recalibration_budget
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.thresholds import threshold_at_specificity

ORACLE = "uses the target's prevalence"
CROSS_FITTED = {
    "temperature_target_crossfit": fit_temperature,
    "platt_target_crossfit": fit_platt,
}


@dataclass(frozen=True)
class Recalibration:
    """What the columns of the same names say of a row."""

    recalibration: str
    fitted_on: str = ""
    labelled_patients: int | None = None
    criterion: str = ""
    threshold_from: str = ""
    fold: str = ""


RECALIBRATIONS = {
    "uncalibrated": Recalibration("none"),
    "temperature_source": Recalibration("temperature", OWN_VALIDATION),
    "prior_shift": Recalibration("prior_shift", "prevalence"),
    "temperature_target_crossfit": Recalibration("temperature", "cross_fitted"),
    "platt_target_crossfit": Recalibration("platt", "cross_fitted"),
}
"""The columns of each recalibration by its name in the settings, in the order of the table.

The names are also those of the random streams.
"""


def calibrate_study(settings: CalibrationSettings, grid: Grid) -> list[MetricRow]:
    """Return calibration measures of every arm and seed at every reported cell.

    Maps are fitted on the arm's own validation patients, or cross-fitted by patient on the judged
    domain; none sees the case that it is applied to. The recalibration budget is made from each
    arm's mean logit of the seeds. A fit that is impossible gives a null row with the reason.
    """
    rows: list[MetricRow] = []
    for cell in grid.reported:
        for arm in cell.arms:
            per_seed = []
            for s in range(len(cell.seeds)):
                per_seed += _one_curve(settings, grid, cell, arm, s)
            rows += per_seed
            rows += _means_over_seeds(settings.study, cell, per_seed)
            if "budget" in settings.calibration:
                rows += _budget(settings, grid, cell, arm)
    return rows


def _one_curve(
    settings: CalibrationSettings, grid: Grid, cell: Cell, arm: str, s: int
) -> Iterator[MetricRow]:
    name = (settings.study, cell.domain, cell.subset, arm, str(cell.seeds[s]))
    logits, validation = cell.of(arm)[s], grid.validation_of(arm)

    def of_validation() -> Cell:
        if validation is None:
            raise StatisticsError(grid.why_no_validation(arm))
        return validation

    def temperature() -> _Recalibrated:
        held_out = of_validation()
        fitted = fit_temperature(held_out.of(arm)[s], held_out.labels)
        return _mapped(fitted, logits, LEAKS[held_out.leak])

    def shifted() -> _Recalibrated:
        before = float(of_validation().labels.mean())
        return _mapped(prior_shift(before, float(cell.labels.mean())), logits, ORACLE)

    def crossed(variant: str) -> _Recalibrated:
        generator = generator_for(*name, variant, "folds")
        fitted = cross_fit(
            logits, cell.labels, CROSS_FITTED[variant], generator, patients=cell.clusters
        )
        maps = {str(fold): own for fold, own in enumerate(fitted.maps)}
        return _Recalibrated(fitted.logits, maps)

    recalibrated: dict[str, Callable[[], _Recalibrated]] = {
        "uncalibrated": lambda: _Recalibrated(logits, {}),
        "temperature_source": temperature,
        "prior_shift": shifted,
        **{variant: lambda variant=variant: crossed(variant) for variant in CROSS_FITTED},
    }
    for variant, columns in RECALIBRATIONS.items():
        if variant != "uncalibrated" and variant not in settings.calibration:
            continue
        make = _row_maker(settings.study, cell, arm, str(cell.seeds[s]), columns)
        try:
            found = recalibrated[variant]()
            measures = calibration_measures(
                found.logits, cell.labels, generator_for(*name, variant), patients=cell.clusters
            )
        except StatisticsError as error:
            yield make("ece", Estimate(None, note=str(error)))
            continue
        yield from _measured(make, measures, found.note)
        for fold, applied in found.maps.items():
            make = _row_maker(
                settings.study, cell, arm, str(cell.seeds[s]), replace(columns, fold=fold)
            )
            yield from _parameters(make, applied)


_Maker = Callable[[str, Estimate], MetricRow]


@dataclass(frozen=True)
class _Recalibrated:
    """Recalibrated logits, and the map of each fold; of an only map the fold is empty."""

    logits: FloatArray
    maps: Mapping[str, LogitMap]
    note: str = ""


def _mapped(applied: LogitMap, logits: FloatArray, note: str = "") -> _Recalibrated:
    return _Recalibrated(applied.apply(logits), {"": applied}, joined_notes(applied.note, note))


def _parameters(make: _Maker, applied: LogitMap) -> Iterator[MetricRow]:
    """Yield what was fitted: logit' = scale * logit + shift."""
    yield make("scale", Estimate(applied.scale, note=applied.note))
    yield make("shift", Estimate(applied.shift, note=applied.note))
    if applied.method == "temperature":
        yield make("temperature", Estimate(applied.temperature, note=applied.note))


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


def _row_maker(study: str, cell: Cell, arm: str, seed: str, columns: Recalibration) -> _Maker:
    def make(metric: str, estimate: Estimate) -> MetricRow:
        return metric_row(study, cell, arm, seed, metric, estimate, **asdict(columns))

    return make


def _means_over_seeds(study: str, cell: Cell, rows: list[MetricRow]) -> Iterator[MetricRow]:
    """Yield the mean of each measure over the seeds, and of the null band's limit; no interval.

    Maps of folds have none: each seed has folds of its own.
    """
    groups: dict[tuple[Recalibration, str], list[MetricRow]] = {}
    for row in (row for row in rows if not row.fold):
        columns = Recalibration(row.recalibration, row.fitted_on)
        groups.setdefault((columns, row.metric), []).append(row)
    for (columns, metric), own in groups.items():
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
        yield _row_maker(study, cell, own[0].arm, "mean", columns)(metric, mean)


def _budget(settings: CalibrationSettings, grid: Grid, cell: Cell, arm: str) -> Iterator[MetricRow]:
    """Yield what k labelled local patients restore, for the mean logit of the seeds."""
    generator = generator_for(settings.study, cell.domain, cell.subset, arm, "budget")
    specificity = settings.specificity
    ensemble, validation = cell.of(arm).mean(axis=0), grid.validation_of(arm)
    try:
        if validation is None:
            raise StatisticsError(grid.why_no_validation(arm))
        held_out = validation.of(arm).mean(axis=0)
        threshold = threshold_at_specificity(validation.labels, held_out, specificity)
        budget = recalibration_budget(
            ensemble,
            cell.labels,
            generator,
            patients=cell.clusters,
            sizes=settings.budget_sizes,
            specificity=specificity,
            transferred_threshold=threshold.value,
        )
    except StatisticsError as error:
        columns = Recalibration("none", labelled_patients=0)
        make = _row_maker(settings.study, cell, arm, "ensemble", columns)
        yield make("ece", Estimate(None, note=str(error)))
        return
    for point in budget.points:
        columns = _budget_columns(point, criterion_of(specificity))
        make = _row_maker(settings.study, cell, arm, "ensemble", columns)
        failed = f"{100 * point.failed:.0f} % of draws could not be fitted" if point.failed else ""
        method = f"{point.draws}_draws" if point.patients else "all_cases"
        yield make(point.metric, Estimate(point.mean, point.low, point.high, method, failed))


def _budget_columns(point: BudgetPoint, criterion: str) -> Recalibration:
    """Return what was fitted or chosen on the labelled patients: a map, or a threshold."""
    threshold_from = {
        "transferred_threshold": OWN_VALIDATION,
        "local_threshold": "labelled_patients",
    }.get(point.method)
    if threshold_from is not None:
        return Recalibration("none", "", point.patients, criterion, threshold_from)
    fitted_on = "labelled_patients" if point.patients else ""
    return Recalibration(point.method, fitted_on, point.patients)
