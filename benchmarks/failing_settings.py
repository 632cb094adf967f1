"""The settings in which tests and intervals were found to fail, before and after their mending.

    OMP_NUM_THREADS=1 python benchmarks/failing_settings.py [--repetitions 4000] [--only NAME]

`before` is the method as it was, `after` the library's own function. Rejection rates of true
nulls are at a nominal 5 %, coverages at a nominal 95 %; with R repetitions the standard error is
0.34 points for R = 4000.
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
from scipy.special import ndtri

from mammoshift.statistics.comparisons import omnibus
from mammoshift.statistics.subgroups import (
    SubgroupEstimate,
    interaction_within_patients,
    subgroup_covariance,
)

SEED = 20261212
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """A measured share: of rejections (nominal 0.05) or of coverage (nominal 0.95)."""

    setting: str
    method: str
    share: float
    nominal: float


def separation(auc: float) -> float:
    """Return the distance of two normal distributions of variance one with this AUC."""
    return math.sqrt(2.0) * float(ndtri(auc))


def shares(
    setting: str,
    repetitions: int,
    one: Callable[[np.random.Generator], dict[str, bool | None]],
    stream: int,
    nominal: float = 0.05,
) -> Iterator[Share]:
    """Yield how often each named event of `one` happens where it is defined (not None)."""
    rng = np.random.default_rng([SEED, stream])
    found: dict[str, list[bool]] = {}
    for _ in range(repetitions):
        for name, happened in one(rng).items():
            own = found.setdefault(name, [])
            if happened is not None:
                own.append(happened)
    for name, events in found.items():
        yield Share(setting, name, sum(events) / max(1, len(events)), nominal)


def rejects(p: float | None) -> bool | None:
    """Return whether a test rejects at 5 %; None where it is undefined."""
    return None if p is None else p < 0.05


def chi_square_of_aucs(estimate: SubgroupEstimate, weights: FloatArray) -> float | None:
    """Return p of the interaction as it was: Wald's chi-square on the scale of the AUC."""
    G = len(estimate.names)
    usable = [g for g in range(G) if not estimate.notes[g]]
    d = estimate.auc[usable] @ weights
    V = np.einsum(
        "k,gkhl,l->gh",
        weights,
        estimate.covariance[np.ix_(usable, range(weights.size), usable, range(weights.size))],
        weights,
    )
    return omnibus(d, V).p if len(usable) > 1 else None


def interaction_over_subgroups(repetitions: int) -> Iterator[Share]:
    """One arm has the same AUC in all four densities; two arms in clustered groups."""
    settings = (
        ("322 cases, 18 % positive, groups 10/40/40/10 %", 322, 0.18, (0.1, 0.4, 0.4, 0.1)),
        ("322 cases, 40 % positive, groups 10/40/40/10 %", 322, 0.4, (0.1, 0.4, 0.4, 0.1)),
        ("2000 cases, 10 % positive, groups 5/45/45/5 %", 2000, 0.1, (0.05, 0.45, 0.45, 0.05)),
    )
    distance = separation(0.85)
    for stream, (setting, size, prevalence, parts) in enumerate(settings):

        def one(
            rng: np.random.Generator,
            size: int = size,
            prevalence: float = prevalence,
            parts: tuple[float, ...] = parts,
        ) -> dict[str, bool | None]:
            labels = (rng.random(size) < prevalence).astype(int)
            scores = rng.normal(size=(1, size)) + distance * labels
            groups = rng.choice(list("abcd"), size, p=parts)
            estimate = subgroup_covariance(labels, scores, groups, np.arange(size))
            return {
                "before: chi-square of AUCs": rejects(chi_square_of_aucs(estimate, np.ones(1))),
                "after: F of logits": rejects(interaction_within_patients(estimate, [1.0]).p),
            }

        yield from shares(f"interaction, one arm, {setting}", repetitions, one, 100 + stream)

    def clustered(rng: np.random.Generator) -> dict[str, bool | None]:
        patients = np.repeat(np.arange(160), 4)
        labels = np.repeat((rng.random(160) < 0.35).astype(int), 4)
        groups = np.repeat(rng.choice(list("abcd"), 160, p=(0.1, 0.4, 0.4, 0.1)), 4)
        common = rng.normal(size=640) * math.sqrt(0.3)
        of_patient = np.repeat(rng.normal(size=(2, 160)), 4, axis=1) * math.sqrt(0.5)
        scores = (
            distance * labels + common + of_patient + rng.normal(size=(2, 640)) * math.sqrt(0.2)
        )
        estimate = subgroup_covariance(labels, scores, groups, patients)
        one_arm, pair = np.array([1.0, 0.0]), np.array([1.0, -1.0])
        return {
            "before: chi-square of AUCs": rejects(chi_square_of_aucs(estimate, one_arm)),
            "after: F of logits": rejects(interaction_within_patients(estimate, one_arm).p),
            "before: chi-square of differences": rejects(chi_square_of_aucs(estimate, pair)),
            "after: F of differences": rejects(interaction_within_patients(estimate, pair).p),
        }

    setting = "interaction, 160 patients with 4 images, groups 10/40/40/10 %"
    yield from shares(setting, repetitions, clustered, 110)


EXPERIMENTS: dict[str, Callable[[int], Iterator[Share]]] = {
    "subgroups": interaction_over_subgroups,
}


def measured(name: str, repetitions: int) -> tuple[list[Share], float]:
    """Return the shares of one experiment and the seconds that it took."""
    start = time.perf_counter()
    return list(EXPERIMENTS[name](repetitions)), time.perf_counter() - start


def main() -> None:
    """Run the experiments and print a Markdown table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=4000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", choices=tuple(EXPERIMENTS), action="append")
    arguments = parser.parse_args()
    names = arguments.only or list(EXPERIMENTS)
    with ProcessPoolExecutor(arguments.processes) as pool:
        jobs = [pool.submit(measured, name, arguments.repetitions) for name in names]
        for name, job in zip(names, jobs, strict=True):
            rows, seconds = job.result()
            print(
                f"\n| {name} ({seconds:.0f} s) | method | nominal | measured |\n|---|---|---|---|"
            )
            for row in rows:
                nominal, share = (f"{100.0 * x:.1f} %" for x in (row.nominal, row.share))
                print(f"| {row.setting} | {row.method} | {nominal} | {share} |", flush=True)


if __name__ == "__main__":
    main()
