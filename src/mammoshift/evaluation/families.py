"""Families of comparisons: which arms are compared where, their rows, and their adjustment."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mammoshift.configuration.judged import ComparisonSettings, Family
from mammoshift.evaluation.grid import Cell, Grid
from mammoshift.evaluation.rows import (
    INDEPENDENCE,
    LEAKS,
    ComparisonRow,
    counts,
    defined,
    joined_notes,
)
from mammoshift.statistics.arm_comparison import compare_arms
from mammoshift.statistics.arm_results import ArmComparison
from mammoshift.statistics.comparisons import (
    IDENTICAL,
    ChiSquareTest,
    Combined,
    Difference,
    detectable_by,
    within_bounds,
)
from mammoshift.statistics.margins import margin_tests
from mammoshift.statistics.multiplicity import Correction, adjust

Test = Difference | Combined | ChiSquareTest


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
        pairs = family.on_one_domain
        for reference in dict.fromkeys(pair.reference for pair in pairs):
            wanted = {pair.arm for pair in pairs if pair.reference == reference}
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
    test: Test,
    *notes: str,
    **others: Any,
) -> ComparisonRow:
    """Return the row of one test of a family; see `test_row`."""
    return test_row(
        study,
        compared.family.family,
        compared.cell,
        arm,
        test,
        *notes,
        reference=compared.reference,
        seed=seed,
        method=method,
        **others,
    )


def test_row(
    study: str,
    family: str,
    cell: Cell,
    arm: str,
    test: Test,
    *notes: str,
    method: str,
    exact_se: float | None = None,
    seed: str = "all",
    **others: Any,
) -> ComparisonRow:
    """Return the row of one test; p-values are adjusted later, when the family is complete.

    `exact_se` is the standard error of the same difference with the checkpoints held fixed, below
    which what could be detected does not fall. `others` are further columns.
    """
    unknown = INDEPENDENCE if cell.patients_unknown else ""
    numbers = test_numbers(test, method, exact_se)
    for name in ("ci_low", "ci_high"):
        numbers[name] = within_bounds(numbers[name], others.get("metric", "auc"))
    return ComparisonRow(
        study=study,
        family=family,
        domain=cell.domain,
        subset=cell.subset,
        arm=arm,
        seed=seed,
        note=joined_notes(test.note, *notes, unknown, LEAKS[cell.leak]),
        **({"reference": ""} | others),
        **numbers,
        **counts(cell),
    )


def test_numbers(test: Test, method: str, exact_se: float | None = None) -> dict[str, Any]:
    """Return the columns that a test fills; a joint test has no estimate.

    Without a variance nothing was tested, also where there is no difference: the row has no p.
    """
    if IDENTICAL in test.note:
        test = replace(test, statistic=None, p=None)
        if not isinstance(test, ChiSquareTest):
            test = replace(test, ci_low=None, ci_high=None)
    numbers = {
        "method": method,
        "statistic": defined(test.statistic),
        "df": defined(test.df),
        "p": defined(test.p),
    }
    names = ("estimate", "se", "ci_low", "ci_high")
    if isinstance(test, ChiSquareTest):
        return numbers | dict.fromkeys(names)
    own = {name: defined(getattr(test, name)) for name in names}
    return numbers | own | {"detectable_difference": detectable_by(test, exact_se)}


def adjusted(rows: Sequence[ComparisonRow], correction: Correction) -> list[ComparisonRow]:
    """Return the rows of one family with p-values adjusted among those of the same kind."""

    def fill(row: ComparisonRow, p: float | None, size: int) -> ComparisonRow:
        return replace(row, p_adjusted=p, family_size=size, correction=correction)

    return _adjust_each_kind(rows, correction, fill)


def adjusted_over_all(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """Return the rows with p-values adjusted over all families too (Benjamini-Hochberg)."""
    return _adjust_each_kind(rows, "bh", lambda row, p, _: replace(row, p_adjusted_all=p))


def with_verdicts(
    settings: ComparisonSettings,
    rows: Sequence[ComparisonRow],
    correction: Correction,
    tests: Sequence[Combined] | None = None,
) -> list[ComparisonRow]:
    """Return the rows of one family, the headline ones compared with the margin of their loss.

    `tests` are those that the rows show; by default they are estimate -+ t se of each row.

    Losses of one kind are one family of one-sided tests. Where no margin was declared the
    columns stay empty.
    """
    filled = list(rows)
    for kind in dict.fromkeys(row.kind for row in rows):
        own = [i for i, row in enumerate(rows) if row.kind == kind and row.headline]
        own = [i for i in own if rows[i].subgroup == "all"]
        if not own:
            continue
        first = rows[own[0]]
        if first.from_domain and first.reference:
            continue
        is_drop = bool(first.from_domain)
        margin = settings.margin("transfer_drop" if is_drop else "difference", first.metric)
        if margin is None:
            continue
        known = [_as_test(rows[i]) if tests is None else tests[i] for i in own]
        found = margin_tests(known, margin, positive_is_loss=is_drop, correction=correction)
        for i, test in zip(own, found, strict=True):
            names = ("p_noninferior", "p_inferior", "verdict")
            adjusted_names = ("p_noninferior_adjusted", "p_inferior_adjusted")
            own_columns = {name: getattr(test, name) for name in (*names, *adjusted_names)}
            ends = {
                f"verdict_{end}": within_bounds(defined(getattr(test, f"ci_{end}")), first.metric)
                for end in ("low", "high")
            }
            filled[i] = replace(rows[i], margin=margin, **own_columns, **ends)
    return filled


def _as_test(row: ComparisonRow) -> Combined:
    df = math.inf if row.df is None else row.df
    return Combined(
        row.method, row.estimate, row.se, row.statistic, df, row.p, row.ci_low, row.ci_high
    )


def _adjust_each_kind(
    rows: Sequence[ComparisonRow],
    correction: Correction,
    fill: Callable[[ComparisonRow, float | None, int], ComparisonRow],
) -> list[ComparisonRow]:
    filled = list(rows)
    for kind in dict.fromkeys(row.kind for row in rows):
        positions = [i for i, row in enumerate(rows) if row.kind == kind]
        result = adjust([rows[i].p for i in positions], correction)
        for i, p in zip(positions, result.p, strict=True):
            filled[i] = fill(rows[i], p, result.family_size)
    return filled
