"""The kinds that score patients: the vector of four views, and combined scores."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

sys.path.append(str(Path(__file__).parents[1]))

from toy_study import case_table

from mammoshift.configuration.model import ArmBase
from mammoshift.contracts.run import Run
from mammoshift.errors import TrainingError, WeightsError
from mammoshift.evaluation.card import RecordOfAnyKind
from mammoshift.kinds import combined, radiomics
from mammoshift.kinds._protocol import FitRequest, ScoreRequest
from mammoshift.radiomics.boosting import fit_boosting
from mammoshift.radiomics.patient import VIEWS, patient_vectors
from mammoshift.radiomics.settings import PatientFeatures

PATIENTS = 60
FEATURES = ("rough", "bright")
SIDES = {"left_cc": 0, "left_mlo": 1, "right_cc": 2, "right_mlo": 3}


@pytest.fixture
def cases() -> pd.DataFrame:
    """Four views of each patient; the order of the cases is not that of the patients."""
    names = [f"{view}-{number:02d}" for number in range(PATIENTS) for view in SIDES]
    number = np.repeat(np.arange(PATIENTS), 4)
    table = case_table("clinic", "a", names, [("train",)] * len(names))
    return table.assign(
        unit_id=[f"p{n:02d}" for n in number],
        unit_label=number % 2,
        label=number % 2,
        laterality=[side for side, _ in VIEWS] * PATIENTS,
        view=[view for _, view in VIEWS] * PATIENTS,
        age=pd.array(50 + number, dtype="Int16"),
        subset=np.where(number < 40, "train", "validation"),
    ).sort_values("case_id", ignore_index=True)


@pytest.fixture
def features(cases: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(cases), 2)) + cases[["unit_label"]].to_numpy()
    return pd.DataFrame(values, index=pd.Index(cases["case_id"]), columns=list(FEATURES))


@pytest.fixture
def scores(cases: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame({"base": rng.normal(size=len(cases))}, index=pd.Index(cases["case_id"]))


def _arm(**changes: Any) -> radiomics.RadiomicsArm:
    given = {"features": {"scores_of": ["base"]}, "estimator": {"trees": 20, "leaf": 5}}
    return radiomics.RadiomicsArm.model_validate(
        {"name": "radiomics", "input": {"size": [64, 48]}, **given, **changes}
    )


def _request(
    folder: Path,
    arm: ArmBase,
    cases: pd.DataFrame,
    features: pd.DataFrame | None,
    scores: pd.DataFrame | None,
) -> FitRequest:
    return FitRequest(
        arm=arm,
        run=Run("radiomics", 3),
        backbone=None,
        task="malignant_vs_rest",
        cases=cases,
        pixels=None,
        start=None,
        folder=folder,
        run_folder=folder / "run",
        key="key",
        lineage={"steps": []},
        features=features,
        scores=scores,
    )


def _score(
    folder: Path, cases: pd.DataFrame, features: pd.DataFrame | None, scores: pd.DataFrame
) -> np.ndarray:
    request = ScoreRequest((folder,), cases, None, features=features, scores=(scores,))
    return radiomics.score(request)[0]


def test_the_vector_has_scores_then_features_of_four_views_then_the_age(
    cases: pd.DataFrame, features: pd.DataFrame, scores: pd.DataFrame
) -> None:
    settings = PatientFeatures(scores_of=("base",))
    found = patient_vectors(cases, settings, features, scores, "training_mean")
    expected = [f"{view}_base" for view in SIDES]
    expected += [f"{view}_{name}" for view in SIDES for name in FEATURES]
    assert list(found.columns) == [*expected, "age"]
    assert found.index.tolist() == [f"p{n:02d}" for n in range(PATIENTS)]
    own = found.loc[["p07"]].iloc[0].to_dict()
    assert own["right_cc_rough"] == features["rough"].to_dict()["right_cc-07"]
    assert own["left_mlo_base"] == scores["base"].to_dict()["left_mlo-07"]
    assert own["age"] == 57


def test_the_published_vector_has_133_values(cases: pd.DataFrame, scores: pd.DataFrame) -> None:
    from mammoshift.radiomics.sets import openbreast32

    index = pd.Index(cases["case_id"])
    whole = pd.DataFrame(0.0, index=index, columns=list(openbreast32.NAMES))
    settings = PatientFeatures(scores_of=("base",))
    assert patient_vectors(cases, settings, whole, scores, "training_mean").shape[1] == 133


def test_repeated_views_are_averaged_and_missing_ones_follow_the_policy(
    cases: pd.DataFrame, features: pd.DataFrame
) -> None:
    settings = PatientFeatures()
    lacking = cases[~cases["case_id"].isin(["left_cc-03", "left_mlo-03"])].copy()
    lacking.loc[lacking["case_id"] == "right_mlo-03", "view"] = "CC"
    two = features.loc[["right_cc-03", "right_mlo-03"], "rough"].mean()
    found = patient_vectors(lacking, settings, features, None, "training_mean")
    left = found.loc[["p03"]].iloc[0].to_dict()
    assert left["right_cc_rough"] == pytest.approx(two)
    assert sum(np.isnan(value) for value in left.values()) == 6
    found = patient_vectors(lacking, settings, features, None, "patient_mean")
    own = found.loc[["p03"]].iloc[0].to_dict()
    assert own["left_cc_rough"] == own["right_mlo_rough"] == pytest.approx(two)


def test_logits_are_those_of_the_classifier_on_the_training_patients(
    tmp_path: Path, cases: pd.DataFrame, features: pd.DataFrame, scores: pd.DataFrame
) -> None:
    arm = _arm()
    radiomics.fit(_request(tmp_path, arm, cases, features, scores))
    vectors = patient_vectors(cases, arm.features, features, scores, "training_mean")
    training = vectors.to_numpy()[:40]
    labels = np.arange(40) % 2
    expected = fit_boosting(training, labels, arm.estimator, seed=3).model
    found = _score(tmp_path, cases, features, scores)
    np.testing.assert_allclose(found, expected.logits(vectors.to_numpy()), rtol=1e-12)
    record = json.loads((tmp_path / "model.json").read_text())
    assert record["training_cases"] == 40
    assert record["training_positives"] == 20
    assert record["without_all_views"] == 0
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["validation_auc"].between(0.5, 1.0).all()
    assert history["train_loss"].item() < np.log(2.0)


def test_no_patient_outside_of_training_changes_the_model(
    tmp_path: Path, cases: pd.DataFrame, features: pd.DataFrame, scores: pd.DataFrame
) -> None:
    radiomics.fit(_request(tmp_path, _arm(), cases, features, scores))
    first = (tmp_path / "model.safetensors").read_bytes()
    outside = cases.loc[cases["subset"] != "train", "case_id"]
    other = features.copy()
    other.loc[outside] = 99.0
    radiomics.fit(_request(tmp_path, _arm(), cases, other, scores))
    assert (tmp_path / "model.safetensors").read_bytes() == first


def test_a_view_that_nobody_has_is_left_out(
    tmp_path: Path, cases: pd.DataFrame, features: pd.DataFrame, scores: pd.DataFrame
) -> None:
    own = cases[cases["view"] == "MLO"]
    radiomics.fit(_request(tmp_path, _arm(), own, features, scores))
    record = json.loads((tmp_path / "model.json").read_text())
    assert len(record["columns"]) == 2 * 3 + 1
    assert record["without_all_views"] == 40
    assert np.isfinite(_score(tmp_path, own, features, scores)).all()


def test_a_search_is_of_the_training_patients_and_is_recorded(
    tmp_path: Path, cases: pd.DataFrame, features: pd.DataFrame, scores: pd.DataFrame
) -> None:
    grid = {"components": [5], "trees": [5, 10, 15], "learning_rate": [0.1], "depth": [2]}
    arm = _arm(grid={**grid, "leaf": [5], "subsample": [1.0], "folds": 2})
    radiomics.fit(_request(tmp_path, arm, cases, features, scores))
    record = json.loads((tmp_path / "model.json").read_text())
    assert record["searched"] == 3
    assert record["fitted_with"]["trees"] in (5, 10, 15)
    assert 0.5 < record["cross_validated_auc"] <= 1.0


def test_what_cannot_be_fitted_or_applied_is_named(
    tmp_path: Path, cases: pd.DataFrame, features: pd.DataFrame, scores: pd.DataFrame
) -> None:
    with pytest.raises(TrainingError, match=r"radiomics, seed 3, fold 0: .* one class"):
        radiomics.fit(_request(tmp_path, _arm(), cases.assign(unit_label=1), features, scores))
    radiomics.fit(_request(tmp_path, _arm(), cases, features, scores))
    with pytest.raises(WeightsError, match="left_cc_rough, which no image has"):
        _score(tmp_path, cases, features.drop(columns="rough"), scores)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="no whole model"):
        _score(tmp_path, cases, features, scores)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initialisation": "pretrained"}, "nothing is taken over"),
        ({"features": {"set": None}}, "give a set, scores_of or both"),
        ({"features": {"set": "openbreast99"}}, "openbreast32"),
    ],
)
def test_settings_without_meaning_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        _arm(**changes)


@pytest.mark.parametrize("how", ["max", "mean"])
def test_combined_scores_are_those_of_each_patients_images(
    tmp_path: Path, cases: pd.DataFrame, scores: pd.DataFrame, how: str
) -> None:
    arm = combined.CombinedArm.model_validate(
        {"name": "baseline", "scores_of": ["base"], "combine": how}
    )
    combined.fit(_request(tmp_path, arm, cases, None, scores))
    twice = scores * 2.0
    request = ScoreRequest((tmp_path, tmp_path), cases, None, scores=(scores, twice))
    found = combined.score(replace(request))
    for number in (0, 17):
        own = scores.loc[[f"{view}-{number:02d}" for view in SIDES], "base"]
        assert found[0, number] == pytest.approx(own.agg(how))
        assert found[1, number] == pytest.approx(2.0 * own.agg(how))
    assert found.shape == (2, PATIENTS)
    assert pd.read_csv(tmp_path / "history.csv")["validation_auc"].notna().all()


def test_a_card_reads_the_records_of_these_kinds(
    tmp_path: Path, cases: pd.DataFrame, features: pd.DataFrame, scores: pd.DataFrame
) -> None:
    lineage = {"steps": [], "third_party": [], "recipes": {"clinic": ["0123456789ab"]}}
    request = _request(tmp_path / "one", _arm(), cases, features, scores)
    radiomics.fit(replace(request, lineage=lineage))
    arm = combined.CombinedArm.model_validate({"name": "baseline", "scores_of": ["base"]})
    combined.fit(replace(request, arm=arm, folder=tmp_path / "two", lineage=lineage))
    for folder in ("one", "two"):
        content = (tmp_path / folder / "model.json").read_bytes()
        found = RecordOfAnyKind.model_validate_json(content)
        assert found.training_cases == 40
        assert found.lineage is not None
        assert found.lineage.recipes == {"clinic": ("0123456789ab",)}
