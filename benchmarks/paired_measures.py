"""How often tests between arms reject a true null, for what is compared beside the AUC.

    OMP_NUM_THREADS=1 python benchmarks/paired_measures.py [--repetitions 1000]

Two arms have the same distribution of scores. Patients have two images each that share half of
the variance of a score; the seeds of an arm share most of the rest, and each seed has an effect of
its own on the separation of the classes. Rates are at a nominal 5 %, intervals of a drop at a
nominal 95 %; with R repetitions the standard error of a rate near 5 % is 0.7 points for R = 1000.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammoshift.statistics.curve_values import CurveValues, difference_of_arms
from mammoshift.statistics.paired_operating_points import (
    rates_of_decisions,
    sensitivities_at_specificity,
)
from mammoshift.statistics.paired_proper_scores import (
    brier_scores,
    likelihoods,
    squared_calibration_errors,
)

SEED = 20261121
ARMS = ([0, 1, 2], [3, 4, 5])
DISTANCE = 1.5
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """How often one test rejected a true null in one setting."""

    setting: str
    measure: str
    method: str
    rate: float


def sample(
    rng: np.random.Generator, patients: int, images: int, sd: float
) -> tuple[NDArray[np.int64], FloatArray, NDArray[np.intp]]:
    """Return labels, logits [6, N] and patients; the seeds' separations have this deviation."""
    owner = np.repeat(np.arange(patients), images)
    labels = np.repeat((rng.random(patients) < 0.4).astype(int), images)
    common = rng.normal(size=patients)[owner] * math.sqrt(0.5)
    arm = np.repeat(rng.normal(size=(2, owner.size)), 3, axis=0) * math.sqrt(0.35)
    own = rng.normal(size=(6, owner.size)) * math.sqrt(0.15)
    distance = DISTANCE + sd * rng.normal(size=(6, 1))
    scores = distance * (labels - 0.5) + common + arm + own
    # The log-odds of normal scores with this distance, so that the predictions are calibrated.
    return labels, DISTANCE * scores + math.log(0.4 / 0.6), owner


def measures(
    rng: np.random.Generator, labels: NDArray[np.int64], logits: FloatArray, owner: NDArray[np.intp]
) -> dict[str, CurveValues]:
    """Return everything that a study compares beside the AUC."""
    called = logits >= 1.0
    sensitivity, specificity = rates_of_decisions(labels, called, owner)
    overconfident = 2.0 * logits
    return {
        "sensitivity at 90 % specificity": sensitivities_at_specificity(
            labels, logits, 0.9, rng, patients=owner, resamples=300
        ),
        "sensitivity at a fixed threshold": sensitivity,
        "specificity at a fixed threshold": specificity,
        "Brier score": brier_scores(labels, logits, owner),
        "likelihood": likelihoods(labels, logits, owner),
        "calibration error, both calibrated": squared_calibration_errors(labels, logits, owner),
        "calibration error, both overconfident": squared_calibration_errors(
            labels, overconfident, owner
        ),
    }


def rejections(repetitions: int) -> Iterator[Rate]:
    """Yield the rates of all measures in all settings."""
    settings = (
        ("200 patients, 2 images, seed SD 0", 200, 2, 0.0),
        ("200 patients, 2 images, seed SD 0.2", 200, 2, 0.2),
        ("60 patients, 1 image, seed SD 0.1", 60, 1, 0.1),
    )
    for stream, (setting, patients, images, sd) in enumerate(settings):
        rng = np.random.default_rng([SEED, stream])
        found: dict[tuple[str, str], list[bool]] = {}
        for _ in range(repetitions):
            for name, values in measures(rng, *sample(rng, patients, images, sd)).items():
                for method, is_random in (("seeds random", True), ("checkpoints fixed", False)):
                    test = difference_of_arms(values, *ARMS, seeds_random=is_random)
                    if test.p is not None:
                        found.setdefault((name, method), []).append(test.p < 0.05)
        for (name, method), events in found.items():
            yield Rate(setting, name, method, sum(events) / len(events))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    for rate in rejections(parser.parse_args().repetitions):
        print(f"{rate.setting:40} {rate.measure:40} {rate.method:18} {100 * rate.rate:5.1f} %")


if __name__ == "__main__":
    main()
