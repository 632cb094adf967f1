"""The comparison table of a study: paired tests per seed, and differences of transfer drops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mammoshift.evaluation.drops import difference_of_mean_drops
from mammoshift.evaluation.families import (
    adjusted,
    adjusted_over_all,
    compared_arms,
    compared_cells,
    comparison_at,
    comparison_row,
)
from mammoshift.evaluation.grid import Grid
from mammoshift.evaluation.rows import ComparisonRow


def compare_study(study: Mapping[str, Any], grid: Grid) -> list[ComparisonRow]:
    """Return all comparisons of a study that do not combine seeds into one test of two arms.

    For each family: the paired DeLong test of every arm against the reference at each seed, the
    omnibus test that all arms are equal at each dataset (means over seeds) and the difference of
    transfer drops. p-values are adjusted within each family and method; the adjustment over all
    families is beside it.
    """
    rows: list[ComparisonRow] = []
    for comparison in study["comparisons"]:
        family = list(_family(study["study"], comparison, grid))
        rows += adjusted(family, comparison["correct"])
    return adjusted_over_all(rows)


def _family(study: str, comparison: Mapping[str, Any], grid: Grid) -> Iterator[ComparisonRow]:
    for cell in compared_cells(comparison, grid):
        found = comparison_at(cell, comparison)
        for pair in found.pairs:
            yield comparison_row(
                study, comparison, cell, pair.arm_a, pair.seed or "", "delong_paired", pair.test
            )
        if found.omnibus is not None:
            note = "all arms of the family, joint test of their mean AUC"
            yield comparison_row(
                study, comparison, cell, "all_arms", "all", "omnibus", found.omnibus, note
            )
        if cell.subset == "target":
            for arm in compared_arms(comparison, cell):
                drop = difference_of_mean_drops(grid.test, cell, arm, comparison["reference"])
                yield comparison_row(
                    study, comparison, cell, arm, "all", "difference_of_drops", drop
                )
