"""Parts that are alike in many counts at once, by integer programming.

Groups with equal counts are interchangeable: the program decides how many of each type a part
gets, and a seeded hash which. Most of a type is dealt in proportion beforehand, so that the
program stays small however many groups there are. Parts are filled one after the other; then two
at a time are divided anew while that brings them nearer to their share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pulp
from numpy.typing import NDArray

from mammoshift.cases.splits._groups import StratumSums
from mammoshift.cases.splits._hashed import hash_ranks
from mammoshift.errors import ConfigurationError

_KEPT_FREE = 2
"""Groups of a type that each part leaves to the program, beside what rounding leaves."""

_FREE_TYPES = 400
"""Types that the program decides on; where there are more, the others are dealt greedily."""

_NODES = 50
_MENDED_PAIRS = 30
_FAILED_PAIRS = 5
_ATTEMPTS = 3

_Interval = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class _Bounds:
    """The least and the most that each part should have of each count; shape (parts, strata)."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    def misses(self, reached: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return by how much each part lies outside, summed over the counts."""
        outside = np.maximum(self.lower - reached, reached - self.upper)
        return np.clip(outside, 0.0, None).sum(axis=1)


def balanced_parts(sums: StratumSums, shares: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Divide groups into parts so that every count of a part is near its share of the total.

    A count is met when it is its share of the total, rounded up or down; the sum of what lies
    outside is made least. The solver stops at the optimum or after a number of nodes, never by
    the clock, so that the result depends on nothing but the arguments.

    Parameters
    ----------
    sums
        The counts of each group.
    shares
        Share of each part, positive, summing to one.
    seed
        Another seed is another division.

    Returns
    -------
    array
        The part of each group, int64, shape (groups,).

    Raises
    ------
    ConfigurationError
        If the solver finds no solution.
    """
    ideal = shares[:, None] * sums.counts.sum(axis=0)
    bounds = _Bounds(np.floor(ideal + 1e-9), np.ceil(ideal - 1e-9))
    # A group that is greater than any part may be goes somewhere nevertheless.
    unavoidable = np.clip(sums.counts.max(axis=0) - bounds.upper.max(axis=0), 0.0, None).sum()
    best, least = np.zeros(len(sums.groups), np.int64), np.inf
    for attempt in range(_ATTEMPTS):
        parts = _divide(sums, shares, bounds, f"{seed} balanced {attempt}")
        reached = [sums.counts[parts == part].sum(axis=0) for part in range(len(shares))]
        missed = bounds.misses(np.stack(reached)).sum()
        if missed < least:
            best, least = parts, missed
        if missed <= unavoidable:
            break
    return best


def _divide(
    sums: StratumSums, shares: NDArray[np.float64], bounds: _Bounds, salt: str
) -> NDArray[np.int64]:
    """Return the part of each group, for one order of the groups."""
    order = np.argsort(hash_ranks(sums.groups, salt), kind="stable")
    vectors, first, inverse, available = np.unique(
        sums.counts[order], axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    # Types in the order in which the seed meets them, so that ties fall differently.
    shown = np.argsort(first, kind="stable")
    counts = _counts_of_types(vectors[shown], available[shown], shares, bounds)
    parts = np.empty(len(order), np.int64)
    by_type = np.argsort(np.argsort(shown)[inverse.ravel()], kind="stable")
    dealt = np.concatenate([np.repeat(np.arange(len(shares)), row) for row in counts])
    parts[order[by_type]] = dealt
    return parts


def _counts_of_types(
    vectors: NDArray[np.int64],
    available: NDArray[np.int64],
    shares: NDArray[np.float64],
    bounds: _Bounds,
) -> NDArray[np.int64]:
    """Return how many groups of each type each part gets; shape (types, parts)."""
    fixed = np.floor(available[:, None] * shares).astype(np.int64) - _KEPT_FREE
    fixed = np.clip(fixed, 0, None)
    left = available - fixed.sum(axis=1)
    ideal = shares[:, None] * (available @ vectors)
    free = np.zeros(len(left), bool)
    free[np.flatnonzero(left)[:_FREE_TYPES]] = True
    _deal_greedily(fixed, np.where(free, 0, left), vectors, ideal)
    reached = fixed.T @ vectors
    needed = _Bounds(bounds.lower - reached, bounds.upper - reached)
    dealt = _fill_in_turn(vectors[free], left[free], needed)
    _mend_in_pairs(dealt, vectors[free], needed)
    fixed[free] += dealt
    return fixed


def _fill_in_turn(
    vectors: NDArray[np.int64],
    available: NDArray[np.int64],
    needed: _Bounds,
) -> NDArray[np.int64]:
    """Fill the parts one after the other; the last one gets what remains."""
    left = available.copy()
    parts = len(needed.lower)
    dealt = np.zeros((len(left), parts), np.int64)
    for part in range(parts - 1):
        dealt[:, part] = _solve(vectors, left, [(needed.lower[part], needed.upper[part])])
        left -= dealt[:, part]
    dealt[:, -1] = left
    return dealt


def _mend_in_pairs(dealt: NDArray[np.int64], vectors: NDArray[np.int64], needed: _Bounds) -> None:
    """Divide two parts anew, as long as it brings both together nearer to what they need."""
    pairs = list(combinations(range(dealt.shape[1]), 2))
    tried: set[tuple[int, int]] = set()
    failed = 0
    for _ in range(_MENDED_PAIRS):
        misses = needed.misses(dealt.T @ vectors)
        open_pairs = [pair for pair in pairs if pair not in tried and misses[list(pair)].sum()]
        if not open_pairs or failed == _FAILED_PAIRS:
            return
        one, two = max(open_pairs, key=lambda pair: misses[list(pair)].sum())
        pool = dealt[:, one] + dealt[:, two]
        total = pool @ vectors
        intervals = [
            (needed.lower[one], needed.upper[one]),
            (total - needed.upper[two], total - needed.lower[two]),
        ]
        taken = _solve(vectors, pool, intervals)
        mended = dealt.copy()
        mended[:, one], mended[:, two] = taken, pool - taken
        tried.add((one, two))
        failed += 1
        if needed.misses(mended.T @ vectors).sum() < misses.sum():
            dealt[:] = mended
            failed = 0
            tried = {pair for pair in tried if not {one, two} & set(pair)} | {(one, two)}


def _deal_greedily(
    counts: NDArray[np.int64],
    left: NDArray[np.int64],
    vectors: NDArray[np.int64],
    ideal: NDArray[np.float64],
) -> None:
    """Add `left` groups of each type to `counts`, each to the part that lacks most of its kind."""
    scale = 1.0 / np.maximum(ideal, 1.0)
    lacking = (ideal - counts.T @ vectors) * scale
    for kind in np.repeat(np.arange(len(left)), left):
        part = int(np.argmax(lacking @ vectors[kind]))
        counts[kind, part] += 1
        lacking[part] -= vectors[kind] * scale[part]


def _solve(
    vectors: NDArray[np.int64], available: NDArray[np.int64], intervals: Sequence[_Interval]
) -> NDArray[np.int64]:
    """Return how many groups of each type to take so that their counts lie in the intervals."""
    program = pulp.LpProblem("part", pulp.LpMinimize)
    taken = {
        kind: pulp.LpVariable(f"n{kind}", 0, int(available[kind]), pulp.LpInteger)
        for kind in np.flatnonzero(available).tolist()
    }
    misses = []
    for row in range(vectors.shape[1]):
        terms = [(taken[kind], int(vectors[kind, row])) for kind in taken if vectors[kind, row]]
        if not terms:
            continue
        reached = pulp.LpAffineExpression(terms)
        for number, (lower, upper) in enumerate(intervals):
            over, under = (pulp.LpVariable(f"{end}{row}_{number}", 0) for end in ("over", "under"))
            misses += [over, under]
            program += reached - over <= float(upper[row])
            program += reached + under >= float(lower[row])
    program.setObjective(pulp.lpSum(misses))
    solver = pulp.PULP_CBC_CMD(
        msg=False, threads=1, gapAbs=0.999, maxNodes=_NODES, options=["randomCbcSeed 1"]
    )
    program.solve(solver)
    if program.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        raise ConfigurationError(
            "the split could not be solved; use fewer folds or strata, or the split "
            "patient_stratified"
        )
    result = np.zeros(len(available), np.int64)
    for kind, variable in taken.items():
        result[kind] = round(variable.value() or 0.0)
    return result
