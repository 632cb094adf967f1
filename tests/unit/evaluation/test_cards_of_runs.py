"""Cards of models: what is chosen for one run, on its own fold, at the level of unit and image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fabricated_tables import LONG, SHORT, Fabricated, fabricate
from mammoshift.configuration.judged import CardSettings
from mammoshift.contracts.cases import read_cases, subset_of
from mammoshift.contracts.predictions import read_predictions
from mammoshift.contracts.run import Run
from mammoshift.errors import WeightsError
from mammoshift.evaluation.calibrate import calibrate_study
from mammoshift.evaluation.card import CardJob, make_card
from mammoshift.evaluation.evaluate import evaluate_study
from mammoshift.evaluation.rows import MetricRow, as_table
from mammoshift.statistics.recalibration import fit_temperature
from mammoshift.statistics.thresholds import threshold_at_specificity


def job_of(study: Fabricated, run: Run, folder: Path) -> CardJob:
    arm = next(arm for arm in study.judged["arms"] if arm["name"] == run.arm)
    own = arm["own_domain"]
    settings = CardSettings.model_validate(
        {
            "study": study.judged["study"],
            "domains": [d for d in study.judged["domains"] if d["name"] == own],
            "arms": [{**arm, "judged_on": [own]}],
            "seeds": study.judged["seeds"],
            "task": "malignant_vs_rest",
            "specificity": 0.95,
            "datasets": [{"name": own, "title": "Own", "licence": "free", "synthetic": True}],
        }
    )
    records = {}
    for seed in study.judged["seeds"]:
        one = Run(run.arm, seed, run.fold)
        records[one] = folder / one.path / "model.json"
        records[one].parent.mkdir(parents=True, exist_ok=True)
        record = {
            "arm": {"kind": "network", "input": {"size": [32, 32]}},
            "training_cases": 9,
            "training_positives": 4,
            "versions": {"mammoshift": "0.1.0"},
            "weights_sha256": str(seed) * 64,
            "lineage": {"steps": [{"domain": own, "fold": run.fold}], "third_party": []},
            "unknown_to_other_kinds": 1,
        }
        records[one].write_text(json.dumps(record))
    return CardJob(run, settings, records, study.cases[own], study.predictions[run.arm, own])


ALONE = {
    **SHORT,
    "domains": SHORT["domains"][:1],
    "arms": [{"name": "plain", "own_domain": "film", "judged_on": ["film"]}],
}
"""One arm on its own domain."""


def test_without_folds_the_card_says_what_the_tables_say(tmp_path: Path) -> None:
    study = fabricate(ALONE, tmp_path)
    card = make_card(job_of(study, Run("plain", 1), tmp_path))
    grid = study.grid()
    settings = study.evaluation(subgroups=[], references=[], bootstrap_resamples=100)
    metrics = as_table(evaluate_study(settings, grid), MetricRow)
    calibration = study.calibration().model_copy(update={"calibration": ("temperature_source",)})
    tables = as_table(calibrate_study(calibration, grid), MetricRow)

    def value(table: pd.DataFrame, seed: str, **columns: str) -> float:
        wanted = {"domain": "film", "subset": "test", "arm": "plain", "seed": seed, **columns}
        rows = table.loc[(table[list(wanted)] == pd.Series(wanted)).all(axis=1), "value"]
        assert len(rows) == 1
        return float(rows.iloc[0])

    assert card.ensemble is not None
    assert card.ensemble.members == ("0" * 64, "1" * 64, "2" * 64)
    assert card.weights_sha256 == "1" * 64
    for reading, seed in ((card.readings[0], "1"), (card.ensemble.readings[0], "ensemble")):
        assert [point.name for point in reading.operating_points] == [
            "specificity_0.95",
            "youden",
            "g_mean",
        ]
        for point in reading.operating_points:
            own = {"criterion": point.name, "threshold_from": "own_validation"}
            assert point.threshold == value(metrics, seed, metric="threshold", **own)
    assert card.readings[0].temperature == value(
        tables, "1", metric="temperature", recalibration="temperature"
    )
    assert card.measured[0].value == value(metrics, "1", metric="auc", subgroup="all")
    assert (card.readings[0].domain, card.readings[0].subset) == ("film", "validation")


def test_with_folds_and_patients_a_card_is_of_its_fold_and_reads_images_too(tmp_path: Path) -> None:
    study = fabricate(LONG, tmp_path)
    run = Run("on_clinic", 1, 2)
    card = make_card(job_of(study, run, tmp_path))
    table = read_predictions(study.predictions["on_clinic", "clinic"])
    cases = read_cases(study.cases["clinic"]).set_index("case_id")
    held_out = subset_of(cases, 2) == "validation"
    own = table[(table["seed"] == 1) & (table["fold"] == 2)].set_index("case_id")["logit"]
    images = cases[held_out].assign(logit=own)
    patients = images.groupby("unit_id").agg(logit=("logit", "max"), label=("unit_label", "first"))
    assert [reading.unit for reading in card.readings] == ["patient", "image"]
    for reading, rows in zip(card.readings, (patients, images), strict=True):
        assert (reading.n, reading.n_pos) == (len(rows), rows["label"].sum())
        chosen = threshold_at_specificity(rows["label"], rows["logit"], 0.95)
        assert reading.operating_points[0].threshold == chosen.value
        fitted = fit_temperature(rows["logit"], rows["label"])
        assert reading.temperature == pytest.approx(fitted.temperature, rel=1e-12)
        assert reading.fold == 2
    assert card.measured[0].subset == "out_of_fold"


def test_scores_of_patients_are_read_as_such_alone(tmp_path: Path) -> None:
    study = fabricate(LONG, tmp_path)
    card = make_card(job_of(study, Run("of_patients", 0, 1), tmp_path))
    assert [reading.unit for reading in card.readings] == ["patient"]


def test_validation_of_one_class_gives_no_threshold_and_says_why(tmp_path: Path) -> None:
    study = fabricate(ALONE, tmp_path)
    study.edit_cases(lambda t: t.assign(label=np.int8(0), unit_label=np.int8(0)), ["film"])
    card = make_card(job_of(study, Run("plain", 0), tmp_path))
    assert card.readings[0].operating_points == ()
    assert card.readings[0].temperature is None
    assert "temperature" in card.readings[0].temperature_note
    assert card.measured[0].value is None


def test_a_declared_leak_is_on_the_card(tmp_path: Path) -> None:
    study = fabricate(LONG, tmp_path)
    card = make_card(job_of(study, Run("on_rows", 0), tmp_path))
    assert card.readings[0].note == "declared leak: split by rows"


def test_a_record_that_is_none_is_named(tmp_path: Path) -> None:
    job = job_of(fabricate(ALONE, tmp_path), Run("plain", 0), tmp_path)
    job.records[Run("plain", 2)].write_text("{}")
    with pytest.raises(WeightsError, match=r"seed-2.*model\.json: is no record of a trained"):
        make_card(job)
