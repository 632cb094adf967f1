"""The comparison table of a study: paired tests per seed, and differences of transfer drops."""

from __future__ import annotations

from collections.abc import Iterator

from mammoshift.configuration.judged import ComparisonSettings, Family
from mammoshift.evaluation.drops import difference_of_mean_drops
from mammoshift.evaluation.families import (
    adjusted,
    adjusted_over_all,
    compared_in,
    comparison_row,
)
from mammoshift.evaluation.grid import Grid
from mammoshift.evaluation.rows import LEAKS, ComparisonRow


def compare_study(settings: ComparisonSettings, grid: Grid) -> list[ComparisonRow]:
    """Return all comparisons of a study that do not combine seeds into one test of two arms.

    For each family: the paired DeLong test of every arm against its reference at each seed, the
    omnibus test that all arms with one reference are equal on a domain (means over seeds) and the
    difference of transfer drops, where arm and reference have one own domain. p-values are
    adjusted within each family and method; the adjustment over all families is beside it.
    """
    rows: list[ComparisonRow] = []
    for family in settings.families:
        rows += adjusted(list(_family(settings.study, family, grid)), family.correct)
    return adjusted_over_all(rows)


def _family(study: str, family: Family, grid: Grid) -> Iterator[ComparisonRow]:
    for compared in compared_in(family, grid):
        found = compared.tests
        for pair in found.pairs:
            yield comparison_row(
                study, compared, pair.arm_a, pair.seed or "", "delong_paired", pair.test
            )
        if found.omnibus is not None:
            note = "all arms of the family, joint test of their mean AUC"
            yield comparison_row(study, compared, "all_arms", "all", "omnibus", found.omnibus, note)
        reference = compared.reference
        own = grid.own_of(reference)
        if own is None or own.domain == compared.cell.domain:
            continue
        for arm in compared.arms:
            if grid.own_of(arm) is not own:
                continue
            drop = difference_of_mean_drops(own, compared.cell, arm, reference)
            yield comparison_row(
                study, compared, arm, "all", "difference_of_drops", drop, LEAKS[own.leak]
            )
