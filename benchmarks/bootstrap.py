"""Speed of the counted bootstrap, each as a ratio measured in one run.

    python benchmarks/bootstrap.py

The peer is the usual loop: draw the cases, call scikit-learn's roc_auc_score, repeat.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from mammoshift.statistics.bootstrap_curves import bootstrap_curves
from mammoshift.statistics.calibration import calibration_measures
from mammoshift.statistics.cross_fitting import cross_fit
from mammoshift.statistics.inputs import FloatArray, IntArray
from mammoshift.statistics.operating_points import operating_points_of
from mammoshift.statistics.recalibration import fit_platt, fit_temperature
from mammoshift.statistics.recalibration_budget import recalibration_budget
from mammoshift.statistics.seeding import generator_for

RESAMPLES = 2000
LOOP_RESAMPLES = 100
ARMS, SEEDS = 5, 3
DATASETS = (322, 509, 714, 1032)
"""Cases of the four datasets of a study."""
STRATA = 6
REQUIRED_RATIO = 50.0
REQUIRED_SECONDS = 30.0


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest wall time of several calls."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def cases(n: int, arms: int) -> tuple[IntArray, FloatArray]:
    """Return labels [n] and scores [arms, n]."""
    rng = generator_for("bootstrap-benchmark", str(n))
    labels = (rng.random(n) < 0.25).astype(np.intp)
    return labels, 1.5 * (rng.normal(size=(arms, n)) + labels) - 1.5


def loop(labels: IntArray, scores: FloatArray, resamples: int) -> None:
    """Resample the cases and measure each arm again, with scikit-learn."""
    rng = generator_for("loop")
    for _ in range(resamples):
        chosen = rng.integers(0, labels.size, labels.size)
        for row in scores:
            roc_auc_score(labels[chosen], row[chosen])


def bootstrap_against_a_loop() -> float:
    """2000 resamples of 5 arms at 714 cases; the loop is timed on 100 and scaled by 20."""
    labels, scores = cases(714, ARMS)
    rng = generator_for("counts")
    ours = seconds(lambda: bootstrap_curves(labels, scores, rng, resamples=RESAMPLES))
    with_threshold = seconds(
        lambda: bootstrap_curves(labels, scores, rng, specificities=(0.95,), resamples=RESAMPLES)
    )
    scale = RESAMPLES / LOOP_RESAMPLES
    peer = seconds(lambda: loop(labels, scores, LOOP_RESAMPLES)) * scale
    print(
        f"2000 resamples, 5 arms, 714 cases: AUC {ours:.3f} s, "
        f"with sens@95 {with_threshold:.3f} s; "
        f"scikit-learn loop {peer:.1f} s (timed on {LOOP_RESAMPLES} resamples, times {scale:g})"
    )
    print(f"  ratio {peer / ours:.0f} (required {REQUIRED_RATIO:.0f})")
    return peer / ours


def large_samples() -> None:
    """Cost for each case and resample should stay flat as the number of cases grows."""
    base = 0.0
    for n, resamples in ((1_000, 2000), (10_000, 2000), (100_000, 200), (500_000, 40)):
        labels, scores = cases(n, 1)
        spent = seconds(
            lambda labels=labels, scores=scores, resamples=resamples: bootstrap_curves(
                labels, scores, generator_for("large"), resamples=resamples
            ),
            repeats=2,
        )
        each = spent / (n * resamples) * 1e9
        base = base or each
        print(
            f"{n:>7} cases, {resamples:>4} resamples: {spent:.2f} s, "
            f"{each:.1f} ns for each case and resample ({each / base:.1f} x)"
        )


def one_study() -> float:
    """All cells of a study: arms x seeds x datasets x strata on one process.

    Every cell gets AUC and sens@95 by bootstrap and its operating point; each whole dataset also
    calibration with null bands, two cross-fitted maps and the recalibration budget.
    """
    started = time.perf_counter()
    cells = 0
    for n in DATASETS:
        labels, scores = cases(n, ARMS * SEEDS)
        strata = generator_for("strata", str(n)).integers(1, STRATA, n)
        for stratum in range(STRATA):
            inside = np.ones(n, dtype=bool) if stratum == 0 else strata == stratum
            rng = generator_for("cell", str(n), str(stratum))
            curves = bootstrap_curves(labels[inside], scores[:, inside], rng, specificities=(0.95,))
            operating_points_of(labels[inside], scores[:, inside], curves, 0)
            cells += len(scores)
        for k, row in enumerate(scores):
            rng = generator_for("calibration", str(n), str(k))
            calibration_measures(row, labels, rng)
            for fit in (fit_temperature, fit_platt):
                calibration_measures(cross_fit(row, labels, fit, rng).logits, labels, rng)
            recalibration_budget(row, labels, rng, transferred_threshold=1.0)
    spent = time.perf_counter() - started
    print(
        f"{cells} cells of a study: {spent:.1f} s on one process "
        f"(required on two: {REQUIRED_SECONDS:.0f})"
    )
    return spent


def main() -> None:
    bootstrap_against_a_loop()
    large_samples()
    one_study()


if __name__ == "__main__":
    main()
