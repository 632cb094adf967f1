from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.partial_auc import partial_auc
from mammoshift.statistics.seeding import generator_for


def cases(name: str, n: int = 120, rounded: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = generator_for("partial-auc", name)
    labels = (rng.random(n) < 0.4).astype(int)
    scores = rng.normal(size=(3, n)) + 1.3 * labels
    return labels, scores if rounded is None else scores.round(rounded)


@pytest.mark.parametrize("rounded", [None, 0, 1])
@pytest.mark.parametrize("specificity", [0.95, 0.8, 0.37])
def test_area_and_correction_agree_with_scikit_learn(specificity: float, rounded) -> None:
    labels, scores = cases("value", rounded=rounded)
    found = partial_auc(labels, scores, specificity)
    for value, row in zip(found.corrected, scores, strict=True):
        expected = roc_auc_score(labels, row, max_fpr=1.0 - specificity)
        assert value == pytest.approx(expected, abs=1e-12)


def test_over_all_rates_it_is_the_auc_with_its_covariance() -> None:
    labels, scores = cases("whole", rounded=1)
    patients = np.arange(labels.size) // 2
    part, whole = (
        partial_auc(labels, scores, 0.0, patients),
        auc_covariance(labels, scores, patients),
    )
    np.testing.assert_allclose(part.mean_sensitivity, whole.auc, atol=1e-13)
    np.testing.assert_allclose(part.covariance, whole.covariance, atol=1e-15)


def test_variance_is_that_of_repeated_samples() -> None:
    rng = generator_for("partial-auc", "variance")
    labels = np.repeat([1, 0], [60, 140])
    found = [partial_auc(labels, rng.normal(size=200) + 1.4 * labels, 0.8) for _ in range(400)]
    values = [one.mean_sensitivity[0] for one in found]
    assert np.mean([one.covariance[0, 0] for one in found]) == pytest.approx(
        np.var(values), rel=0.2
    )


def test_what_is_undefined_is_null_with_the_reason() -> None:
    found = partial_auc([1, 0, 0], [0.3, 0.1, 0.2], 0.9)
    assert found.mean_sensitivity[0] == 1.0 and np.isnan(found.covariance).all()
    assert "only one positive" in found.notes[0]
    assert np.isnan(partial_auc([0, 0], [0.1, 0.2], 0.9).mean_sensitivity).all()
    with pytest.raises(StatisticsError, match="lowest specificity"):
        partial_auc([1, 0], [1.0, 0.0], 1.0)


def test_markers_of_asah_are_those_of_proc() -> None:
    # pROC, auc(..., partial.auc = c(1, s)) of the WFNS grades of its aSAH data, with many ties.
    poor = np.repeat([1, 2, 3, 4, 5], [2, 12, 1, 8, 18])
    good = np.repeat([1, 2, 3, 4, 5], [37, 20, 3, 8, 4])
    labels = np.repeat([1, 0], [poor.size, good.size])
    scores = np.concatenate([poor, good]).astype(float)
    for specificity, area, corrected in (
        (0.9, 0.0334417344173442, 0.649693339038653),
        (0.8, 0.0932791327913279, 0.703553146642578),
        (0.5, 0.335544385849264, 0.780725847799018),
    ):
        found = partial_auc(labels, scores, specificity)
        assert found.mean_sensitivity[0] * (1 - specificity) == pytest.approx(area, abs=1e-13)
        assert found.corrected[0] == pytest.approx(corrected, abs=1e-13)
