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
from scipy.special import expit, ndtr, ndtri

from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.bootstrap import percentile_interval
from mammoshift.statistics.calibration_line import calibration_line
from mammoshift.statistics.comparisons import Combined, difference_test, omnibus, paired
from mammoshift.statistics.curve_values import CurveValues, difference_of_arms, mean_over_datasets
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.intervals import IntervalMethod, auc_intervals
from mammoshift.statistics.meta_analysis import (
    equal_weights,
    random_effects,
    weighted_stouffer,
)
from mammoshift.statistics.multireader import obuchowski_rockette_nested
from mammoshift.statistics.proportions import clustered_ratio
from mammoshift.statistics.subgroups import (
    FEWEST_PATIENTS,
    SubgroupEstimate,
    interaction_within_patients,
    subgroup_covariance,
)
from mammoshift.statistics.transfer import difference_of_arm_drops, drop_of_arm, drops_of

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
        inside = {
            f"{when}, inside the group of {share} %": value
            for name, share in (("a", 10), ("b", 40))
            for when, value in inside_a_group(labels, scores, patients, groups == name).items()
        }
        return {
            **inside,
            "before: chi-square of AUCs": rejects(chi_square_of_aucs(estimate, one_arm)),
            "after: F of logits": rejects(interaction_within_patients(estimate, one_arm).p),
            "before: chi-square of differences": rejects(chi_square_of_aucs(estimate, pair)),
            "after: F of differences": rejects(interaction_within_patients(estimate, pair).p),
        }

    setting = "interaction, 160 patients with 4 images, groups 10/40/40/10 %"
    yield from shares(setting, repetitions, clustered, 110)


def inside_a_group(
    labels: IntArray, scores: FloatArray, patients: IntArray, own: NDArray[np.bool_]
) -> dict[str, bool | None]:
    """Compare two arms inside one group; it is not tested where patients of a class are few."""
    estimate = auc_covariance(labels[own], scores[:, own], patients[own])
    values = CurveValues(estimate.auc, estimate.covariance, estimate.parts)
    enough = min(estimate.patients_pos, estimate.patients_neg) >= FEWEST_PATIENTS
    normal = paired(estimate.auc, estimate.covariance, 0, 1).p
    after = difference_of_arms(values, [0], [1], seeds_random=False).p if enough else None
    return {"before: normal": rejects(normal), "after: t, named below 10": rejects(after)}


def curves_with_seeds(
    rng: np.random.Generator, labels: IntArray, distances: FloatArray, arms: int = 2
) -> FloatArray:
    """Return scores [K, N] of K curves; arms have K / arms seeds with these separations.

    Of the variance of a score half is the case's, a third of the rest the seed's own.
    """
    K, N = distances.size, labels.size
    case = rng.normal(size=N) * math.sqrt(0.5)
    arm = np.repeat(rng.normal(size=(arms, N)), K // arms, axis=0) * math.sqrt(0.5 * 0.67)
    own = rng.normal(size=(K, N)) * math.sqrt(0.5 * 0.33)
    return distances[:, None] * labels + case + arm + own


def mean_auc_of_seeds(rng: np.random.Generator, distance: float, sd: float) -> float:
    """Return the mean AUC of an architecture whose separation varies with this SD."""
    return float(ndtr((distance + sd * rng.normal(size=200_000)) / math.sqrt(2.0)).mean())


def drops_with_seeds(repetitions: int) -> Iterator[Share]:
    """Source 300 + 700 patients, target 250 + 750."""
    at_source, at_target = (np.repeat([1, 0], sizes) for sizes in ((300, 700), (250, 750)))
    settings = ((3, 0.0, 0.5), (3, 0.1, 0.5), (3, 0.2, 0.0), (3, 0.2, 0.8), (5, 0.2, 0.5))
    for stream, (seeds, sd, shared) in enumerate(settings):
        means = [
            mean_auc_of_seeds(np.random.default_rng(1), separation(auc), sd) for auc in (0.85, 0.78)
        ]
        truth = means[0] - means[1]
        first, second = list(range(seeds)), list(range(seeds, 2 * seeds))

        def one(
            rng: np.random.Generator,
            seeds: int = seeds,
            sd: float = sd,
            shared: float = shared,
            truth: float = truth,
            first: list[int] = first,
            second: list[int] = second,
        ) -> dict[str, bool | None]:
            common, *own = rng.normal(size=(3, 2 * seeds)) * sd
            common *= math.sqrt(shared)
            own = [effect * math.sqrt(1.0 - shared) for effect in own]
            source, target = (
                auc_covariance(
                    labels, curves_with_seeds(rng, labels, separation(auc) + common + effect)
                )
                for labels, auc, effect in (
                    (at_source, 0.85, own[0]),
                    (at_target, 0.78, own[1]),
                )
            )
            drops = drops_of(source, target)
            found: dict[str, bool | None] = {}
            for when, is_random in (
                ("before: checkpoints fixed", False),
                ("after: seeds random", True),
            ):
                drop = drop_of_arm(drops, first, seeds_random=is_random)
                pair = difference_of_arm_drops(drops, first, second, seeds_random=is_random)
                found[f"{when}, drop misses"] = not covers(drop, truth)
                found[f"{when}, difference of drops"] = rejects(pair.p)
            return found

        setting = f"{seeds} seeds, SD {sd:g} of d', correlated by {shared:g} between datasets"
        yield from shares(setting, repetitions, one, 200 + stream)


def covers(test: Combined, truth: float) -> bool:
    """Return whether the interval of a test holds the truth."""
    assert test.ci_low is not None and test.ci_high is not None
    return test.ci_low <= truth <= test.ci_high


def pooled_seed_variance(
    values: FloatArray, covariance: FloatArray, first: list[int], second: list[int]
) -> float | None:
    """Return p of the nested test as it was, with one pooled variance of the seeds."""
    A, B = values[first], values[second]
    squares = ((A - A.mean()) ** 2).sum() + ((B - B.mean()) ** 2).sum()
    df = A.size + B.size - 2
    seed_part = squares / df * (1.0 / A.size + 1.0 / B.size)

    def off_diagonal(own: list[int]) -> float:
        block = covariance[np.ix_(own, own)]
        return (block.sum() - np.trace(block)) / (len(own) * (len(own) - 1))

    between = covariance[np.ix_(first, second)].mean()
    patients = max(off_diagonal(first) + off_diagonal(second) - 2.0 * between, 0.0)
    variance = float(seed_part + patients)
    return difference_test(
        float(A.mean() - B.mean()), variance, 1.0, df * (variance / seed_part) ** 2
    ).p


def arms_with_unequal_seeds(repetitions: int) -> Iterator[Share]:
    """200 + 500 patients; two architectures of equal mean AUC that vary differently."""
    labels = np.repeat([1, 0], [200, 500])
    settings = (
        ((3, 3), (0.1, 0.1)),
        ((3, 3), (0.02, 0.2)),
        ((3, 10), (0.2, 0.02)),
        ((10, 3), (0.1, 0.1)),
        ((2, 10), (0.2, 0.05)),
        ((5, 5), (0.02, 0.2)),
    )
    distance = separation(0.85)
    for stream, (counts, sds) in enumerate(settings):
        first, second = list(range(counts[0])), list(range(counts[0], sum(counts)))
        # Both have the same mean AUC: what varies more needs a larger mean separation.
        centres = [distance * math.sqrt(1.0 + sd**2 / 2.0) for sd in sds]

        def one(
            rng: np.random.Generator,
            counts: tuple[int, int] = counts,
            sds: tuple[float, float] = sds,
            centres: list[float] = centres,
            first: list[int] = first,
            second: list[int] = second,
        ) -> dict[str, bool | None]:
            N = labels.size
            case = rng.normal(size=N) * math.sqrt(0.5)
            rows = []
            for count, sd, centre in zip(counts, sds, centres, strict=True):
                d = centre + sd * rng.normal(size=count)
                arm = rng.normal(size=N) * math.sqrt(0.5 * 0.67)
                own = rng.normal(size=(count, N)) * math.sqrt(0.5 * 0.33)
                rows.append(d[:, None] * labels + case + arm + own)
            e = auc_covariance(labels, np.vstack(rows))
            after = obuchowski_rockette_nested(e.auc, e.covariance, first, second, parts=e.parts)
            return {
                "before: pooled": rejects(pooled_seed_variance(e.auc, e.covariance, first, second)),
                "after: Welch and Satterthwaite": rejects(after.p),
            }

        setting = (
            f"nested test, {counts[0]} and {counts[1]} seeds, seed SD {sds[0]:g} and {sds[1]:g}"
        )
        yield from shares(setting, repetitions, one, 300 + stream)


def few_positive_patients(repetitions: int) -> Iterator[Share]:
    """Intervals of one AUC with 8 to 15 positives, of normal and of other scores."""
    rounds = max(1, repetitions // 20)
    settings = (
        (8, 100, 0.75, 1.0),
        (8, 100, 0.87, 1.0),
        (10, 130, 0.87, 1.0),
        (15, 150, 0.95, 1.0),
        (15, 150, 0.87, 2.0),
    )
    methods: tuple[tuple[str, IntervalMethod], ...] = (
        ("before: logit", "logit"),
        ("t: logit_t", "logit_t"),
        ("after: score", "score"),
    )
    for stream, (m, n, auc, sd) in enumerate(settings):
        rng = np.random.default_rng([SEED, 400 + stream])
        labels = np.repeat([1, 0], [m, n])
        spread = np.where(labels == 1, sd, 1.0)
        distance = math.sqrt(1.0 + sd**2) * float(ndtri(auc))
        missed, defined = dict.fromkeys(dict(methods), 0), dict.fromkeys(dict(methods), 0)
        for _ in range(rounds):
            scores = rng.normal(size=(20, m + n)) * spread + distance * labels
            estimate = auc_covariance(labels, scores)
            for name, method in methods:
                found = auc_intervals(estimate, method=method)
                known = np.isfinite(found.low)
                defined[name] += int(known.sum())
                missed[name] += int((known & ((found.low > auc) | (found.high < auc))).sum())
        setting = f"AUC {auc:g}, {m} + {n} cases" + (f", positives' SD {sd:g}" if sd != 1.0 else "")
        for name, count in missed.items():
            yield Share(setting, name, 1.0 - count / defined[name], 0.95)

    def clustered(rng: np.random.Generator) -> dict[str, bool | None]:
        images = rng.integers(1, 5, 112)
        patients = np.repeat(np.arange(112), images)
        labels = (patients < 12).astype(int)
        common = rng.normal(size=112)[patients] * math.sqrt(0.6)
        scores = common + rng.normal(size=labels.size) * math.sqrt(0.4) + separation(0.85) * labels
        estimate = auc_covariance(labels, scores, patients)
        found: dict[str, bool | None] = {}
        for name, method in methods:
            interval = auc_intervals(estimate, method=method)
            known = bool(np.isfinite(interval.low[0]))
            found[name] = bool(interval.low[0] <= 0.85 <= interval.high[0]) if known else None
        return found

    yield from shares(
        "AUC 0.85, 12 + 100 patients, 1 to 4 images", repetitions, clustered, 420, 0.95
    )


def sensitivity_at_a_fixed_threshold(repetitions: int) -> Iterator[Share]:
    """Patients with 1 to 8 images, correlated by 0.7."""
    for stream, (count, sensitivity) in enumerate(((15, 0.8), (25, 0.8), (25, 0.92), (50, 0.92))):
        threshold = -float(ndtri(sensitivity))

        def one(
            rng: np.random.Generator,
            count: int = count,
            sensitivity: float = sensitivity,
            threshold: float = threshold,
        ) -> dict[str, bool | None]:
            images = rng.integers(1, 9, count)
            patients = np.repeat(np.arange(count), images)
            scores = rng.normal(size=count)[patients] * math.sqrt(0.7)
            hits = scores + rng.normal(size=patients.size) * math.sqrt(0.3) > threshold
            by_patient = np.bincount(patients, weights=hits, minlength=count)
            drawn = rng.multinomial(count, np.full(count, 1.0 / count), size=400)
            low, high = percentile_interval((drawn @ by_patient) / (drawn @ images))
            after = clustered_ratio(by_patient, images, empty="")
            assert after.ci_low is not None and after.ci_high is not None
            return {
                "before: percentile bootstrap of patients": bool(low <= sensitivity <= high),
                "after: ratio over patients": after.ci_low <= sensitivity <= after.ci_high,
            }

        setting = f"sensitivity {sensitivity:g}, {count} patients, 1 to 8 images"
        yield from shares(setting, repetitions, one, 500 + stream, 0.95)


def seeds_over_targets(repetitions: int) -> Iterator[Share]:
    """Two architectures of equal mean AUC on three targets together, 3 seeds of each."""
    sizes = ((100, 200), (40, 160), (150, 250))
    settings = ((0.0, 0.5), (0.1, 0.5), (0.2, 0.0), (0.2, 0.8))
    first, second = [0, 1, 2], [3, 4, 5]
    for stream, (sd, shared) in enumerate(settings):

        def one(
            rng: np.random.Generator, sd: float = sd, shared: float = shared
        ) -> dict[str, bool | None]:
            common = rng.normal(size=6) * sd * math.sqrt(shared)
            found = []
            for m, n in sizes:
                labels = np.repeat([1, 0], [m, n])
                d = separation(0.85) + common + rng.normal(size=6) * sd * math.sqrt(1.0 - shared)
                found.append(auc_covariance(labels, curves_with_seeds(rng, labels, d)))
            values = [CurveValues(e.auc, e.covariance, e.parts) for e in found]
            fixed = [difference_of_arms(v, first, second, seeds_random=False) for v in values]
            estimates = [test.estimate or 0.0 for test in fixed]
            ses = [test.se or math.nan for test in fixed]
            after = difference_of_arms(mean_over_datasets(values), first, second)
            return {
                "before: t of the targets, checkpoints fixed": rejects(
                    equal_weights(estimates, ses).p
                ),
                "before: sum of z, checkpoints fixed": rejects(weighted_stouffer(estimates, ses).p),
                "after: mean of each seed, seeds random": rejects(after.p),
            }

        setting = f"3 targets together, 3 seeds, SD {sd:g} of d', correlated by {shared:g}"
        yield from shares(setting, repetitions, one, 800 + stream)


def few_datasets(repetitions: int) -> Iterator[Share]:
    """Three targets of unequal precision, whose true differences vary around zero."""
    settings = (
        ((0.01, 0.01, 0.01), 0.02),
        ((0.01, 0.02, 0.03), 0.02),
        ((0.005, 0.02, 0.04), 0.02),
        ((0.005, 0.03, 0.03), 0.05),
    )
    for stream, (ses, tau) in enumerate(settings):

        def one(
            rng: np.random.Generator, ses: tuple[float, ...] = ses, tau: float = tau
        ) -> dict[str, bool | None]:
            d = (rng.normal(size=3) * np.hypot(ses, tau)).tolist()
            return {
                "before: Hartung and Knapp": rejects(random_effects(d, ses).mean.p),
                "after: equal weights": rejects(equal_weights(d, ses).p),
            }

        setting = f"3 targets, standard errors {ses}, heterogeneity SD {tau:g}"
        yield from shares(setting, repetitions, one, 600 + stream)


def calibration_slopes(repetitions: int) -> Iterator[Share]:
    """Logits that are calibrated but for noise, 3 images of each patient, few positive patients."""
    size = 300_000
    rng = np.random.default_rng(SEED)
    true = rng.normal(-3.0, 1.5, size)
    labels = rng.random(size) < expit(true)
    slope = calibration_line(true + 0.5 * rng.normal(size=size), labels).slope.value
    assert slope is not None
    for stream, (positives, patients) in enumerate(((2, 20), (4, 40), (7, 70), (15, 150))):

        def one(
            rng: np.random.Generator, positives: int = positives, patients: int = patients
        ) -> dict[str, bool | None]:
            true = rng.normal(-3.0, 1.5, patients)
            labels = rng.random(patients) < expit(true)
            if abs(int(labels.sum()) - positives) > 1:
                return {}
            logits = np.repeat(true, 3) + 0.5 * rng.normal(size=3 * patients)
            owner = np.repeat(np.arange(patients), 3)
            line = calibration_line(logits, np.repeat(labels, 3), patients=owner)
            low, high, value = line.slope.ci_low, line.slope.ci_high, line.slope.value
            if low is None or high is None or value is None:
                return {}
            t = critical_value(0.95, max(1.0, labels.sum() - 1.0))
            half = (high - value) / t * critical_value(0.95)
            return {
                "before: normal": abs(value - slope) <= half,
                "after: t, flagged below 8": low <= slope <= high,
            }

        setting = f"calibration slope, {positives} positive of {patients} patients, 3 images"
        yield from shares(setting, repetitions, one, 700 + stream, 0.95)


EXPERIMENTS: dict[str, Callable[[int], Iterator[Share]]] = {
    "subgroups": interaction_over_subgroups,
    "drops": drops_with_seeds,
    "seeds": arms_with_unequal_seeds,
    "few positives": few_positive_patients,
    "fixed threshold": sensitivity_at_a_fixed_threshold,
    "targets": seeds_over_targets,
    "few datasets": few_datasets,
    "slopes": calibration_slopes,
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
