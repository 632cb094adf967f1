"""The ROC curves of `mammoshift compare --roc`, with a pointwise band."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mammoshift.commands.options import Row
from mammoshift.contracts.external_predictions import DatasetScores
from mammoshift.statistics.bootstrap import DEFAULT_RESAMPLES, percentile_interval, resamples_text
from mammoshift.statistics.bootstrap_curves import bootstrap_curves
from mammoshift.statistics.large_samples import MANY_CASES, linearised_interval, sensitivity_terms
from mammoshift.statistics.proportions import wilson_interval
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.thresholds import threshold_at_specificity

SPECIFICITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)


def roc_rows(part: DatasetScores, level: float) -> Iterator[Row]:
    """Yield the sensitivity of each curve at some specificities, each with its own interval.

    The band holds one point at a time, thresholds estimated again in every resample of patients;
    the whole curve lies inside it less often.
    """
    patients, positive = part.patients, part.labels == 1
    diseased = int(positive.sum()) if patients is None else np.unique(patients[positive]).size
    if part.labels.size < MANY_CASES:
        rng = generator_for("compare", part.dataset or "", "roc")
        found = bootstrap_curves(
            part.labels, part.scores, rng, patients=patients, specificities=SPECIFICITIES
        )
        low, high = percentile_interval(found.sensitivity, level)
        method = f"{resamples_text(DEFAULT_RESAMPLES)}, no narrower than Wilson's over patients"
    else:
        low = high = np.full((len(SPECIFICITIES), len(part.curves)), np.nan)
        method = ""
    for k, (arm, seed) in enumerate(part.curves):
        for i, specificity in enumerate(SPECIFICITIES):
            point = threshold_at_specificity(part.labels, part.scores[k], specificity)
            if not method:
                _, terms = sensitivity_terms(positive, part.scores[k], point.value, patients)
                linear = linearised_interval(point.sensitivity, terms, level)
                yield _row(part, arm, seed, point.specificity, linear.value, linear.ci_low,
                           linear.ci_high, linear.method, specificity)  # fmt: skip
            else:
                ends = _no_narrower(float(low[i, k]), float(high[i, k]), point.sensitivity,
                                    diseased, level)  # fmt: skip
                yield _row(part, arm, seed, point.specificity, point.sensitivity, *ends, method,
                           specificity)  # fmt: skip


def _no_narrower(
    low: float, high: float, sensitivity: float | None, diseased: int, level: float
) -> tuple[float, float]:
    """Return limits no narrower than Wilson's over the positive patients.

    Where nearly all of few patients are found, so they are in nearly every resample.
    """
    if sensitivity is None or not diseased:
        return low, high
    least, most = wilson_interval(sensitivity * diseased, diseased, level)
    return min(low, float(least)), max(high, float(most))


def _row(
    part: DatasetScores,
    arm: str,
    seed: str | None,
    reached: float,
    sensitivity: float | None,
    low: float | None,
    high: float | None,
    method: str,
    wanted: float,
) -> Row:
    return {
        "dataset": part.dataset,
        "arm": arm,
        "seed": seed,
        "specificity": wanted,
        "specificity_reached": reached,
        "sensitivity": sensitivity,
        "sensitivity_ci_low": low,
        "sensitivity_ci_high": high,
        "method": method,
    }
