"""The kind `covariates`: case mix alone as a classifier."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

sys.path.append(str(Path(__file__).parents[1]))

from toy_study import case_table

from mammoshift.contracts.run import Run
from mammoshift.errors import TrainingError, WeightsError
from mammoshift.kinds import covariates
from mammoshift.kinds._protocol import FitRequest, ScoreRequest
from mammoshift.kinds.covariates import CovariatesArm


@pytest.fixture
def cases() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    names = [f"im{number:03d}" for number in range(200)]
    table = case_table("film", "a", names, [("train",)] * 150 + [("validation",)] * 50)
    age = generator.normal(60, 10, len(names)).round()
    labels = (generator.random(len(names)) < 1 / (1 + np.exp(-(age - 60) / 5))).astype(int)
    table = table.assign(age=pd.array(age, dtype="Int16"), label=labels)
    table.loc[3, "age"] = pd.NA
    return table.assign(subset=[subsets[0] for subsets in table["subsets"]])


def _request(folder: Path, cases: pd.DataFrame, **changes: object) -> FitRequest:
    arm = CovariatesArm.model_validate({"name": "mix", **changes})
    return FitRequest(
        arm=arm,
        run=Run("mix", 0),
        backbone=None,
        task="malignant_vs_rest",
        cases=cases,
        pixels=None,
        start=None,
        folder=folder,
        run_folder=folder / "run",
        key="key",
        lineage={"steps": []},
    )


def test_logits_are_those_of_scikit_learn(tmp_path: Path, cases: pd.DataFrame) -> None:
    known = cases.dropna(subset=["age"])
    covariates.fit(_request(tmp_path, known, columns=["age"], penalty=2.0))
    training = known[known["subset"] == "train"]
    age = training["age"].to_numpy(float)
    mean, scale = age.mean(), age.std()
    design = np.column_stack([(age - mean) / scale, np.zeros(len(age))])
    expected = LogisticRegression(C=0.5, max_iter=10_000).fit(design, training["label"])
    found = covariates.score(ScoreRequest(models=(tmp_path,), cases=known, pixels=None))
    standard = (known["age"].to_numpy(float) - mean) / scale
    wanted = expected.decision_function(np.column_stack([standard, np.zeros(len(known))]))
    np.testing.assert_allclose(found[0], wanted, rtol=1e-9)


def test_a_missing_age_and_an_unseen_view_are_scored(tmp_path: Path, cases: pd.DataFrame) -> None:
    covariates.fit(_request(tmp_path, cases.assign(view="CC")))
    other = cases.assign(view="MLO")
    other.loc[0, "age"] = pd.NA
    scores = covariates.score(ScoreRequest(models=(tmp_path, tmp_path), cases=other, pixels=None))
    assert scores.shape == (2, 200)
    assert np.isfinite(scores).all()


def test_one_class_and_a_damaged_model_are_named(tmp_path: Path, cases: pd.DataFrame) -> None:
    with pytest.raises(TrainingError, match="all of one class"):
        covariates.fit(_request(tmp_path, cases.assign(label=1)))
    covariates.fit(_request(tmp_path, cases))
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="no whole model"):
        covariates.score(ScoreRequest(models=(tmp_path,), cases=cases, pixels=None))
