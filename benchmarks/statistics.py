"""Speed of the statistics, each as a ratio to a peer that is measured in the same run.

    OMP_NUM_THREADS=1 python benchmarks/statistics.py

A ratio below its limit passes; the exit status counts those that do not.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

if __name__ == "statistics":
    # Other scripts of this folder, and libraries that they import, mean the standard library's
    # module when they say `import statistics`; Python looks into the script's folder first.
    _spec = importlib.util.spec_from_file_location(
        __name__, Path(sysconfig.get_path("stdlib")) / "statistics.py"
    )
    if _spec is None or _spec.loader is None:
        raise ImportError("the standard library's module statistics was not found")
    sys.modules[__name__] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[__name__])


@dataclass(frozen=True)
class Ratio:
    """Our time over the peer's, and the most that it may be."""

    what: str
    ours: float
    peer: float
    limit: float

    @property
    def value(self) -> float:
        """Our time as a multiple of the peer's."""
        return self.ours / self.peer


def covariance_against_ranks() -> list[Ratio]:
    """The full covariance of all curves against one scipy.stats.rankdata of the same array."""
    import numpy as np
    from scipy.stats import rankdata

    from mammoshift.statistics.auc import auc_covariance

    rng = np.random.default_rng(0)
    ratios = []
    for K, N, limit in ((2, 1_000_000, 1.2), (15, 100_000, 2.0)):
        labels = rng.random(N) < 0.2
        continuous = rng.normal(size=(K, N)) + labels
        patients = rng.integers(0, N // 4, N)
        for what, scores, clusters in (
            ("continuous scores", continuous, None),
            ("scores with ties", np.round(continuous, 2), None),
            ("continuous scores, clustered by patient", continuous, patients),
        ):
            ours, peer = in_turns(
                lambda y=labels, s=scores, c=clusters: auc_covariance(y, s, c),
                lambda s=scores: rankdata(s, axis=1),
            )
            ratios.append(Ratio(f"covariance, K = {K}, N = {N:.0e}, {what}", ours, peer, limit))
    return ratios


def comparison_of_a_study() -> list[Ratio]:
    """All comparisons of 5 arms with 3 seeds on 4 datasets against ranking their scores."""
    import numpy as np
    from scipy.stats import rankdata

    from mammoshift.statistics.arm_comparison import compare_arms

    rng = np.random.default_rng(0)
    curves = [(arm, str(seed)) for arm in "abcde" for seed in range(3)]
    sets = []
    for N in (322, 509, 714, 1032):
        labels = rng.random(N) < 0.3
        sets.append((labels, rng.normal(size=(15, N)) + labels, np.arange(N) // 2))
    ours, peer = in_turns(
        lambda: [compare_arms(labels, scores, curves, ids) for labels, scores, ids in sets],
        lambda: [[rankdata(row) for row in scores] for _, scores, _ in sets],
    )
    return [Ratio("compare_arms, 4 datasets of a study, 10 pairs, 3 seeds", ours, peer, 20.0)]


def in_turns(
    ours: Callable[[], object], peer: Callable[[], object], rounds: int = 5
) -> tuple[float, float]:
    """Return the best time of each in seconds, run in turns so that both see the same load."""
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for i, function in enumerate((ours, peer)):
            start = time.perf_counter()
            function()
            best[i] = min(best[i], time.perf_counter() - start)
    return best[0], best[1]


SECTIONS: tuple[Callable[[], list[Ratio]], ...] = (covariance_against_ranks, comparison_of_a_study)


def main() -> int:
    """Print every ratio and return how many exceed their limit."""
    failures = 0
    for section in SECTIONS:
        for ratio in section():
            verdict = "ok" if ratio.value <= ratio.limit else "TOO SLOW"
            failures += ratio.value > ratio.limit
            print(
                f"{ratio.what:72s} {ratio.ours:8.4f} s / {ratio.peer:8.4f} s = "
                f"{ratio.value:6.2f}  (limit {ratio.limit:g})  {verdict}"
            )
    return failures


if __name__ == "__main__":
    sys.exit(main())
