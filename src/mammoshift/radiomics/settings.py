"""What YAML and the command line may say of the classifier on a patient's features."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mammoshift.configuration.model import Positive, Strict

Count = Annotated[int, Field(ge=1)]
Subsample = Annotated[float, Field(gt=0.0, le=1.0)]


class Boosting(Strict):
    """Standardise, project on principal components, then boosted trees.

    The defaults are those that the UIS thesis of 2025 chose by its grid search. `components` are
    cut to what the training patients and their features span; `leaf` is the least number of
    patients in a leaf of a tree, `subsample` the share that each tree is grown on.
    """

    components: Count = 20
    trees: Count = 200
    learning_rate: Positive = 0.05
    depth: Count = 2
    leaf: Count = 20
    subsample: Subsample = 0.8


class BoostingGrid(Strict):
    """Values that a search tries, every combination; the defaults are those of the thesis's code.

    Its Table 1 prints the same ranges, but 10,000 as the largest number of trees.
    """

    components: Annotated[tuple[Count, ...], Field(min_length=1)] = (10, 15, 20, 30)
    trees: Annotated[tuple[Count, ...], Field(min_length=1)] = (200, 500, 1000)
    learning_rate: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.05, 0.1, 0.2)
    depth: Annotated[tuple[Count, ...], Field(min_length=1)] = (2, 3, 4)
    leaf: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 5, 10, 20)
    subsample: Annotated[tuple[Subsample, ...], Field(min_length=1)] = (0.6, 0.8, 1.0)
    folds: Annotated[int, Field(ge=2)] = 5
