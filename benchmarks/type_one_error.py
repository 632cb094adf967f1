"""How often each test rejects a true null, and how often each AUC interval covers the truth.

    python benchmarks/type_one_error.py [--repetitions 4000]

Every cell simulates binormal scores (Gaussian in each class) and applies the library's own
functions at the nominal 5 %. With R repetitions a rate p has a standard error of
sqrt(p (1 - p) / R): 0.34 points for 5 % and 4000.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.auprc import auprc_covariance
from mammoshift.statistics.calibration_error import calibration_error
from mammoshift.statistics.comparisons import omnibus, paired, unpaired
from mammoshift.statistics.intervals import auc_intervals
from mammoshift.statistics.meta_analysis import random_effects, weighted_stouffer
from mammoshift.statistics.multireader import (
    obuchowski_rockette_crossed,
    obuchowski_rockette_nested,
)
from mammoshift.statistics.seeds import ensemble, exact_fixed, stouffer_naive, strube
from mammoshift.statistics.subgroups import interaction_within_patients, subgroup_covariance
from mammoshift.statistics.transfer import difference_of_arm_drops, drops_of

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]
SEED = 20261121
D_PRIME = math.sqrt(2.0) * float(ndtri(0.85))
"""Separation of the classes, in standard deviations, that gives an AUC of 0.85."""


@dataclass(frozen=True)
class Rate:
    """A measured share of repetitions."""

    cell: str
    what: str
    rate: float


def labels_of(n_pos: int, n_neg: int) -> Labels:
    """Return n_pos ones and n_neg zeros."""
    return np.repeat(np.array([1, 0]), [n_pos, n_neg])


def arms_with_seeds(
    rng: np.random.Generator,
    labels: Labels,
    seeds: int,
    seed_share: float,
    d_prime: Scores | float = D_PRIME,
) -> Scores:
    """Return scores [2 S, N] of two arms with S seeds.

    Half of the variance of a score is the case's own, common to all curves; of the rest
    `seed_share` is the seed's own and the remainder common to the seeds of an arm.
    """
    N = labels.size
    case = rng.normal(size=N) * math.sqrt(0.5)
    arm = np.repeat(rng.normal(size=(2, N)), seeds, axis=0) * math.sqrt(0.5 * (1.0 - seed_share))
    seed = rng.normal(size=(2 * seeds, N)) * math.sqrt(0.5 * seed_share)
    shift = np.broadcast_to(np.asarray(d_prime), (2 * seeds,))
    return shift[:, None] * labels + case + arm + seed


def welch(first: Scores, second: Scores) -> float | None:
    """Return the p-value of Welch's t-test, which knows nothing of the cases."""
    return unpaired(
        float(first.mean()),
        float(first.var(ddof=1) / first.size),
        float(second.mean()),
        float(second.var(ddof=1) / second.size),
        (first.size, second.size),
    ).p


def rejections(
    repetitions: int,
    one: Callable[[np.random.Generator], dict[str, float | None]],
    cell: str,
    stream: int,
) -> Iterator[Rate]:
    """Yield, for each named p-value that `one` returns, how often it is below 0.05."""
    rng = np.random.default_rng([SEED, stream])
    counts: dict[str, int] = {}
    for _ in range(repetitions):
        for name, p in one(rng).items():
            counts[name] = counts.get(name, 0) + (p is not None and p < 0.05)
    for name, count in counts.items():
        yield Rate(cell, name, count / repetitions)


def seeds_on_one_test_set(repetitions: int) -> Iterator[Rate]:
    """Two arms of equal AUC whose S checkpoints are scored on the same cases."""
    labels = labels_of(60, 140)
    for stream, (seeds, share) in enumerate((s, x) for s in (3, 5, 10) for x in (0.63, 0.33, 0.12)):
        first, second = list(range(seeds)), list(range(seeds, 2 * seeds))

        def one(
            rng: np.random.Generator,
            seeds: int = seeds,
            share: float = share,
            first: list[int] = first,
            second: list[int] = second,
        ) -> dict[str, float | None]:
            scores = arms_with_seeds(rng, labels, seeds, share)
            e = auc_covariance(labels, scores)
            values, C = e.auc, e.covariance
            return {
                "stouffer_naive": stouffer_naive(values, C, first, second).p,
                "strube": strube(values, C, first, second).p,
                "exact_fixed": exact_fixed(values, C, first, second).p,
                "ensemble": ensemble(labels, scores[first], scores[second]).p,
            }

        cell = f"{seeds} seeds, correlation of their differences {1.0 - share:.2f}"
        yield from rejections(repetitions, one, cell, 100 + stream)


def seeds_as_random(repetitions: int) -> Iterator[Rate]:
    """Two architectures of equal expected AUC whose training varies from seed to seed."""
    labels, seeds = labels_of(200, 500), 3
    first, second = [0, 1, 2], [3, 4, 5]
    for stream, (sd, shared) in enumerate(
        ((0.0, False), (0.05, False), (0.1, False), (0.2, False), (0.1, True))
    ):

        def one(
            rng: np.random.Generator, sd: float = sd, shared: bool = shared
        ) -> dict[str, float | None]:
            effect = rng.normal(size=2 * seeds) * sd
            if shared:
                effect += np.tile(rng.normal(size=seeds) * sd, 2)
            e = auc_covariance(labels, arms_with_seeds(rng, labels, seeds, 0.33, D_PRIME + effect))
            values, C = e.auc, e.covariance
            tests: dict[str, float | None] = {
                "obuchowski_rockette_crossed": obuchowski_rockette_crossed(
                    values, C, first, second
                ).p
            }
            if not shared:
                tests = {
                    "exact_fixed": exact_fixed(values, C, first, second).p,
                    "Welch's t on the AUCs": welch(values[first], values[second]),
                    "obuchowski_rockette_nested": obuchowski_rockette_nested(
                        values, C, first, second
                    ).p,
                    **tests,
                }
            return tests

        what = "arm by seed and seed" if shared else "seed"
        yield from rejections(repetitions, one, f"{what} SD {sd:g} of d'", 200 + stream)


def images_of_one_patient(repetitions: int) -> Iterator[Rate]:
    """Two curves of equal AUC on several images of each patient."""
    for stream, (images, correlation) in enumerate(((2, 0.5), (2, 0.9), (4, 0.5), (4, 0.9))):
        labels = np.repeat(labels_of(60, 140), images)
        patients = np.repeat(np.arange(200), images)

        def one(
            rng: np.random.Generator,
            images: int = images,
            correlation: float = correlation,
            labels: Labels = labels,
            patients: Labels = patients,
        ) -> dict[str, float | None]:
            own = rng.normal(size=(2, labels.size)) * math.sqrt(1.0 - correlation)
            patient = np.repeat(rng.normal(size=(2, 200)), images, axis=1) * math.sqrt(correlation)
            scores = own + patient + D_PRIME * labels
            tests = {}
            for name, clusters in (("paired DeLong", None), ("paired Obuchowski", patients)):
                e = auc_covariance(labels, scores, clusters)
                tests[name] = paired(e.auc, e.covariance, 0, 1).p
            return tests

        cell = f"{images} images for each patient, correlation {correlation:g}"
        yield from rejections(repetitions, one, cell, 300 + stream)


def other_comparisons(repetitions: int) -> Iterator[Rate]:
    """The remaining tests, each under its own true null."""
    labels, smaller = labels_of(60, 140), labels_of(40, 80)
    views = np.tile(["CC", "MLO"], 150)
    patients, by_view = np.repeat(np.arange(150), 2), np.repeat(labels_of(60, 90), 2)

    def curves(rng: np.random.Generator, labels: Labels, K: int) -> Scores:
        return (
            D_PRIME * labels
            + math.sqrt(0.5) * rng.normal(size=labels.size)
            + math.sqrt(0.5) * rng.normal(size=(K, labels.size))
        )

    def one(rng: np.random.Generator) -> dict[str, float | None]:
        source = auc_covariance(labels, curves(rng, labels, 4))
        target = auc_covariance(smaller, curves(rng, smaller, 2))
        average_precision = auprc_covariance(labels, curves(rng, labels, 2))
        differences = [paired(e.auc, e.covariance, 0, 1) for e in (source, target)]
        third = auc_covariance(smaller, curves(rng, smaller, 2))
        differences.append(paired(third.auc, third.covariance, 0, 1))
        estimates = [d.estimate or 0.0 for d in differences]
        ses = [d.se or math.nan for d in differences]
        two = auc_covariance(labels, curves(rng, labels, 2))
        drops = drops_of(two, target)
        in_views = math.sqrt(0.5) * np.repeat(rng.normal(size=(2, 150)), 2, axis=1)
        shared = subgroup_covariance(by_view, curves(rng, by_view, 2) + in_views, views, patients)
        return {
            "paired DeLong": differences[0].p,
            "paired average precision": paired(
                average_precision.auprc, average_precision.covariance, 0, 1
            ).p,
            "omnibus, 4 arms": omnibus(source.auc, source.covariance).p,
            "transfer drop (unpaired)": unpaired(
                source.auc[0], source.covariance[0, 0], target.auc[0], target.covariance[0, 0]
            ).p,
            "difference of drops": difference_of_arm_drops(drops, [0], [1], seeds_random=False).p,
            "interaction of views, patients shared": interaction_within_patients(
                shared, [1.0, -1.0]
            ).p,
            "weighted_stouffer, 3 datasets": weighted_stouffer(estimates, ses).p,
            "random_effects, 3 datasets": random_effects(estimates, ses).mean.p,
        }

    yield from rejections(repetitions, one, "60 + 140 and 40 + 80 cases", 400)


def random_effects_of_heterogeneous_datasets(repetitions: int) -> Iterator[Rate]:
    """Means over datasets whose true differences vary around zero."""
    for stream, count in enumerate((3, 5, 10)):

        def one(rng: np.random.Generator, count: int = count) -> dict[str, float | None]:
            ses = rng.uniform(0.008, 0.02, count)
            effects = rng.normal(size=count) * np.hypot(ses, 0.015)
            return {
                "weighted_stouffer": weighted_stouffer(effects.tolist(), ses.tolist()).p,
                "random_effects": random_effects(effects.tolist(), ses.tolist()).mean.p,
            }

        cell = f"{count} datasets, heterogeneity SD 0.015, standard errors 0.008 to 0.020"
        yield from rejections(repetitions, one, cell, 500 + stream)


def seeds_over_targets(repetitions: int) -> Iterator[Rate]:
    """Differences on three targets with other patients each, combined; no effect of the seeds."""
    labels = labels_of(60, 140)
    for stream, (seeds, share) in enumerate((s, x) for s in (2, 3) for x in (1.0, 0.33)):
        first, second = list(range(seeds)), list(range(seeds, 2 * seeds))

        def one(
            rng: np.random.Generator,
            seeds: int = seeds,
            share: float = share,
            first: list[int] = first,
            second: list[int] = second,
        ) -> dict[str, float | None]:
            targets = [
                auc_covariance(labels, arms_with_seeds(rng, labels, seeds, share)) for _ in range(3)
            ]
            rates: dict[str, float | None] = {}
            for test in (exact_fixed, obuchowski_rockette_nested):
                found = [test(e.auc, e.covariance, first, second) for e in targets]
                estimates = [f.estimate or 0.0 for f in found]
                rates[f"weighted_stouffer of {test.__name__}"] = weighted_stouffer(
                    estimates, [f.se or math.nan for f in found]
                ).p
            return rates

        yield from rejections(
            repetitions,
            one,
            f"{seeds} seeds, correlation of their differences {1.0 - share:.2f}",
            700 + stream,
        )


def calibrated_models(repetitions: int) -> Iterator[Rate]:
    """How often a calibrated model exceeds the 95 % limit of its ECE; a tenth of the repetitions.

    150 patients with several images each, whose probability and label are the same.
    """
    for stream, images in enumerate((1, 2, 4)):
        rng = np.random.default_rng([SEED, 800 + stream])
        patients = np.repeat(np.arange(150), images)
        exceeded = {"independent labels": 0, "labels of a patient together": 0}
        rounds = max(1, repetitions // 10)
        for _ in range(rounds):
            logits = rng.normal(-0.5, 1.5, 150)
            labels = np.repeat(rng.random(150) < expit(logits), images)
            scores = np.repeat(logits, images)
            for name, owner in zip(exceeded, (None, patients), strict=True):
                found = calibration_error(scores, labels, rng, patients=owner)
                exceeded[name] += found.value > found.null_high
        for name, count in exceeded.items():
            yield Rate(f"{images} equal images of each of 150 patients", name, count / rounds)


def coverage_of_intervals(repetitions: int) -> Iterator[Rate]:
    """How often the 95 % intervals of an AUC hold its true value, where they are defined."""
    for stream, (n_pos, n_neg, auc) in enumerate(
        (
            (40, 100, 0.87),
            (20, 120, 0.87),
            (10, 130, 0.87),
            (40, 100, 0.95),
            (8, 40, 0.95),
            (57, 265, 0.65),
        )
    ):
        rng = np.random.default_rng([SEED, 600 + stream])
        labels, d_prime = labels_of(n_pos, n_neg), math.sqrt(2.0) * ndtri(auc)
        covered: dict[Literal["logit", "wald"], int] = {"logit": 0, "wald": 0}
        defined = 0
        # Independent curves on the same labels are as good as repetitions, and quicker.
        batches = -(-repetitions // 100)
        for _ in range(batches):
            e = auc_covariance(labels, rng.normal(size=(100, labels.size)) + d_prime * labels)
            for method in covered:
                interval = auc_intervals(e, method=method)
                inside = (interval.low <= auc) & (auc <= interval.high)
                covered[method] += int(np.count_nonzero(inside))
            defined += int(np.count_nonzero(e.se > 0.0))
        cell = f"{n_pos} + {n_neg} cases, AUC {auc:.2f}"
        for method, count in covered.items():
            yield Rate(cell, method, count / defined)
        if defined < 100 * batches:
            yield Rate(cell, "undefined: perfect separation", 1.0 - defined / (100 * batches))


EXPERIMENTS: tuple[tuple[str, Callable[[int], Iterator[Rate]]], ...] = (
    ("Seeds on one test set, these checkpoints equal", seeds_on_one_test_set),
    ("Seeds as random, the architectures equal", seeds_as_random),
    ("Several images of one patient", images_of_one_patient),
    ("Other comparisons", other_comparisons),
    ("Datasets that differ", random_effects_of_heterogeneous_datasets),
    ("Seeds combined over targets", seeds_over_targets),
    ("Calibrated models beyond the limit of their ECE", calibrated_models),
    ("Coverage of 95 % intervals of the AUC", coverage_of_intervals),
)


def measured(index: int, repetitions: int) -> tuple[list[Rate], float]:
    """Return the rates of one experiment and the seconds that it took."""
    start = time.perf_counter()
    rates = list(EXPERIMENTS[index][1](repetitions))
    return rates, time.perf_counter() - start


def main() -> None:
    """Run the experiments, two at a time, and print a table for each."""
    parser = argparse.ArgumentParser(description="Type-I errors and coverages.")
    parser.add_argument("--repetitions", type=int, default=4000)
    repetitions = parser.parse_args().repetitions
    print(f"AUC {ndtr(D_PRIME / math.sqrt(2.0)):.2f}, {repetitions} repetitions")
    with ProcessPoolExecutor(2) as pool:
        done = pool.map(measured, range(len(EXPERIMENTS)), [repetitions] * len(EXPERIMENTS))
        for (title, _), (rates, seconds) in zip(EXPERIMENTS, done, strict=True):
            print(f"\n{title} ({seconds:.0f} s)")
            for cell in dict.fromkeys(rate.cell for rate in rates):
                print(f"  {cell}")
                for rate in rates:
                    if rate.cell == cell:
                        print(f"    {rate.what:40s} {100.0 * rate.rate:5.1f} %")


if __name__ == "__main__":
    main()
