"""The classifier of the UIS thesis: standardised features, principal components, boosted trees.

scikit-learn fits it; what is kept are plain arrays, so that a model is stored without pickles and
applied without scikit-learn.

References
----------
Friedman 2001, Annals of Statistics 29:1189 (gradient boosting); 2002, Computational Statistics
and Data Analysis 38:367 (with subsampling).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from mammoshift.errors import TrainingError
from mammoshift.radiomics.settings import Boosting, BoostingGrid

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PUBLISHED_SEED = 42
LEAF = -1
_TRIED_TOGETHER = 24
_STEPS = {
    "components": "pca__n_components",
    "trees": "boosting__n_estimators",
    "learning_rate": "boosting__learning_rate",
    "depth": "boosting__max_depth",
    "leaf": "boosting__min_samples_leaf",
    "subsample": "boosting__subsample",
}


@dataclass(frozen=True)
class FittedBoosting:
    """A fitted classifier as arrays.

    Attributes
    ----------
    mean, scale
        [F], of the training patients' features; a missing feature counts as the mean.
    centre, components
        [F] and [C, F]: the projection on principal components.
    intercept
        [1], log-odds before the first tree.
    roots
        [T], the first node of each tree.
    left, right
        [N], the next node where a component is not above the threshold, and where it is;
        `LEAF` in leaves.
    component, threshold
        [N], what a node asks.
    value
        [N], log-odds that a leaf adds, the learning rate included.
    """

    mean: Floats
    scale: Floats
    centre: Floats
    components: Floats
    intercept: Floats
    roots: Integers
    left: Integers
    right: Integers
    component: Integers
    threshold: Floats
    value: Floats

    @property
    def splits(self) -> int:
        """The number of questions in all trees; 0 for a model that says the same of everyone."""
        return int(np.count_nonzero(self.left != LEAF))

    def logits(self, features: Floats) -> Floats:
        """Return the log-odds of the positive class, [N], of features [N, F]; NaN is missing."""
        known = np.where(np.isnan(features), self.mean, features)
        projected = ((known - self.mean) / self.scale - self.centre) @ self.components.T
        # The trees were grown on single precision, and are asked in it.
        asked = projected.astype(np.float32)
        total = np.full(len(features), self.intercept[0])
        rows = np.arange(len(features))
        for root in self.roots.tolist():
            node = np.full(len(features), root)
            while (inner := self.left[node] != LEAF).any():
                high = asked[rows, self.component[node]] > self.threshold[node]
                node = np.where(inner, np.where(high, self.right[node], self.left[node]), node)
            total += self.value[node]
        return total

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays by name, as they are stored."""
        return {
            field.name: np.ascontiguousarray(getattr(self, field.name)) for field in fields(self)
        }

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, NDArray[np.generic]]) -> FittedBoosting:
        """Return the classifier that `tensors` holds.

        Raises
        ------
        ValueError
            If an array is absent, or they do not fit each other.
        """
        wanted = {own.name for own in fields(cls)}
        if set(tensors) != wanted:
            raise ValueError(f"arrays {sorted(set(tensors) ^ wanted)} are missing or unknown")
        found = cls(**tensors)  # type: ignore[arg-type]
        found._check()
        return found

    def _check(self) -> None:
        features, nodes = self.mean.shape, self.left.shape
        count = self.left.size
        inner = self.left != LEAF
        fit = (
            self.mean.ndim == self.left.ndim == self.roots.ndim == 1
            and self.components.ndim == 2
            and self.scale.shape == self.centre.shape == features == self.components.shape[1:]
            and self.intercept.shape == (1,)
            and all(
                array.shape == nodes
                for array in (self.right, self.component, self.threshold, self.value)
            )
            and (inner == (self.right != LEAF)).all()
            and bool(((self.roots >= 0) & (self.roots < count)).all())
            # A child lies behind its parent, so that no walk ends in a circle.
            and all(
                bool(((side[inner] > np.flatnonzero(inner)) & (side[inner] < count)).all())
                for side in (self.left, self.right)
            )
            and bool((self.component[inner] >= 0).all())
            and bool((self.component[inner] < len(self.components)).all())
        )
        if not fit:
            raise ValueError("the arrays do not fit each other")


@dataclass(frozen=True)
class BoostingFit:
    """A fitted classifier, the settings it was fitted with, and how a search came to them.

    `searched` is the number of combinations that were tried, 0 without a search, and
    `cross_validated_auc` the mean AUC of the one that was chosen, over the folds of the training
    patients; it is optimistic, since it is the best of them.
    """

    model: FittedBoosting
    settings: Boosting
    searched: int = 0
    cross_validated_auc: float | None = None


def fit_boosting(
    features: Floats,
    labels: NDArray[np.integer],
    settings: Boosting,
    seed: int = PUBLISHED_SEED,
    grid: BoostingGrid | None = None,
    jobs: int = 1,
    progress: Callable[[str], None] = lambda _line: None,
) -> BoostingFit:
    """Fit the classifier on training patients; with a grid, by the best of its combinations.

    Parameters
    ----------
    features
        [N, F]; NaN where a value is missing.
    labels
        [N], 0 or 1.
    settings
        Used without a grid; a grid replaces them all.
    seed
        Of the subsampling.
    jobs
        Processes of the search; -1 for all CPUs. The result does not depend on it.
    progress
        Is told from time to time how many settings of the grid were tried.

    Raises
    ------
    TrainingError
        If a class is absent, a feature has no value at all or an infinite one, or a class has
        fewer patients than the search has folds.
    """
    _check_training(features, labels, grid)
    known = np.where(np.isnan(features), np.nanmean(features, axis=0), features)
    # Each of hundreds of trees would have its parameters checked, for half of the time.
    with config_context(skip_parameter_validation=True):
        if grid is not None:
            return _searched(known, labels, settings, seed, grid, jobs, progress)
        used = settings.model_copy(update={"components": min(settings.components, *known.shape)})
        return BoostingFit(_arrays(_pipeline(used, seed).fit(known, labels)), used)


def _searched(
    features: Floats,
    labels: NDArray[np.integer],
    settings: Boosting,
    seed: int,
    grid: BoostingGrid,
    jobs: int,
    progress: Callable[[str], None],
) -> BoostingFit:
    smallest = len(features) - -(-len(features) // grid.folds)
    most = min(smallest, features.shape[1])
    values = {
        _STEPS[name]: list(dict.fromkeys(min(v, most) if name == "components" else v for v in own))
        for name, own in grid.model_dump(exclude={"folds"}).items()
    }
    pipeline, combinations = _pipeline(settings, seed), list(ParameterGrid(values))
    areas: list[float] = []
    # The grid in parts, so that something can be said in between; the folds are always the same.
    for first in range(0, len(combinations), _TRIED_TOGETHER):
        part = combinations[first : first + _TRIED_TOGETHER]
        search = GridSearchCV(
            pipeline,
            [{step: [value] for step, value in one.items()} for one in part],
            scoring="roc_auc",
            cv=grid.folds,
            n_jobs=jobs,
            refit=False,
        ).fit(features, labels)
        areas += search.cv_results_["mean_test_score"].tolist()
        progress(f"{len(areas)} of {len(combinations)} settings")
    best = int(np.argmax(areas))
    used = Boosting(**{name: combinations[best][step] for name, step in _STEPS.items()})
    return BoostingFit(
        _arrays(_pipeline(used, seed).fit(features, labels)),
        used,
        searched=len(combinations),
        cross_validated_auc=areas[best],
    )


def _check_training(
    features: Floats, labels: NDArray[np.integer], grid: BoostingGrid | None
) -> None:
    counts = np.bincount(labels, minlength=2)
    if counts.min() == 0:
        raise TrainingError("the training patients are all of one class; both are needed")
    if np.isinf(features).any():
        raise TrainingError("a feature of a training patient is infinite; leave it out")
    empty = np.flatnonzero(np.isnan(features).all(axis=0))
    if empty.size:
        raise TrainingError(
            f"feature {int(empty[0]) + 1} of {features.shape[1]} has no value for any training "
            "patient; leave it out"
        )
    if grid is not None and counts.min() < grid.folds:
        raise TrainingError(
            f"a search with {grid.folds} folds needs as many training patients of each class; "
            f"there are {counts[1]} positive and {counts[0]} negative ones"
        )


def _pipeline(settings: Boosting, seed: int) -> Pipeline:
    return Pipeline(
        [
            ("scale", StandardScaler()),
            ("pca", PCA(settings.components, random_state=seed)),
            (
                "boosting",
                GradientBoostingClassifier(
                    n_estimators=settings.trees,
                    learning_rate=settings.learning_rate,
                    max_depth=settings.depth,
                    min_samples_leaf=settings.leaf,
                    subsample=settings.subsample,
                    random_state=seed,
                ),
            ),
        ]
    )


def _arrays(pipeline: Pipeline) -> FittedBoosting:
    scaler: StandardScaler = pipeline.named_steps["scale"]
    pca: PCA = pipeline.named_steps["pca"]
    boosting: GradientBoostingClassifier = pipeline.named_steps["boosting"]
    trees = [stage.tree_ for stage in boosting.estimators_[:, 0]]
    starts = np.cumsum([0, *(tree.node_count for tree in trees)])
    prior: DummyClassifier = boosting.init_  # type: ignore[assignment]
    negative, positive = np.asarray(prior.class_prior_, dtype=np.float64)

    def joined(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(tree, name) for tree in trees])

    def children(name: str) -> Integers:
        own = [
            np.where(getattr(tree, name) == LEAF, LEAF, getattr(tree, name) + start)
            for tree, start in zip(trees, starts, strict=False)
        ]
        return np.concatenate(own).astype(np.int64)

    return FittedBoosting(
        mean=np.asarray(scaler.mean_, dtype=np.float64),
        scale=np.asarray(scaler.scale_, dtype=np.float64),
        centre=np.asarray(pca.mean_, dtype=np.float64),
        components=np.asarray(pca.components_, dtype=np.float64),
        intercept=np.array([np.log(positive / negative)]),
        roots=starts[:-1].astype(np.int64),
        left=children("children_left"),
        right=children("children_right"),
        component=joined("feature").astype(np.int64),
        threshold=joined("threshold").astype(np.float64),
        value=boosting.learning_rate
        * np.concatenate([tree.value[:, 0, 0] for tree in trees]).astype(np.float64),
    )
