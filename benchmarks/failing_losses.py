"""What a loss among few patients covers, before and after its interval was mended.

    OMP_NUM_THREADS=1 python benchmarks/failing_losses.py [--repetitions 1000] [--only NAME]

The source has 200 positive patients, the target few. `before` is estimate -+ t se, `after` the
library's interval. Each row tells the coverage of the nominal 95 %, and how often a loss as large
as the margin is found non-inferior where 2.5 % are meant, from the least to the most over the
settings of its kind; `--each` prints them all.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.comparisons import Combined
from mammoshift.statistics.curve_values import CurveValues, aucs, mean_of_arm
from mammoshift.statistics.margins import margin_tests
from mammoshift.statistics.paired_operating_points import (
    rates_of_decisions,
    sensitivities_at_specificity,
)
from mammoshift.statistics.transfer import difference_of_arm_drops, drop_of_arm, drops_between

SEED = 20261216
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Measure = Callable[[IntArray, FloatArray, IntArray], CurveValues]
POSITIVES = (9, 12, 15, 20, 30)
NEGATIVES = {9: 90, 12: 200, 15: 150, 20: 200, 30: 150, 200: 400}


@dataclass(frozen=True)
class Held:
    """How often an interval held the truth, and a loss equal to the margin passed."""

    kind: str
    setting: str
    method: str
    coverage: float
    passed: float


@dataclass(frozen=True)
class Cohort:
    """Patients of a dataset.

    Attributes
    ----------
    positives
        Patients with positive images; `NEGATIVES` says how many go with them.
    auc
        True one of each architecture on average.
    images
        Of a patient, 1 to this many.
    spread
        Standard deviation of the positives, that of the negatives being 1.
    """

    positives: int
    auc: float
    images: int = 1
    spread: float = 1.0

    @property
    def distance(self) -> float:
        """Of the two classes' means."""
        return math.hypot(1.0, self.spread) * float(ndtri(self.auc))

    def drawn(
        self, rng: np.random.Generator, effects: Sequence[float] = (0.0,)
    ) -> tuple[IntArray, FloatArray, IntArray]:
        """Return labels, scores of curves with these separations more, and patients."""
        patients = self.positives + NEGATIVES[self.positives]
        owner = np.repeat(np.arange(patients), rng.integers(1, self.images + 1, patients))
        labels = (owner < self.positives).astype(int)
        common = rng.normal(size=patients)[owner] * math.sqrt(0.6)
        common += rng.normal(size=owner.size) * math.sqrt(0.4)
        scores = np.tile(common, (len(effects), 1))
        if len(effects) > 1:
            own = rng.normal(size=scores.shape)
            scores = math.sqrt(0.7) * scores + math.sqrt(0.3) * own
        scores *= np.where(labels == 1, self.spread, 1.0)
        return labels, scores + (self.distance + np.asarray(effects)[:, None]) * labels, owner


def held(
    kind: str,
    setting: str,
    repetitions: int,
    one: Callable[[np.random.Generator], dict[str, Combined]],
    truth: float,
    stream: int,
) -> Iterator[Held]:
    """Yield what each interval of `one` held, read from the verdicts at a margin."""
    rng = np.random.default_rng([SEED, stream])
    found: dict[str, list[tuple[bool, bool]]] = {}
    for _ in range(repetitions):
        for name, test in one(rng).items():
            (verdict,) = margin_tests([test], 1.0, positive_is_loss=True)
            if verdict.ci_low is None or verdict.ci_high is None:
                continue
            inside = verdict.ci_low <= truth <= verdict.ci_high
            found.setdefault(name, []).append((inside, verdict.ci_high < truth))
    for name, events in found.items():
        coverage, passed = np.mean(events, axis=0)
        yield Held(kind, setting, name, float(coverage), float(passed))


def auc(labels: IntArray, scores: FloatArray, patients: IntArray) -> CurveValues:
    """Return the AUCs."""
    return aucs(auc_covariance(labels, scores, patients))


def both(source: CurveValues, target: CurveValues, seeds_random: bool) -> dict[str, Combined]:
    """Return the loss of all curves together, as it was tested and as it is."""
    drops, own = drops_between(source, target), list(range(source.values.size))
    return {
        "before": mean_of_arm(drops, own, seeds_random=seeds_random),
        "after": drop_of_arm(drops, own, seeds_random=seeds_random),
    }


def losses_of_auc(repetitions: int) -> Iterator[Held]:
    """One model: AUCs that are equal, and lower at the target, one image a patient and up to 4."""
    for stream, (images, m, at) in enumerate(
        (images, m, at) for images in (1, 4) for m in POSITIVES for at in (0.75, 0.85, 0.92)
    ):
        for equal in (True, False):
            source = Cohort(200, at if equal else round(at + 0.05, 2), images)
            target = Cohort(m, at, images)
            yield from _of_models(repetitions, source, target, 2 * stream + equal)


def other_scores(repetitions: int) -> Iterator[Held]:
    """One model, whose positives vary more than its negatives; few positives at both ends."""
    for stream, (m, at, spread) in enumerate(
        (m, at, spread) for spread in (1.33, 2.0) for m in (9, 15, 30) for at in (0.75, 0.92)
    ):
        target = Cohort(m, at, spread=spread)
        yield from _of_models(repetitions, Cohort(200, at, spread=spread), target, 100 + stream)
    for stream, m in enumerate((9, 20)):
        yield from _of_models(repetitions, Cohort(m, 0.92), Cohort(m, 0.85), 120 + stream)


def _of_models(repetitions: int, source: Cohort, target: Cohort, stream: int) -> Iterator[Held]:
    def one(rng: np.random.Generator) -> dict[str, Combined]:
        return both(auc(*source.drawn(rng)), auc(*target.drawn(rng)), False)

    kind = f"{target.positives} positive patients"
    if source.positives < 200:
        kind += " at both ends"
    kind += f", 1 to {target.images} images" if target.images > 1 else ""
    kind += f", positives' SD {target.spread:g}" if target.spread != 1.0 else ""
    setting = f"AUC {source.auc:g} to {target.auc:g}, {kind}"
    yield from held(
        f"one model, {kind}", setting, repetitions, one, source.auc - target.auc, stream
    )


def losses_of_seeds(repetitions: int) -> Iterator[Held]:
    """An architecture of 3 seeds, whose separations vary by an SD of d'."""
    for stream, (m, sd, images) in enumerate(
        (m, sd, images) for m in (9, 15, 30) for sd, images in ((0.0, 1), (0.1, 1), (0.2, 4))
    ):
        source, target = Cohort(200, 0.9, images), Cohort(m, 0.85, images)
        means = [
            float(ndtr((c.distance + sd * ndtri(np.linspace(0.0005, 0.9995, 999))) / 2**0.5).mean())
            for c in (source, target)
        ]

        def one(
            rng: np.random.Generator, sd: float = sd, own: tuple[Cohort, Cohort] = (source, target)
        ) -> dict[str, Combined]:
            common, *apart = rng.normal(size=(3, 3)) * sd * math.sqrt(0.5)
            ends = [auc(*c.drawn(rng, common + e)) for c, e in zip(own, apart, strict=True)]
            return both(ends[0], ends[1], True)

        setting = f"3 seeds, SD {sd:g} of d', {m} positive patients"
        setting += f", 1 to {images} images" if images > 1 else ""
        yield from held(
            f"3 seeds, {m} positive patients",
            setting,
            repetitions,
            one,
            means[0] - means[1],
            200 + stream,
        )


def losses_of_rates(repetitions: int) -> Iterator[Held]:
    """Sensitivity at a fixed threshold, and at a specificity that is reached at both ends."""

    def fixed(labels: IntArray, scores: FloatArray, patients: IntArray) -> CurveValues:
        return rates_of_decisions(labels, scores > 1.0, patients)[0]

    for stream, (m, images) in enumerate((m, images) for m in POSITIVES for images in (1, 4)):
        source, target = Cohort(200, 0.92, images), Cohort(m, 0.88, images)
        more = f", 1 to {images} images" if images > 1 else ""

        def decided(
            rng: np.random.Generator, own: tuple[Cohort, Cohort] = (source, target)
        ) -> dict[str, Combined]:
            return both(fixed(*own[0].drawn(rng)), fixed(*own[1].drawn(rng)), False)

        truth = float(ndtr(source.distance - 1.0) - ndtr(target.distance - 1.0))
        setting = f"sensitivity at a fixed threshold, {m} positive patients{more}"
        kind = f"sensitivity, {m} positive patients"
        yield from held(kind, setting, repetitions, decided, truth, 300 + stream)

        def matched(
            rng: np.random.Generator, own: tuple[Cohort, Cohort] = (source, target)
        ) -> dict[str, Combined]:
            ends = []
            for labels, scores, patients in (c.drawn(rng) for c in own):
                ends.append(
                    sensitivities_at_specificity(
                        labels, scores, 0.9, rng, patients=patients, resamples=200
                    )
                )
            return both(ends[0], ends[1], False)

        at = float(ndtri(0.9))
        truth = float(ndtr(source.distance - at) - ndtr(target.distance - at))
        setting = f"sensitivity at 90 % specificity, {m} positive patients{more}"
        yield from held(kind, setting, max(1, repetitions // 2), matched, truth, 400 + stream)


def differences_of_losses(repetitions: int) -> Iterator[Held]:
    """Two models of equal losses on the same patients; the interval is estimate -+ t se."""
    for stream, (m, images) in enumerate((m, images) for m in POSITIVES for images in (1, 4)):
        source, target = Cohort(200, 0.92, images), Cohort(m, 0.85, images)

        def one(
            rng: np.random.Generator, own: tuple[Cohort, Cohort] = (source, target)
        ) -> dict[str, Combined]:
            drops = drops_between(*(auc(*c.drawn(rng, (0.0, 0.0))) for c in own))
            return {"after": difference_of_arm_drops(drops, [0], [1], seeds_random=False)}

        setting = f"difference of two losses, {m} positive patients"
        setting += f", 1 to {images} images" if images > 1 else ""
        kind = f"difference of two losses, {m} positive patients"
        yield from held(kind, setting, repetitions, one, 0.0, 500 + stream)


EXPERIMENTS: dict[str, Callable[[int], Iterator[Held]]] = {
    "auc": losses_of_auc,
    "other scores": other_scores,
    "seeds": losses_of_seeds,
    "rates": losses_of_rates,
    "differences": differences_of_losses,
}


def condensed(rows: Sequence[Held]) -> Iterator[tuple[str, ...]]:
    """Yield one line for each kind of setting, from the least to the most."""
    for kind in dict.fromkeys(row.kind for row in rows):
        cells = [kind]
        for method in ("before", "after"):
            own = [row for row in rows if (row.kind, row.method) == (kind, method)]
            for values in ([row.coverage for row in own], [row.passed for row in own]):
                ends = [f"{100.0 * end:.1f}" for end in (min(values), max(values))] if own else []
                cells.append(f"{' to '.join(ends)} %" if own else "")
        yield tuple(cells)


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
        print(
            f"\n| {name} ({time.perf_counter() - start:.0f} s) | before | passed | after | passed |"
        )
        print("|---|---|---|---|---|")
        for cells in condensed(rows):
            print(f"| {' | '.join(cells)} |", flush=True)
        for row in rows if arguments.each else ():
            shares = " | ".join(f"{100.0 * x:.1f} %" for x in (row.coverage, row.passed))
            print(f"| {row.setting} | {row.method} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
