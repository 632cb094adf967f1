"""The rows of `mammoshift calibrate`: measures before and after each map, and the maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mammoshift.commands.chosen_curves import Curve, CurveTable, generator
from mammoshift.commands.options import FEW_PATIENTS, Row
from mammoshift.errors import StatisticsError, TableError
from mammoshift.statistics.auc import placements
from mammoshift.statistics.calibration import CalibrationMeasures, calibration_measures
from mammoshift.statistics.calibration_error import (
    DEFAULT_BINS,
    Grouped,
    outcomes_together,
    reliability_curve,
)
from mammoshift.statistics.cross_fitting import cross_fit
from mammoshift.statistics.estimates import FEW_CLUSTERS
from mammoshift.statistics.flexible_recalibration import (
    BetaMap,
    IsotonicMap,
    fit_beta,
    fit_isotonic,
    too_few,
)
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.prior_shift import PriorShift, estimate_prior_shift
from mammoshift.statistics.proportions import Estimate
from mammoshift.statistics.recalibration import LogitMap, fit_platt, fit_temperature, prior_shift
from mammoshift.statistics.recalibration_budget import recalibration_budget

FITS = {
    "temperature": fit_temperature,
    "platt": fit_platt,
    "beta": fit_beta,
    "isotonic": fit_isotonic,
}
NEED_MANY: tuple[Literal["beta", "isotonic"], ...] = ("beta", "isotonic")
"""Maps that are left out, with the reason, where there are too few patients for them."""
COMMAND = "calibrate"
FittedMap = LogitMap | BetaMap | IsotonicMap


@dataclass(frozen=True)
class CalibrationReport:
    """What the command prints and writes: lists of rows, by name.

    Attributes
    ----------
    settings
        The tables, the scale, the folds, the level and the definition of the ECE.
    measures
        One row for each curve (dataset, arm, seed) and variant: `uncalibrated`, and for each map
        `<map>_source` and `<map>_target_crossfit`, `prior_shift` and `prior_shift_em`.
    maps
        The parameters of every fitted map, see `map_row`.
    prevalence
        The share of positives estimated without labels, beside that of the labels.
    reliability
        The points of the reliability diagrams.
    budget
        The recalibration budget, where it was asked for.
    """

    settings: Row
    measures: list[Row]
    maps: list[Row]
    prevalence: list[Row]
    reliability: list[Row]
    budget: list[Row]


@dataclass(frozen=True)
class CalibrationWishes:
    """What is asked for.

    Attributes
    ----------
    maps
        Names in `FITS`.
    prevalence
        Known share of positives at the target, with a source; None for none.
    folds
        Folds of patients for the cross-fitted variants.
    budget
        Whether to add the recalibration budget.
    level
        Of the intervals.
    """

    maps: tuple[str, ...] = ("temperature", "platt")
    prevalence: float | None = None
    folds: int = 5
    budget: bool = False
    level: float = 0.95


def calibrate_table(
    reported: CurveTable, source: CurveTable | None, wishes: CalibrationWishes
) -> CalibrationReport:
    """Return the calibration of each curve of a table of logits.

    Parameters
    ----------
    reported
        The table that is measured.
    source
        Logits of other patients that maps are fitted on and applied from; None for none.

    Returns
    -------
    CalibrationReport
        Variants that cannot be fitted are rows with nothing but the reason.

    Raises
    ------
    TableError
        If a source's temperature or Platt map cannot be fitted; of a study it is a row instead.
    """
    report = CalibrationReport(
        {
            **reported.settings(wishes.level),
            "folds": wishes.folds,
            "ece": f"P(y = 1), {DEFAULT_BINS} bins of equal width, right-closed",
        },
        *([] for _ in range(5)),
    )
    for part in reported.parts:
        variants: dict[str, FloatArray | str] = {"uncalibrated": part.scores}
        if source is not None:
            variants |= _from_source(part, source, wishes, report)
        variants |= _cross_fitted(part, wishes, report)
        # Every map rises, and a patient is served by one alone.
        together = outcomes_together(part.scores, part.labels == 1, part.patients)
        for variant, logits in variants.items():
            if isinstance(logits, str):
                report.measures.append({**part.named, "variant": variant, "note": logits})
                continue
            rng = generator(COMMAND, part, f"{variant}:null")
            report.measures.append(_measure_row(part, variant, logits, together, rng, wishes.level))
            report.reliability.extend(_reliability_rows(part, variant, logits, wishes.level))
        if wishes.budget:
            report.budget.extend(_budget_rows(reported, part, wishes.level))
    return report


def _from_source(
    part: Curve, source: CurveTable, wishes: CalibrationWishes, report: CalibrationReport
) -> dict[str, FloatArray | str]:
    """Apply the maps that the source's cases give, and keep their rows in the report."""
    given = source.curve_like(part, "--fit-on")
    fitted: dict[str, FittedMap | str] = source_maps(
        given, str(source.path), wishes.maps, wishes.prevalence, own_labels=source.log_odds
    )
    try:
        shift = estimate_prior_shift(
            given.scores,
            given.labels,
            part.scores,
            source_patients=given.patients,
            target_patients=part.patients,
            level=wishes.level,
        )
    except StatisticsError as error:
        fitted["prior_shift_em"] = str(error)
    else:
        report.prevalence.append(_prevalence_row(part, shift))
        # A share of 0 or 1 has no log-odds to shift by.
        fitted["prior_shift_em"] = shift.map if shift.ci_low is not None else shift.note
    variants: dict[str, FloatArray | str] = {}
    for name, found in fitted.items():
        if isinstance(found, str):
            variants[name] = found
            continue
        report.maps.append(map_row(part, name, None, found))
        variants[name] = found.apply(part.scores)
    return variants


def source_maps(
    source: Curve,
    where: str,
    maps: Sequence[str],
    prevalence: float | None = None,
    *,
    own_labels: bool = False,
) -> dict[str, FittedMap | str]:
    """Fit the maps `<map>_source`, and `prior_shift` where the prevalence is known.

    Parameters
    ----------
    source
        Logits of validation cases, disjoint from the reported ones.
    where
        The table, for messages.
    maps
        Names in `FITS`; one of `NEED_MANY` that cannot be fitted is the reason instead.
    prevalence
        Share of positives at the target.
    own_labels
        Whether the labels cannot be reversed; what cannot be fitted is then the reason instead.

    Raises
    ------
    TableError
        If another map cannot be fitted.
    """
    found: dict[str, FittedMap | str] = {}
    for name in maps:
        reason = _too_few(name, source)
        if reason:
            found[f"{name}_source"] = reason
            continue
        try:
            found[f"{name}_source"] = FITS[name](source.scores, source.labels)
        except StatisticsError as error:
            if name not in NEED_MANY and not own_labels:
                raise TableError(f"{where}: columns label and score: {error}") from error
            found[f"{name}_source"] = str(error)
    if prevalence is not None:
        try:
            found["prior_shift"] = prior_shift(float(source.labels.mean()), prevalence)
        except StatisticsError as error:
            raise TableError(f"{where}: columns label and score: {error}") from error
    return found


def _cross_fitted(
    part: Curve, wishes: CalibrationWishes, report: CalibrationReport
) -> dict[str, FloatArray | str]:
    """Apply each map of the target itself to patients that it never saw."""
    variants: dict[str, FloatArray | str] = {}
    for name in wishes.maps:
        variant = f"{name}_target_crossfit"
        reason = _too_few(name, part, 1.0 - 1.0 / wishes.folds) if wishes.folds > 1 else ""
        if reason:
            variants[variant] = reason
            continue
        try:
            crossed = cross_fit(
                part.scores,
                part.labels,
                FITS[name],
                generator(COMMAND, part, variant),
                patients=part.patients,
                folds=wishes.folds,
            )
        except StatisticsError as error:
            variants[variant] = str(error)
            continue
        variants[variant] = crossed.logits
        report.maps.extend(
            map_row(part, variant, fold, fitted) for fold, fitted in enumerate(crossed.maps)
        )
    return variants


def _too_few(name: str, curve: Curve, share: float = 1.0) -> str:
    """Return why a map cannot be fitted to a share of these patients, empty where it can."""
    return next(
        (too_few(map_, curve.labels, curve.patients, share) for map_ in NEED_MANY if map_ == name),
        "",
    )


def map_row(part: Curve, variant: str, fold: int | None, fitted: FittedMap) -> Row:
    """Return the parameters of a map: logit' = scale * logit + shift where it is a line.

    A beta map has `a`, `b` and `shift` (logit' = a ln p - b ln(1 - p) + shift), an isotonic one
    the number of its `points`.
    """
    line = isinstance(fitted, LogitMap)
    temperature = fitted.temperature if line and fitted.method == "temperature" else None
    return {
        **part.named,
        "variant": variant,
        "fold": fold,
        "temperature": temperature,
        "scale": fitted.scale if line else None,
        "shift": None if isinstance(fitted, IsotonicMap) else fitted.shift,
        "a": fitted.a if isinstance(fitted, BetaMap) else None,
        "b": fitted.b if isinstance(fitted, BetaMap) else None,
        "points": fitted.at.size if isinstance(fitted, IsotonicMap) else None,
        "n": fitted.n,
        "n_pos": fitted.n_pos,
        "note": fitted.note,
    }


def _prevalence_row(part: Curve, shift: PriorShift) -> Row:
    return {
        **part.named,
        "prevalence": shift.prevalence,
        "ci_low": shift.ci_low,
        "ci_high": shift.ci_high,
        "source_prevalence": shift.source_prevalence,
        "share_of_labels": float(part.labels.mean()),
        "mixture_statistic": None if shift.fit is None else shift.fit.statistic,
        "mixture_df": None if shift.fit is None else shift.fit.df,
        "mixture_p": None if shift.fit is None else shift.fit.p,
        "note": shift.note,
    }


def _measure_row(
    part: Curve,
    variant: str,
    logits: FloatArray,
    together: Grouped,
    rng: np.random.Generator,
    level: float,
) -> Row:
    found = calibration_measures(
        logits, part.labels, rng, patients=part.patients, together=together, level=level
    )
    one_class = part.source.one_class
    auc = None if one_class else float(placements(part.labels == 1, logits[None, :]).auc[0])
    line = found.line
    fewest = found.n_patients if one_class else part.source.fewest_patients
    reasons = [
        part.note,
        FEW_PATIENTS if fewest < FEW_CLUSTERS else "",
        *(estimate.note for estimate in (line.in_the_large, line.intercept, line.slope)),
    ]
    return {
        **part.named,
        "variant": variant,
        "n": found.n,
        "n_pos": found.n_pos,
        "n_patients": found.n_patients,
        "prevalence": found.prevalence,
        "mean_predicted": found.mean_predicted,
        "auc": auc,
        **_estimate("nll", found.nll),
        **_estimate("brier", found.brier),
        **_brier_parts(found),
        **_estimate("in_the_large", line.in_the_large),
        **_estimate("intercept", line.intercept),
        **_estimate("slope", line.slope),
        "ece": found.ece.value,
        "ece_null_mean": found.ece.null_mean,
        "ece_null_high": found.ece.null_high,
        "ece_equal_mass": found.ece_equal_mass.value,
        "ece_equal_mass_null_high": found.ece_equal_mass.null_high,
        "debiased_l2": found.debiased_l2,
        "note": "; ".join(dict.fromkeys(filter(None, reasons))),
    }


def _estimate(name: str, estimate: Estimate) -> Row:
    return {
        name: estimate.value,
        f"{name}_ci_low": estimate.ci_low,
        f"{name}_ci_high": estimate.ci_high,
    }


def _brier_parts(found: CalibrationMeasures) -> Row:
    parts = found.brier_parts
    return {
        "brier_reliability": parts.reliability,
        "brier_resolution": parts.resolution,
        "brier_uncertainty": parts.uncertainty,
        "brier_within_bin": parts.within_bin,
        "brier_skill": parts.skill,
    }


def _reliability_rows(part: Curve, variant: str, logits: FloatArray, level: float) -> list[Row]:
    curve = reliability_curve(logits, part.labels, level=level)
    columns: Sequence[tuple[str, NDArray[Any]]] = tuple(vars(curve).items())
    return [
        {
            **part.named,
            "variant": variant,
            **{name: values[i].item() for name, values in columns},
        }
        for i in np.flatnonzero(curve.count)
    ]


def _budget_rows(table: CurveTable, part: Curve, level: float) -> list[Row]:
    try:
        found = recalibration_budget(
            part.scores,
            part.labels,
            generator(COMMAND, part, "budget"),
            patients=part.patients,
            level=level,
        )
    except StatisticsError as error:
        raise TableError(f"{table.where(part)}, column label: {error}") from error
    return [{**part.named, "variant": point.method, **vars(point)} for point in found.points]
