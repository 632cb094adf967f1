"""What an AUC and its loss cover where few cases are misplaced, before and after.

    OMP_NUM_THREADS=1 python benchmarks/few_mistakes.py [--repetitions 1000] [--only NAME]

Scores are normal, decisions (0 or 1), of Student's t with 3 degrees of freedom, or of a model that
misses: some lesions score like healthy tissue. `before` is the logit interval with Student's t of
an AUC, and estimate -+ t se of a loss; repetitions in which it does not exist are left out of it.
`flagged` is how often the library says that its limits rest mostly on what is assumed beforehand,
or that patients are few; `passed` how often a loss as large as the margin is found non-inferior.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from mammoshift.statistics.auc import AucEstimate, auc_covariance
from mammoshift.statistics.curve_values import mean_of_arm
from mammoshift.statistics.intervals import auc_intervals
from mammoshift.statistics.transfer import drop_of_arm, drops_of

SEED = 20261222
MISSED_BY = 4.0
"""Standard deviations between lesions that are seen and the others."""
WITHIN_PATIENT = 0.6
FloatArray = NDArray[np.float64]
Limits = tuple[float | None, float | None]


@dataclass(frozen=True)
class Cohort:
    """Patients with `positives` and 19 times as many, but 600 at most, without a lesion.

    Attributes
    ----------
    kind
        Of scores: `normal`, `decisions`, `heavy tails` or `missed lesions`.
    auc
        The true one.
    positives
        Patients with positive images.
    images
        Of a patient, 1 to this many.
    """

    kind: str
    auc: float
    positives: int
    images: int = 1

    def estimate(self, rng: np.random.Generator) -> AucEstimate:
        """Return the AUC of a sample."""
        patients = self.positives + min(19 * self.positives, 600)
        owner = np.repeat(np.arange(patients), rng.integers(1, self.images + 1, patients))
        labels = (owner < self.positives).astype(int)
        by = parameter(self.kind, self.auc)
        share = WITHIN_PATIENT if self.images > 1 else 0.0

        def normal() -> FloatArray:
            common = rng.normal(size=patients)[owner]
            return np.sqrt(share) * common + np.sqrt(1.0 - share) * rng.normal(size=owner.size)

        if self.kind == "heavy tails":
            scores = rng.standard_t(3, owner.size) + by * labels
        elif self.kind == "missed lesions":
            seen = ndtr(normal()) < by
            scores = normal() + MISSED_BY * (labels * seen)
        else:
            scores = normal() + by * labels
        if self.kind == "decisions":
            scores = (scores > 1.3).astype(float)
        return auc_covariance(labels, scores, owner if self.images > 1 else None)


@lru_cache
def parameter(kind: str, auc: float) -> float:
    """Return the separation, or the share of lesions that are seen, that gives an AUC."""
    if kind == "normal":
        return float(2.0**0.5 * ndtri(auc))
    if kind == "decisions":
        return 1.3 + float(ndtri(2.0 * auc - 1.0 + ndtr(-1.3)))
    if kind == "missed lesions":
        return float((auc - 0.5) / (ndtr(MISSED_BY / 2.0**0.5) - 0.5))
    rng = np.random.default_rng(SEED)
    below, above = np.sort(rng.standard_t(3, 400_000)), rng.standard_t(3, 400_000)
    found = brentq(lambda d: np.searchsorted(below, above + d).mean() / below.size - auc, 0.0, 30.0)
    return float(found)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Row:
    """Coverage of a setting, and how often a loss as large as the margin passed."""

    what: str
    cohort: Cohort
    before: float
    passed_before: float
    after: float
    passed: float
    flagged: float


def of_auc(cohort: Cohort) -> Callable[[np.random.Generator], tuple[Limits, Limits, bool]]:
    """Return a draw of the two intervals of one AUC."""

    def one(rng: np.random.Generator) -> tuple[Limits, Limits, bool]:
        estimate = cohort.estimate(rng)
        old, new = (auc_intervals(estimate, method=name) for name in ("logit_t", "auto"))
        limits = [(float(found.low[0]), float(found.high[0])) for found in (old, new)]
        return limits[0], limits[1], bool(estimate.flags[0])

    return one


def of_loss(
    source: Cohort, target: Cohort
) -> Callable[[np.random.Generator], tuple[Limits, Limits, bool]]:
    """Return a draw of the two intervals of a loss."""

    def one(rng: np.random.Generator) -> tuple[Limits, Limits, bool]:
        drops = drops_of(source.estimate(rng), target.estimate(rng))
        old = mean_of_arm(drops, [0], seeds_random=False)
        new = drop_of_arm(drops, [0], seeds_random=False)
        return (old.ci_low, old.ci_high), (new.ci_low, new.ci_high), bool(new.note)

    return one


def measured(
    what: str,
    cohort: Cohort,
    truth: float,
    draw: Callable[[np.random.Generator], tuple[Limits, Limits, bool]],
    repetitions: int,
    stream: int,
) -> Row:
    """Return how often the intervals held the truth, or ended below it."""
    rng = np.random.default_rng([SEED, stream])
    drawn = [draw(rng) for _ in range(repetitions)]
    shares = []
    for found in ([one for one, _, _ in drawn], [other for _, other, _ in drawn]):
        ends = [(a, b) for a, b in found if a is not None and b is not None and a == a]
        shares.append(float(np.mean([a <= truth <= b for a, b in ends])))
        shares.append(float(np.mean([b < truth for _, b in ends])))
    return Row(what, cohort, *shares, flagged=float(np.mean([flag for *_, flag in drawn])))


def areas(repetitions: int) -> Iterator[Row]:
    """One AUC."""
    settings = [
        Cohort(kind, auc, positives)
        for kind in ("normal", "decisions", "missed lesions")
        for auc in (0.8, 0.9, 0.95)
        for positives in (8, 15, 25, 50, 100)
    ]
    for stream, cohort in enumerate(settings):
        yield measured("AUC", cohort, cohort.auc, of_auc(cohort), repetitions, stream)


def losses(repetitions: int) -> Iterator[Row]:
    """A loss of 0.05 to an AUC of 0.90, of 0.02 to 0.95 and 0.97, from 200 patients."""
    settings = [
        (Cohort(kind, auc + loss, 200), Cohort(kind, auc, positives))
        for kind in ("normal", "decisions", "missed lesions", "heavy tails")
        for auc, loss in ((0.9, 0.04), (0.95, 0.01), (0.97, 0.02))
        if kind != "decisions" or auc + loss < 0.95
        for positives in (10, 25, 50, 100)
    ]
    yield from _losses("loss", settings, repetitions, 100)


def clustered(repetitions: int) -> Iterator[Row]:
    """Patients of 1 to 4 images, whose scores are correlated by 0.6."""
    for stream, cohort in enumerate(
        Cohort(kind, auc, positives, images=4)
        for kind in ("normal", "decisions", "missed lesions")
        for auc in (0.85, 0.93)
        for positives in (10, 25, 50)
    ):
        yield measured("AUC", cohort, cohort.auc, of_auc(cohort), repetitions, 200 + stream)
    settings = [
        (Cohort(kind, auc + 0.01, 200, images=4), Cohort(kind, auc, positives, images=4))
        for kind in ("normal", "decisions", "missed lesions")
        for auc in (0.85, 0.93)
        for positives in (10, 25, 50)
    ]
    yield from _losses("loss", settings, repetitions, 300)


def _losses(
    what: str, settings: list[tuple[Cohort, Cohort]], repetitions: int, first: int
) -> Iterator[Row]:
    for stream, (source, target) in enumerate(settings):
        truth = source.auc - target.auc
        one = of_loss(source, target)
        yield measured(what, target, truth, one, repetitions, first + stream)


EXPERIMENTS: dict[str, Callable[[int], Iterator[Row]]] = {
    "areas": areas,
    "losses": losses,
    "clustered": clustered,
}


def condensed(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """Yield one line for each kind and number of patients, from the least to the most over AUCs."""
    groups = dict.fromkeys((row.what, row.cohort.kind, row.cohort.positives) for row in rows)
    for group in groups:
        own = [row for row in rows if group == (row.what, row.cohort.kind, row.cohort.positives)]
        cells = [(r.before, r.passed_before, r.after, r.passed, r.flagged) for r in own]
        columns = zip(*cells, strict=True)
        what, kind, positives = group
        yield (f"{what}, {kind}", f"{positives}", *map(_ends, columns))


def _ends(values: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{100.0 * end:.1f}" for end in (min(values), max(values)))
    return f"{' to '.join(ends)} %"


def main() -> None:
    """Run the experiments and print a Markdown table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--only", choices=tuple(EXPERIMENTS), action="append")
    arguments = parser.parse_args()
    for name in arguments.only or EXPERIMENTS:
        start = time.perf_counter()
        rows = list(EXPERIMENTS[name](arguments.repetitions))
        print(f"\n| {name} ({time.perf_counter() - start:.0f} s) | positive ", end="")
        print("| before | passed | after | passed | flagged |\n|---|---|---|---|---|---|---|")
        each = [(*cells, f"{row.cohort.auc:g}") for row in rows for cells in condensed([row])]
        for cells in each if arguments.each else condensed(rows):
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
