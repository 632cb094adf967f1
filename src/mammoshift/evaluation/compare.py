"""The comparison table of a study: paired tests per seed, transfer drops, subgroup interactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mammoshift.evaluation.grid import Cell, Grid
from mammoshift.evaluation.rows import ComparisonRow, counts, defined, joined_notes
from mammoshift.statistics.auc import AucEstimate, auc_covariance
from mammoshift.statistics.comparisons import (
    ChiSquareTest,
    Difference,
    contrast,
    detectable_difference,
    interaction,
    omnibus,
    unpaired,
)
from mammoshift.statistics.multiplicity import Correction, adjust

INDEPENDENCE = "patients unknown for some cases: independence assumed"


def compare_arms(study: Mapping[str, Any], grid: Grid) -> list[ComparisonRow]:
    """Return all comparisons of a study that do not combine seeds into one test.

    For each family: the paired DeLong test of every arm against the reference at each seed, the
    omnibus test that all arms are equal at each dataset (means over seeds), the difference of
    transfer drops, and whether the mean difference varies between subgroups. p-values are
    adjusted within each family and method; the adjustment over all families is beside it.
    """
    estimates = {key: auc_of(cell) for key, cell in grid.cells.items()}
    rows: list[ComparisonRow] = []
    for comparison in study["comparisons"]:
        family = list(_family(study, comparison, grid, estimates))
        rows += adjusted(family, comparison["correct"])
    return adjusted_over_all(rows)


def auc_of(cell: Cell) -> AucEstimate:
    """Return AUC and covariance of every curve (arms x seeds) of a cell, clustered by patient."""
    return auc_covariance(cell.labels, cell.curves, cell.clusters)


def compared_cells(comparison: Mapping[str, Any], grid: Grid) -> list[Cell]:
    """Return the cells that a family of comparisons is made on."""
    where = {"source": [grid.test], "targets": grid.targets, "all": grid.reported}
    return where[comparison["on"]]


def compared_arms(comparison: Mapping[str, Any], cell: Cell) -> list[str]:
    """Return the arms that a family compares with its reference."""
    wanted = comparison["arms"] or cell.arms
    return [arm for arm in cell.arms if arm in wanted and arm != comparison["reference"]]


def curves_of(cell: Cell, arm: str) -> list[int]:
    """Return the positions of an arm's curves, seed by seed."""
    start = cell.arms.index(arm) * len(cell.seeds)
    return list(range(start, start + len(cell.seeds)))


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


def _family(
    study: Mapping[str, Any],
    comparison: Mapping[str, Any],
    grid: Grid,
    estimates: Mapping[tuple[str, str], AucEstimate],
) -> Iterator[ComparisonRow]:
    reference = comparison["reference"]
    source = grid.test
    for cell in compared_cells(comparison, grid):
        estimate = estimates[cell.dataset, cell.subset]
        make = _row_maker(study["study"], comparison["family"], cell, reference)
        arms = compared_arms(comparison, cell)
        for arm in arms:
            for seed, a, b in zip(
                cell.seeds, curves_of(cell, arm), curves_of(cell, reference), strict=True
            ):
                weights = [float(k == a) - float(k == b) for k in range(len(estimate.auc))]
                test = contrast(estimate.auc, estimate.covariance, weights)
                yield make(arm, str(seed), "delong_paired", test)
        if len(arms) > 1:
            contrasts = [_mean_difference(cell, arm, reference) for arm in arms]
            test = omnibus(estimate.auc, estimate.covariance, contrasts)
            yield make("all_arms", "all", "omnibus", test)
        if cell.subset == "target":
            at_source = estimates[source.dataset, source.subset]
            for arm in arms:
                weights = _mean_difference(cell, arm, reference)
                here = contrast(estimate.auc, estimate.covariance, weights)
                there = contrast(at_source.auc, at_source.covariance, weights)
                drop = unpaired(*_moments(there), *_moments(here))
                yield make(arm, "all", "difference_of_drops", drop)
        for name in study["subgroups"]:
            yield from _interactions(cell, name, arms, reference, make)


def _interactions(
    cell: Cell, name: str, arms: Sequence[str], reference: str, make: Callable[..., ComparisonRow]
) -> Iterator[ComparisonRow]:
    """Yield the test that the difference is the same in all subgroups, where patients differ.

    Views and lesion types share patients, so their subgroups are not independent and only the
    density, which belongs to the patient, is tested here.
    """
    if name != "density":
        return
    parts = [part for part in cell.subgroups(name).values() if len(part.labels)]
    if len(parts) < 2:
        return
    estimates = [auc_of(part) for part in parts]
    for arm in arms:
        weights = _mean_difference(cell, arm, reference)
        differences = [contrast(e.auc, e.covariance, weights) for e in estimates]
        yield make(arm, "all", f"{name}_interaction", interaction(differences))


def _mean_difference(cell: Cell, arm: str, reference: str) -> list[float]:
    """Return the contrast: mean over the seeds of `arm` minus that of `reference`."""
    weights = [0.0] * (len(cell.arms) * len(cell.seeds))
    for name, sign in ((arm, 1.0), (reference, -1.0)):
        for position in curves_of(cell, name):
            weights[position] += sign / len(cell.seeds)
    return weights


def _moments(test: Difference) -> tuple[float, float]:
    nan = float("nan")
    if test.estimate is None or test.se is None:
        return nan, nan
    return test.estimate, test.se**2


def _row_maker(
    study: str, family: str, cell: Cell, reference: str
) -> Callable[..., ComparisonRow]:
    numbers = counts(cell)
    unknown = INDEPENDENCE if cell.patients_unknown else ""

    def make(
        arm: str, seed: str, method: str, test: Difference | ChiSquareTest
    ) -> ComparisonRow:
        is_difference = isinstance(test, Difference)
        se = test.se if is_difference else None
        return ComparisonRow(
            study=study,
            family=family,
            dataset=cell.dataset,
            subset=cell.subset,
            arm=arm,
            reference=reference,
            seed=seed,
            method=method,
            estimate=test.estimate if is_difference else None,
            se=se,
            ci_low=test.ci_low if is_difference else None,
            ci_high=test.ci_high if is_difference else None,
            statistic=test.statistic,
            df=defined(test.df),
            p=test.p,
            detectable_difference=detectable_difference(se) if se else None,
            note=joined_notes(test.note, unknown),
            **numbers,
        )

    return make
