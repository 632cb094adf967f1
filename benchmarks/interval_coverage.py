"""How often the intervals of operating points and calibration cover the truth.

    python benchmarks/interval_coverage.py [--repetitions 1000]

Scores are binormal or logits with a known risk, so that every true value is known. With R
repetitions a coverage of 95 % has a standard error of 0.7 points for R = 1000.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from mammoshift.statistics.calibration import calibration_measures
from mammoshift.statistics.calibration_error import null_calibration_errors
from mammoshift.statistics.calibration_line import calibration_line
from mammoshift.statistics.matched_specificity import compare_at_specificity
from mammoshift.statistics.operating_points import (
    reestimated_operating_points,
    threshold_replicates_of,
    transferred_operating_point,
)
from mammoshift.statistics.proportions import Estimate, proportion
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.thresholds import threshold_at_specificity

RESAMPLES = 500
SPECIFICITY = 0.95
ECE_NULL = {140: 0.103, 322: 0.068, 509: 0.054, 714: 0.046, 1032: 0.038}
"""Mean calibration error of a perfectly calibrated model, by number of cases."""


@dataclass(frozen=True)
class Coverage:
    """A measured share of repetitions (of coverage, or of rejections of a true null)."""

    cell: str
    what: str
    share: float


def labels_of(n_pos: int, n_neg: int) -> NDArray[np.int64]:
    """Return n_pos ones and n_neg zeros."""
    return np.repeat(np.array([1, 0]), [n_pos, n_neg])


def separation(auc: float) -> float:
    """Return the distance of two normal distributions with this AUC."""
    return math.sqrt(2.0) * float(ndtri(auc))


def covers(estimate: Estimate, truth: float) -> bool:
    """Return whether the interval holds the truth; an interval that is missing does not."""
    if estimate.ci_low is None or estimate.ci_high is None:
        return False
    # A proportion's limit may equal the truth but for rounding.
    return estimate.ci_low - 1e-12 <= truth <= estimate.ci_high + 1e-12


def shares(
    cell: str, repetitions: int, one: Callable[[np.random.Generator], dict[str, bool]]
) -> Iterator[Coverage]:
    """Yield how often each named event of `one` happens."""
    rng = generator_for("interval-coverage", cell)
    counts: dict[str, int] = {}
    for _ in range(repetitions):
        for name, happened in one(rng).items():
            counts[name] = counts.get(name, 0) + happened
    for name, count in counts.items():
        yield Coverage(cell, name, count / repetitions)


def sensitivity_at_a_specificity(repetitions: int) -> Iterator[Coverage]:
    """The threshold is estimated on the cases that are reported."""
    for n_pos, n_neg, auc in ((40, 100, 0.87), (57, 265, 0.65), (120, 200, 0.9), (200, 514, 0.85)):
        labels, distance = labels_of(n_pos, n_neg), separation(auc)
        truth = float(ndtr(distance - ndtri(SPECIFICITY)))

        def one(
            rng: np.random.Generator,
            labels: NDArray[np.int64] = labels,
            distance: float = distance,
            truth: float = truth,
        ) -> dict[str, bool]:
            scores = rng.normal(size=labels.size) + distance * labels
            (point,) = reestimated_operating_points(
                labels, scores, SPECIFICITY, rng, resamples=RESAMPLES
            )
            wilson = proportion(point.matrix.tp, point.n_pos, empty="")
            return {
                "bootstrap, threshold re-estimated": covers(point.sensitivity, truth),
                "Wilson, threshold taken as known": covers(wilson, truth),
            }

        yield from shares(f"sens@95, {n_pos}+{n_neg}, AUC {auc}", repetitions, one)


def transferred_thresholds(repetitions: int) -> Iterator[Coverage]:
    """The threshold comes from 60 + 240 other cases."""
    labels, validation, distance = labels_of(80, 240), labels_of(60, 240), separation(0.85)
    ideal = float(ndtri(SPECIFICITY))

    def one(rng: np.random.Generator) -> dict[str, bool]:
        chosen_on = rng.normal(size=validation.size) + distance * validation
        threshold = threshold_at_specificity(validation, chosen_on, SPECIFICITY).value
        replicates = threshold_replicates_of(
            validation, chosen_on, SPECIFICITY, rng, resamples=RESAMPLES
        )
        scores = rng.normal(size=labels.size) + distance * labels
        fixed = transferred_operating_point(labels, scores, threshold, rng)
        both = transferred_operating_point(
            labels, scores, threshold, rng, threshold_replicates=replicates
        )
        of_this = float(ndtr(distance - threshold))
        of_the_ideal = float(ndtr(distance - ideal))
        return {
            "Wilson, for this threshold": covers(fixed.sensitivity, of_this),
            "Wilson, for the true 95 % threshold": covers(fixed.sensitivity, of_the_ideal),
            "both samples, for the true 95 % threshold": covers(both.sensitivity, of_the_ideal),
            "both samples, specificity 95 %": covers(both.specificity, SPECIFICITY),
        }

    yield from shares("transferred threshold, 80+240, AUC 0.85", repetitions, one)


def images_of_one_patient(repetitions: int) -> Iterator[Coverage]:
    """Four correlated images of each patient, at a fixed threshold."""
    images, correlation, distance, threshold = 4, 0.7, separation(0.85), 1.0
    by_patient = labels_of(60, 140)
    labels = np.repeat(by_patient, images)
    patients = np.repeat(np.arange(by_patient.size), images)
    truth = float(ndtr(distance - threshold))

    def one(rng: np.random.Generator) -> dict[str, bool]:
        common = np.repeat(rng.normal(size=by_patient.size), images) * math.sqrt(correlation)
        own = rng.normal(size=labels.size) * math.sqrt(1.0 - correlation)
        scores = common + own + distance * labels
        grouped = transferred_operating_point(labels, scores, threshold, rng, patients=patients)
        alone = transferred_operating_point(labels, scores, threshold, rng)
        return {
            "ratio over patients": covers(grouped.sensitivity, truth),
            "Wilson on images": covers(alone.sensitivity, truth),
        }

    yield from shares("4 images for each of 60+140 patients", repetitions, one)


def paired_comparison(repetitions: int) -> Iterator[Coverage]:
    """Two equal arms at a matched specificity: the share of p < 0.05 should be 5 %."""
    labels, distance = labels_of(100, 300), separation(0.85)

    def one(rng: np.random.Generator) -> dict[str, bool]:
        case = rng.normal(size=labels.size) * math.sqrt(0.6)
        scores = case + rng.normal(size=(2, labels.size)) * math.sqrt(0.4) + distance * labels
        (found,) = compare_at_specificity(labels, scores, [(0, 1)], 0.9, rng, resamples=RESAMPLES)
        return {"rejected": found.p is not None and found.p < 0.05}

    yield from shares("paired sens@90, equal arms, 100+300 (nominal 5 %)", repetitions, one)


def calibration_intervals(repetitions: int) -> Iterator[Coverage]:
    """Logits with a known slope and intercept, and a perfectly calibrated model."""

    def one(rng: np.random.Generator) -> dict[str, bool]:
        true = rng.normal(-1.0, 1.5, 400)
        labels = (rng.random(400) < expit(true)).astype(int)
        line = calibration_line(2.0 * true + 0.5, labels)
        measures = calibration_measures(true, labels, rng, simulations=200)
        return {
            "calibration slope": covers(line.slope, 0.5),
            "calibration intercept": covers(line.intercept, -0.25),
            "ECE of a calibrated model within its null band": measures.ece.within_null,
        }

    yield from shares("calibration, 400 cases", repetitions, one)


def ece_of_a_calibrated_model() -> Iterator[tuple[int, float, float, float]]:
    """Yield cases, mean ECE, its 95 % limit, and the mean that `ECE_NULL` expects.

    The logits are normal with mean 0 and standard deviation 1.6.
    """
    for n, expected in ECE_NULL.items():
        errors = np.concatenate(
            [
                null_calibration_errors(
                    generator_for("ece", str(n), str(i)).normal(0.0, 1.6, n),
                    generator_for("ece-labels", str(n), str(i)),
                    simulations=100,
                )
                for i in range(20)
            ]
        )
        yield n, float(errors.mean()), float(np.quantile(errors, 0.95)), expected


SECTIONS: tuple[Callable[[int], Iterator[Coverage]], ...] = (
    sensitivity_at_a_specificity,
    transferred_thresholds,
    images_of_one_patient,
    paired_comparison,
    calibration_intervals,
)


def measured(section: int, repetitions: int) -> list[Coverage]:
    """Run one section; by number, so that it can be sent to another process."""
    return list(SECTIONS[section](repetitions))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    started = time.perf_counter()
    with ProcessPoolExecutor(arguments.processes) as pool:
        jobs = [pool.submit(measured, i, arguments.repetitions) for i in range(len(SECTIONS))]
        for job in jobs:
            for row in job.result():
                print(f"{row.cell:<52} {row.what:<48} {100.0 * row.share:5.1f} %", flush=True)
    for n, mean, limit, expected in ece_of_a_calibrated_model():
        print(
            f"ECE null, {n:>4} cases: mean {mean:.3f} (expected {expected}), 95 % limit {limit:.3f}"
        )
    print(f"{time.perf_counter() - started:.0f} s for {arguments.repetitions} repetitions")


if __name__ == "__main__":
    main()
