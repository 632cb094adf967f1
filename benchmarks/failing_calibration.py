"""Recalibration where it was found to mislead: flexible maps, the budget, the debiased error.

    OMP_NUM_THREADS=1 python benchmarks/failing_calibration.py [--repetitions 400] [--only NAME]

`maps` fits beta and isotonic maps to samples of a known truth, where Platt's line is right and
where it is not, and measures what each costs on new cases. `budget` asks how many fresh sites lie
inside the band of one target, and what the ECE of a calibrated model says of the number of labels.
`debiased` compares two ways of binning with the package of the paper.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from mammoshift.errors import StatisticsError
from mammoshift.statistics import flexible_recalibration
from mammoshift.statistics.calibration import brier_terms, nll_terms
from mammoshift.statistics.calibration_error import (
    bin_index,
    debiased_l2,
    debiased_square,
    expected_calibration_error,
)
from mammoshift.statistics.flexible_recalibration import (
    BetaMap,
    IsotonicMap,
    fit_beta,
    fit_isotonic,
)
from mammoshift.statistics.recalibration import LogitMap, fit_platt, fit_temperature
from mammoshift.statistics.recalibration_budget import recalibration_budget

SEED = 20261213
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Fitted = LogitMap | BetaMap | IsotonicMap
FITS: dict[str, Callable[[FloatArray, BoolArray], Fitted]] = {
    "platt": fit_platt,
    "beta": fit_beta,
    "isotonic": fit_isotonic,
}

TRUTHS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "a line is right": lambda x: 0.6 * x + 0.5,
    "bent": lambda x: 0.4 * log_expit(x) - 1.3 * log_expit(-x) - 0.3,
    "a plateau": lambda x: np.where(x < 1.0, 1.4 * x, 1.4) - 0.4,
}
"""True log-odds of a model's logit: what the map has to find."""
PACKAGE = {
    (1, 100, 9): 0.050514208416,
    (2, 140, 9): 0.186421061203,
    (3, 322, 9): 0.175233009397,
    (4, 173, 1): 0.037082711362,
    (5, 50, 9): 0.16189875058,
    (6, 200, 0): 0.082226520931,
}
"""What uncertainty-calibration 0.1.4 gives for six sets: (seed, cases, digits)."""


@dataclass(frozen=True)
class Measured:
    """One figure of one setting."""

    setting: str
    what: str
    value: float


def sample(
    rng: np.random.Generator,
    truth: Callable[[FloatArray], FloatArray],
    positives: int,
    prevalence: float,
    images: int,
) -> tuple[FloatArray, BoolArray]:
    """Return logits and labels of so many positive patients on average.

    Images of a patient have nearly the same logit, and one label.
    """
    patients = round(positives / prevalence)
    x = logits_of(rng, truth, patients, prevalence)
    label = rng.random(patients) < expit(truth(x))
    owner = np.repeat(np.arange(patients), images)
    return x[owner] + (0.3 * rng.normal(size=owner.size) if images > 1 else 0.0), label[owner]


def logits_of(
    rng: np.random.Generator,
    truth: Callable[[FloatArray], FloatArray],
    size: int,
    prevalence: float,
) -> FloatArray:
    """Return normal logits whose true risks have about this mean."""
    wide = np.linspace(-3.5, 3.5, 701)
    weight = np.exp(-0.5 * wide**2)
    low, high = -12.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2.0
        risk = float((weight * expit(truth(1.8 * wide + middle))).sum() / weight.sum())
        low, high = (middle, high) if risk < prevalence else (low, middle)
    return 1.8 * rng.normal(size=size) + (low + high) / 2.0


def excess(fitted: Fitted | None, x: FloatArray, true: FloatArray) -> float:
    """Return what a map loses against the truth, in nats for each case."""
    logits = x if fitted is None else fitted.apply(x)
    p = expit(true)
    loss = p * np.logaddexp(0.0, -logits) + (1.0 - p) * np.logaddexp(0.0, logits)
    best = p * np.logaddexp(0.0, -true) + (1.0 - p) * np.logaddexp(0.0, true)
    return float((loss - best).mean())


def maps(repetitions: int) -> Iterator[Measured]:
    """What beta and isotonic maps cost and gain against Platt's, by positive patients.

    The refusal of small samples is switched off, since it is what is to be chosen.
    """
    for name in ("FEWEST_FOR_BETA", "FEWEST_FOR_ISOTONIC", "FEWEST_OF_A_CLASS"):
        setattr(flexible_recalibration, name, 2)
    settings = [(m, p, 1) for p in (0.5, 0.1) for m in (25, 50, 100, 200, 400)]
    settings += [(25, 0.3, 4), (50, 0.3, 4), (100, 0.3, 4)]
    for stream, (truth, true_of) in enumerate(TRUTHS.items()):
        for number, (positives, prevalence, images) in enumerate(settings):
            rng = np.random.default_rng([SEED, stream, number])
            x = logits_of(rng, true_of, 20_000, prevalence)
            true = true_of(x)
            found: dict[str, list[float]] = {}
            for _ in range(repetitions):
                row, label = sample(rng, true_of, positives, prevalence, images)
                for what, fit in FITS.items():
                    try:
                        fitted = fit(row, label)
                    except StatisticsError:
                        continue
                    found.setdefault(what, []).append(1000.0 * excess(fitted, x, true))
            none = 1000.0 * excess(None, x, true)
            setting = f"{truth}, {positives} positive patients of {round(positives / prevalence)}"
            setting += f", {images} images" if images > 1 else ""
            platt = float(np.mean(found["platt"]))
            for what, values in found.items():
                mean = float(np.mean(values))
                worse = 100.0 * float(np.mean(np.array(values) > none))
                yield Measured(setting, f"{what}: excess, 1/1000 nat", mean)
                if what != "platt":
                    yield Measured(setting, f"{what}: minus Platt's", mean - platt)
                yield Measured(setting, f"{what}: worse than no map, %", worse)


def budget(repetitions: int) -> Iterator[Measured]:
    """The band of one target against fresh sites of its population, and the ECE by size."""

    def site(rng: np.random.Generator, patients: int) -> tuple[FloatArray, BoolArray]:
        true = rng.normal(-0.8, 1.4, patients)
        return 2.0 * true + 0.6, rng.random(patients) < expit(true)

    rng = np.random.default_rng([SEED, 10])
    inside: dict[str, list[bool]] = {}
    for _ in range(max(10, repetitions // 10)):
        points = recalibration_budget(*site(rng, 400), rng, sizes=(50,), draws=100).points
        bands = {p.metric: p for p in points if p.method == "temperature"}
        for _ in range(20):
            logits, labels = site(rng, 250)
            try:
                own = fit_temperature(logits[:50], labels[:50]).apply(logits[50:])
            except StatisticsError:
                own = logits[50:]
            for metric, terms in (("nll", nll_terms), ("brier", brier_terms)):
                value = float(terms(own, labels[50:]).mean())
                band = bands[metric]
                inside.setdefault(metric, []).append(band.low <= value <= band.high)
    for metric, events in inside.items():
        yield Measured(
            "50 labelled patients of a target of 400",
            f"fresh sites inside the band, {metric}, %",
            100.0 * float(np.mean(events)),
        )
    before: dict[int, list[float]] = {20: [], 150: []}
    after: dict[int, list[float]] = {20: [], 150: []}
    for _ in range(repetitions):
        true = rng.normal(-0.8, 1.4, 300)
        labels = rng.random(300) < expit(true)
        for k, own in before.items():
            own.append(expected_calibration_error(true[k:], labels[k:]))
            after[k].append(expected_calibration_error(true[150:], labels[150:]))
    for k in before:
        setting = f"ECE of a calibrated model, 300 patients, {k} labelled"
        yield Measured(setting, "before: of all that are left", float(np.mean(before[k])))
        yield Measured(setting, "after: of the same half", float(np.mean(after[k])))


def debiased(_repetitions: int) -> Iterator[Measured]:
    """The largest difference from the package over six sets, by quantiles and by sorted cases."""
    quantiles, cases = [], []
    for (seed, n, digits), expected in PACKAGE.items():
        rng = np.random.default_rng(seed)
        logits = np.round(rng.normal(-0.5, 1.6, n), digits)
        labels = rng.random(n) < 1.0 / (1.0 + np.exp(-0.4 * logits))
        index, size = bin_index(expit(logits), 15, "equal_mass")
        before = math.sqrt(max(0.0, debiased_square(expit(logits), labels, index, size)))
        quantiles.append(abs(before - expected))
        cases.append(abs(debiased_l2(logits, labels) - expected))
    setting = "debiased calibration error against its package, six sets"
    yield Measured(setting, "before: largest difference, bins by quantiles", max(quantiles))
    yield Measured(setting, "after: largest difference, bins of sorted cases", max(cases))


EXPERIMENTS: dict[str, Callable[[int], Iterator[Measured]]] = {
    "maps": maps,
    "budget": budget,
    "debiased": debiased,
}


def main() -> None:
    """Run the experiments and print a Markdown table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--only", choices=tuple(EXPERIMENTS), action="append")
    arguments = parser.parse_args()
    for name in arguments.only or EXPERIMENTS:
        start = time.perf_counter()
        rows = list(EXPERIMENTS[name](arguments.repetitions))
        print(f"\n| {name} ({time.perf_counter() - start:.0f} s) | | |\n|---|---|---|")
        for row in rows:
            print(f"| {row.setting} | {row.what} | {row.value:.4g} |", flush=True)


if __name__ == "__main__":
    main()
