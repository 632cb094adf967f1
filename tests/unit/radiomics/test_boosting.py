"""Standardise, project, boost: equal to scikit-learn's, stored as arrays, searched on folds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mammoshift.errors import TrainingError
from mammoshift.radiomics import boosting
from mammoshift.radiomics.boosting import FittedBoosting, fit_boosting
from mammoshift.radiomics.settings import Boosting, BoostingGrid


def patients(count: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return features of which three tell the class, and labels."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 2).astype(np.int64)
    features = rng.normal(size=(count, 12)) * 100.0 ** rng.integers(-1, 2, 12)
    features[:, :3] += labels[:, None] * np.abs(features[:, :3]).mean(axis=0)
    return features, labels


def test_the_logits_are_those_of_the_published_pipeline() -> None:
    features, labels = patients(120)
    others, _ = patients(80, 1)
    pipeline = make_pipeline(
        StandardScaler(),
        PCA(12, random_state=42),
        GradientBoostingClassifier(
            learning_rate=0.05,
            max_depth=2,
            min_samples_leaf=20,
            n_estimators=200,
            subsample=0.8,
            random_state=42,
        ),
    ).fit(features, labels)
    found = fit_boosting(features, labels, Boosting())
    assert found.settings.components == 12
    np.testing.assert_allclose(
        found.model.logits(others), pipeline.decision_function(others), rtol=1e-12, atol=1e-12
    )


def test_a_missing_value_counts_as_the_training_mean() -> None:
    features, labels = patients(80)
    fitted = fit_boosting(features, labels, Boosting(trees=20)).model
    others, _ = patients(5, 1)
    lacking, filled = others.copy(), others.copy()
    lacking[2, 1], filled[2, 1] = np.nan, features[:, 1].mean()
    np.testing.assert_array_equal(fitted.logits(lacking), fitted.logits(filled))
    gap = features.copy()
    gap[4, 1] = np.nan
    without = np.delete(features[:, 1], 4).mean()
    assert fit_boosting(gap, labels, Boosting(trees=2)).model.mean[1] == pytest.approx(without)


def test_arrays_survive_storage_and_damaged_ones_are_refused() -> None:
    features, labels = patients(80)
    fitted = fit_boosting(features, labels, Boosting(trees=10, leaf=5)).model
    again = FittedBoosting.of_tensors(fitted.tensors())
    np.testing.assert_array_equal(again.logits(features), fitted.logits(features))
    for damaged in (
        {**fitted.tensors(), "left": np.where(fitted.left >= 0, 0, -1)},
        {**fitted.tensors(), "mean": np.zeros(3)},
        {**fitted.tensors(), "component": fitted.component + 99},
    ):
        with pytest.raises(ValueError, match="do not fit"):
            FittedBoosting.of_tensors(damaged)
    with pytest.raises(ValueError, match="missing or unknown"):
        FittedBoosting.of_tensors({"mean": fitted.mean})


def test_a_search_takes_the_best_of_its_grid_and_cuts_components_to_what_folds_span(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, labels = patients(60)
    grid = BoostingGrid(
        components=(2, 12, 30),
        trees=(5,),
        learning_rate=(0.1, 0.2),
        depth=(2,),
        leaf=(5,),
        subsample=(1.0,),
        folds=3,
    )
    found = fit_boosting(features, labels, Boosting(), grid=grid)
    said: list[str] = []
    monkeypatch.setattr(boosting, "_TRIED_TOGETHER", 3)
    in_parts = fit_boosting(features, labels, Boosting(), grid=grid, progress=said.append)
    assert said == ["3 of 4 settings", "4 of 4 settings"]
    assert (in_parts.settings, in_parts.cross_validated_auc) == (
        found.settings,
        found.cross_validated_auc,
    )
    assert found.searched == 4
    assert found.settings.trees == 5
    assert found.cross_validated_auc is not None
    assert 0.5 < found.cross_validated_auc <= 1.0
    again = fit_boosting(features, labels, found.settings)
    np.testing.assert_array_equal(again.model.logits(features), found.model.logits(features))


def test_what_cannot_be_fitted_is_said() -> None:
    features, labels = patients(20)
    with pytest.raises(TrainingError, match="one class"):
        fit_boosting(features, np.ones(20, np.int64), Boosting())
    with pytest.raises(TrainingError, match="infinite"):
        fit_boosting(np.where(features == features[0, 0], np.inf, features), labels, Boosting())
    empty = features.copy()
    empty[:, 4] = np.nan
    with pytest.raises(TrainingError, match="feature 5 of 12"):
        fit_boosting(empty, labels, Boosting())
    few = np.r_[np.ones(3, np.int64), np.zeros(17, np.int64)]
    with pytest.raises(TrainingError, match="3 positive and 17 negative"):
        fit_boosting(features, few, Boosting(), grid=BoostingGrid())
