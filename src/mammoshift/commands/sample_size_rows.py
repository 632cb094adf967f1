"""The rows of `mammoshift sample-size`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from mammoshift.commands.options import Row, note_of
from mammoshift.contracts.external_predictions import DatasetScores, ExternalPredictions
from mammoshift.errors import StatisticsError, TableError
from mammoshift.statistics.arm_comparison import arm_pairs
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.power_of_arms import PlannedDifference, factor_for_power, power_of_arms
from mammoshift.statistics.sample_size import (
    VarianceModel,
    cases_for_auc,
    cases_for_sensitivity,
    design_effect,
    paired_difference_se,
)

SEEDS = (1, 2, 3, 5, 10)
FACTORS = (0.5, 1.0, 2.0, 4.0)
_UNIT = 1000
NONE_SUFFICES = "no number of cases suffices, the seeds differ too much: train more of them"


@dataclass(frozen=True)
class Numbers:
    """What is planned from numbers; see the options of the command."""

    auc: float | None = None
    against: float | None = None
    correlation: float = 0.5
    sensitivity: float | None = None
    specificity: float | None = None
    width: float = 0.1
    prevalence: float = 0.5
    cases_per_patient: float = 1.0
    intra_patient_correlation: float = 0.0
    seed_sd: float = 0.0
    power: float = 0.8
    model: str = "binormal"
    level: float = 0.95


@dataclass(frozen=True)
class PlanReport:
    """What the command prints and writes.

    Attributes
    ----------
    settings
        What was asked for.
    cases
        Cases, positives, negatives and patients that each question needs; null cases where no
        number suffices, and the note says why.
    power
        The power of a comparison for numbers of seeds and cases.
    """

    settings: Row
    cases: list[Row]
    power: list[Row]


def plan_from_numbers(wanted: Numbers) -> PlanReport:
    """Return the cases that the numbers ask for.

    Raises
    ------
    StatisticsError
        If a number is outside its range, or no practicable number of cases suffices.
    """
    report = PlanReport({**vars(wanted), "pilot": None, "note": ""}, [], [])
    cases_each = wanted.cases_per_patient, wanted.intra_patient_correlation
    model = cast(VarianceModel, wanted.model)
    if wanted.auc is not None and wanted.against is None:
        found = cases_for_auc(
            wanted.auc,
            wanted.width,
            wanted.prevalence,
            level=wanted.level,
            model=model,
            cases_per_patient=cases_each[0],
            intra_patient_correlation=cases_each[1],
        )
        question = f"interval of an AUC of {wanted.auc:g}, {wanted.width:g} wide"
        report.cases.append({"question": question, "seeds": None, **vars(found), "note": ""})
    if wanted.sensitivity is not None:
        found = cases_for_sensitivity(
            wanted.sensitivity,
            wanted.width,
            wanted.prevalence,
            specificity=wanted.specificity,
            level=wanted.level,
            cases_per_patient=cases_each[0],
            intra_patient_correlation=cases_each[1],
        )
        at = (
            "at a fixed threshold"
            if wanted.specificity is None
            else f"at a specificity of {wanted.specificity:g}"
        )
        question = (
            f"interval of a sensitivity of {wanted.sensitivity:g} {at}, {wanted.width:g} wide"
        )
        report.cases.append({"question": question, "seeds": None, **vars(found), "note": ""})
    if wanted.auc is not None and wanted.against is not None:
        _plan_difference(report, wanted, wanted.auc, wanted.against, model)
    return report


def _plan_difference(
    report: PlanReport, wanted: Numbers, auc: float, against: float, model: VarianceModel
) -> None:
    positives = _UNIT * wanted.prevalence
    se = paired_difference_se(auc, against, positives, _UNIT - positives, wanted.correlation, model)
    effect = design_effect(wanted.cases_per_patient, wanted.intra_patient_correlation)
    plan = PlannedDifference(auc - against, se**2 * effect, (wanted.seed_sd, wanted.seed_sd))
    question = f"AUC {auc:g} against {against:g}"
    sizes = _UNIT, wanted.prevalence, wanted.cases_per_patient
    seeds = SEEDS if wanted.seed_sd else SEEDS[:1]
    _fill(report, question, plan, sizes, seeds, wanted.power, 1.0 - wanted.level)


def plan_from_pilot(
    predictions: ExternalPredictions,
    table: str,
    reference: str | None = None,
    difference: float | None = None,
    power: float = 0.8,
    level: float = 0.95,
) -> PlanReport:
    """Return what larger studies like a pilot could show, for each of its datasets and pairs.

    The difference of a pilot is itself uncertain and, where it was chosen for being large, too
    large; `difference` sets the one that matters instead.

    Raises
    ------
    TableError
        If the table has one arm, lacks the reference, or a pair's variance is undefined.
    """
    settings: Row = {
        "pilot": table,
        "reference": reference,
        "difference": difference,
        "power": power,
        "level": level,
        "note": note_of(predictions.note, predictions.cluster_column),
    }
    report = PlanReport(settings, [], [])
    for part in predictions.datasets:
        where = f"{table}, dataset {part.dataset}" if part.dataset else table
        arms = list(dict.fromkeys(arm for arm, _ in part.curves))
        try:
            pairs = arm_pairs(arms, reference)
            if not pairs:
                raise StatisticsError("a comparison is planned from two arms; the pilot has one")
            estimate = auc_covariance(part.labels, part.scores, part.patients)
            for a, b in pairs:
                plan = _pilot_difference(part, estimate.auc, estimate.covariance, a, b, difference)
                before = f"{part.dataset}, " if part.dataset else ""
                sizes = part.labels.size, float(part.labels.mean()), _images(part)
                several = len(part.curves) > len(arms)
                _fill(
                    report,
                    f"{before}{a} - {b} of {plan.difference:+.3f}",
                    plan,
                    sizes,
                    SEEDS[1:] if several else SEEDS[:1],
                    power,
                    1.0 - level,
                )
        except StatisticsError as error:
            raise TableError(f"{where}: {error}") from error
    return report


def _images(part: DatasetScores) -> float:
    patients = part.labels.size if part.patients is None else np.unique(part.patients).size
    return part.labels.size / patients


def _pilot_difference(
    part: DatasetScores,
    values: np.ndarray,
    covariance: np.ndarray,
    a: str,
    b: str,
    difference: float | None,
) -> PlannedDifference:
    """Return the difference of two arms, its variance over patients and the spread of seeds."""
    own = [[k for k, (arm, _) in enumerate(part.curves) if arm == name] for name in (a, b)]
    found = float(values[own[0]].mean() - values[own[1]].mean())
    blocks = [covariance[np.ix_(k, k)] for k in own]
    whole = [float(np.trace(block)) / len(block) for block in blocks]
    # What two seeds of an arm share; the rest of a curve's variance is its own.
    shared = [
        float((block.sum() - np.trace(block)) / (len(block) ** 2 - len(block)))
        if len(block) > 1
        else of_one
        for block, of_one in zip(blocks, whole, strict=True)
    ]
    variance = sum(shared) - 2.0 * float(covariance[np.ix_(*own)].mean())
    alone = [max(0.0, one - both) for one, both in zip(whole, shared, strict=True)]
    if not (math.isfinite(variance) and max(variance, *alone) > 0.0):
        raise StatisticsError(
            f"the variance of {a} - {b} over patients is zero or undefined in this pilot; add cases"
        )
    seeds = [
        math.sqrt(max(0.0, float(values[k].var(ddof=1)) - mine)) if len(k) > 1 else 0.0
        for k, mine in zip(own, alone, strict=True)
    ]
    return PlannedDifference(
        found if difference is None else difference,
        max(0.0, variance),
        (seeds[0], seeds[1]),
        (alone[0], alone[1]),
    )


def _fill(
    report: PlanReport,
    question: str,
    plan: PlannedDifference,
    sizes: tuple[int, float, float],
    seeds: Sequence[int],
    power: float,
    alpha: float,
) -> None:
    """Add the cases that each number of seeds needs, and the power of some numbers of both."""
    n, prevalence, images = sizes
    for s in seeds:
        factor = factor_for_power(plan, s, power, alpha)
        row: Row = {"question": question, "seeds": s, "achieved": power}
        if factor is None:
            sizes_row = dict.fromkeys(("n", "n_pos", "n_neg", "n_patients"))
            report.cases.append({**row, **sizes_row, "note": NONE_SUFFICES})
        else:
            n_pos = math.ceil(factor * n * prevalence)
            n_neg = math.ceil(factor * n * (1.0 - prevalence))
            total = n_pos + n_neg
            counts = {"n": total, "n_pos": n_pos, "n_neg": n_neg}
            patients = math.ceil(total / images)
            report.cases.append({**row, **counts, "n_patients": patients, "note": ""})
        for multiple in FACTORS:
            report.power.append(
                {
                    "question": question,
                    "seeds": s,
                    "n": round(multiple * n),
                    "power": power_of_arms(plan, s, multiple, alpha),
                }
            )
