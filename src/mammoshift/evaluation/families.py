"""Families of comparisons: which arms are compared where, their rows, and their adjustment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mammoshift.configuration.judged import Family
from mammoshift.evaluation.grid import Cell, Grid
from mammoshift.evaluation.rows import (
    INDEPENDENCE,
    LEAKS,
    ComparisonRow,
    counts,
    defined,
    joined_notes,
)
from mammoshift.statistics.arm_comparison import ArmComparison, compare_arms
from mammoshift.statistics.comparisons import (
    ChiSquareTest,
    Combined,
    Difference,
    detectable_difference,
)
from mammoshift.statistics.multiplicity import Correction, adjust


@dataclass(frozen=True)
class Compared:
    """The arms of a family that are compared with one reference at one cell, tested jointly."""

    family: Family
    cell: Cell
    reference: str
    arms: tuple[str, ...]

    @property
    def tests(self) -> ArmComparison:
        """The statistics of all arms and the reference, clustered by patient."""
        cell, arms = self.cell, (self.reference, *self.arms)
        curves = [(arm, str(seed)) for arm in arms for seed in cell.seeds]
        scores = cell.logits[[cell.arms.index(arm) for arm in arms]].reshape(len(curves), -1)
        return compare_arms(cell.labels, scores, curves, cell.clusters, self.reference)


def compared_in(family: Family, grid: Grid) -> list[Compared]:
    """Return what a family compares: domain by domain, and by reference on each.

    A domain with several reported subsets is compared on the one that leads. A pair of which an
    arm is not judged on the domain is left out there.
    """
    found = []
    for cell in grid.leading:
        if cell.domain not in family.domains:
            continue
        for reference in dict.fromkeys(pair.reference for pair in family.pairs):
            wanted = {pair.arm for pair in family.pairs if pair.reference == reference}
            arms = tuple(arm for arm in cell.arms if arm in wanted)
            if arms and reference in cell.arms:
                found.append(Compared(family, cell, reference, arms))
    return found


def comparison_row(
    study: str,
    compared: Compared,
    arm: str,
    seed: str,
    method: str,
    test: Difference | Combined | ChiSquareTest,
    *notes: str,
) -> ComparisonRow:
    """Return the row of one test; p-values are adjusted later, when the family is complete."""
    cell = compared.cell
    unknown = INDEPENDENCE if cell.patients_unknown else ""
    return ComparisonRow(
        study=study,
        family=compared.family.family,
        domain=cell.domain,
        subset=cell.subset,
        arm=arm,
        reference=compared.reference,
        seed=seed,
        note=joined_notes(test.note, *notes, unknown, LEAKS[cell.leak]),
        **test_numbers(test, method),
        **counts(cell),
    )


def test_numbers(test: Difference | Combined | ChiSquareTest, method: str) -> dict[str, Any]:
    """Return the columns that a test fills; a joint test has no estimate."""
    numbers = {
        "method": method,
        "statistic": defined(test.statistic),
        "df": defined(test.df),
        "p": defined(test.p),
    }
    names = ("estimate", "se", "ci_low", "ci_high")
    if isinstance(test, ChiSquareTest):
        return numbers | dict.fromkeys(names)
    detectable = detectable_difference(test.se, df=test.df) if test.se else None
    own = {name: defined(getattr(test, name)) for name in names}
    return numbers | own | {"detectable_difference": detectable}


def adjusted(rows: Sequence[ComparisonRow], correction: Correction) -> list[ComparisonRow]:
    """Return the rows of one family with p-values adjusted among those of the same method."""

    def fill(row: ComparisonRow, p: float | None, size: int) -> ComparisonRow:
        return replace(row, p_adjusted=p, family_size=size, correction=correction)

    return _adjust_each_method(rows, correction, fill)


def adjusted_over_all(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """Return the rows with p-values adjusted over all families too (Benjamini-Hochberg)."""
    return _adjust_each_method(rows, "bh", lambda row, p, _: replace(row, p_adjusted_all=p))


def _adjust_each_method(
    rows: Sequence[ComparisonRow],
    correction: Correction,
    fill: Callable[[ComparisonRow, float | None, int], ComparisonRow],
) -> list[ComparisonRow]:
    filled = list(rows)
    for method in dict.fromkeys(row.method for row in rows):
        positions = [i for i, row in enumerate(rows) if row.method == method]
        result = adjust([rows[i].p for i in positions], correction)
        for i, p in zip(positions, result.p, strict=True):
            filled[i] = fill(rows[i], p, result.family_size)
    return filled
