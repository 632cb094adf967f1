"""Comparisons combined over the seeds of each dataset, and then over independent datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mammoshift.evaluation.families import (
    adjusted,
    adjusted_over_all,
    compared_cells,
    comparison_at,
    comparison_row,
    test_numbers,
)
from mammoshift.evaluation.grid import Cell, Grid
from mammoshift.evaluation.rows import ComparisonRow, joined_notes
from mammoshift.statistics.meta_analysis import random_effects, weighted_stouffer

SEEDS_RANDOM = "obuchowski_rockette_nested"
SEEDS_FIXED = "exact_fixed"
CHECKPOINTS = "seeds held fixed: a statement about these checkpoints"


def combine_seeds(study: Mapping[str, Any], grid: Grid) -> list[ComparisonRow]:
    """Return every comparison of a study combined over seeds, and over targets.

    The headline of a family is the test with seeds as random (Obuchowski and Rockette, nested),
    since a study speaks of architectures; with one seed only, the exact test of the checkpoints.
    """
    rows: list[ComparisonRow] = []
    for comparison in study["comparisons"]:
        family: list[ComparisonRow] = []
        for cell in compared_cells(comparison, grid):
            family += _combined_at(study["study"], comparison, cell)
        family += _over_targets(study["study"], comparison, family)
        rows += adjusted(family, comparison["correct"])
    return adjusted_over_all(rows)


def _combined_at(study: str, comparison: Mapping[str, Any], cell: Cell) -> Iterator[ComparisonRow]:
    headline = SEEDS_RANDOM if len(cell.seeds) > 1 else SEEDS_FIXED
    for pair in comparison_at(cell, comparison).combined:
        rho = pair.seed_correlation
        for test in pair.tests or (pair.mean_difference,):
            naive = test.method == "stouffer_naive" and rho is not None
            note = f"correlation between seeds {rho:.2f}" if naive else ""
            row = comparison_row(
                study, comparison, cell, pair.arm_a, "all", test.method, test, note
            )
            yield replace(row, headline=test.method == headline)


def _over_targets(
    study: str, comparison: Mapping[str, Any], rows: list[ComparisonRow]
) -> Iterator[ComparisonRow]:
    """Combine the differences of each arm over targets, whose patients differ.

    The targets share the seeds, so that only differences of these checkpoints are independent.
    """
    targets = [row for row in rows if row.method == SEEDS_FIXED and row.subset == "target"]
    if len({row.dataset for row in targets}) < 2:
        return
    for arm in dict.fromkeys(row.arm for row in targets):
        own = [row for row in targets if row.arm == arm]
        estimates = [_or_nan(row.estimate) for row in own]
        ses = [_or_nan(row.se) for row in own]
        meta = random_effects(estimates, ses)
        spread = "" if meta.i2 is None else f"I2 {meta.i2:.2f}, tau2 {meta.tau2:.3g}"
        for test, note in ((weighted_stouffer(estimates, ses), ""), (meta.mean, spread)):
            yield ComparisonRow(
                study=study,
                family=comparison["family"],
                dataset="all_targets",
                subset="target",
                arm=arm,
                reference=comparison["reference"],
                seed="all",
                note=joined_notes(test.note, note, CHECKPOINTS),
                n=sum(row.n or 0 for row in own),
                n_pos=sum(row.n_pos or 0 for row in own),
                n_neg=sum(row.n_neg or 0 for row in own),
                n_clusters=sum(row.n_clusters or 0 for row in own),
                **test_numbers(test, test.method),
            )


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
