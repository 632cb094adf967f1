"""What YAML and the command line may say of the classifier on a patient's features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from mammoshift.configuration.model import Name, Positive, Strict
from mammoshift.registry import names_in

SETS = "mammoshift.radiomics.sets"
if TYPE_CHECKING:
    SetName = str
else:
    SetName = Literal[names_in(SETS)]

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


class PatientFeatures(Strict):
    """What of a patient's four views is put into one vector: left and right, CC and MLO.

    `set` are features of each image, none when it is null; `scores_of` are arms whose score of
    each image stands beside them, arms that have seen no patient of the domain that is learned
    from; `covariates` are columns of the cases, the mean of the patient's images.
    """

    set: SetName | None = "openbreast32"
    scores_of: tuple[Name, ...] = ()
    covariates: tuple[Literal["age"], ...] = ("age",)


MissingViews = Literal["training_mean", "patient_mean"]
"""What stands for a view that a patient lacks: the mean of the training patients' same view, or
that of the patient's own other views where there are any."""
