"""What a split method returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Assignment:
    """The subsets of a domain's cases and what has to be said about them.

    Attributes
    ----------
    subsets
        For each row of the cases, its subset in each fold; see
        `mammoshift.contracts.cases.ALL_SUBSETS`.
    notes
        Sentences for a person: whom the split could not place as one would expect.
    """

    subsets: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()
