"""The report of a study with two trained domains, folds, an applied arm, patches and a leak."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fabricated_study import ASSETS

from fabricated_tables import FOLDS, LONG, OPTIONS, Fabricated, fabricate
from mammoshift.configuration.judged import CalibrationSettings, EvaluationSettings, ReportSettings
from mammoshift.contracts.cases import read_cases
from mammoshift.contracts.manifest import (
    MANIFEST_SCHEMA,
    Exclusion,
    write_exclusions,
    write_manifest,
)
from mammoshift.contracts.predictions import read_predictions
from mammoshift.contracts.results import write_comparisons, write_metrics
from mammoshift.contracts.run import Run
from mammoshift.evaluation.calibrate import calibrate_study
from mammoshift.evaluation.combine import combine_seeds
from mammoshift.evaluation.compare import compare_study
from mammoshift.evaluation.evaluate import evaluate_study
from mammoshift.evaluation.rows import ComparisonRow, MetricRow, as_table
from mammoshift.report.build import build_report
from mammoshift.report.finding import KINDS
from mammoshift.report.inputs import ReportInputs, TrainingRun

TRAINED = ("on_film", "on_clinic", "of_patients", "on_rows")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain")
    inputs = report_inputs(fabricate(LONG, folder), folder)
    build_report(inputs, folder / "report")
    return folder / "report"


def table(report: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(report / "tables" / f"{name}.csv", dtype=str, keep_default_na=False)


def report_inputs(study: Fabricated, folder: Path) -> ReportInputs:
    few = {"bootstrap_resamples": 100}
    options = study.settings(**OPTIONS["evaluation"]) | few | {"subgroups": ["density", "age"]}
    evaluation = EvaluationSettings.model_validate(options)
    calibration = CalibrationSettings.model_validate(study.settings(**OPTIONS["calibration"]) | few)
    grid = study.grid()
    paths = {name: folder / f"{name}.csv" for name in ("metrics", "calibration", "tests", "seeds")}
    write_metrics(as_table(evaluate_study(evaluation, grid), MetricRow), paths["metrics"])
    write_metrics(as_table(calibrate_study(calibration, grid), MetricRow), paths["calibration"])
    write_comparisons(as_table(compare_study(study.losses(), grid), ComparisonRow), paths["tests"])
    write_comparisons(
        as_table(combine_seeds(study.comparison(), grid), ComparisonRow), paths["seeds"]
    )
    write_exclusions([Exclusion("crops", "a.dcm", "ingest", "broken")], folder / "excluded.csv")
    names = [domain["name"] for domain in LONG["domains"]]
    settings = ReportSettings.model_validate(
        study.settings(
            title="A chain",
            question="",
            families=LONG["families"],
            subgroups=["density", "age"],
            calibration=["temperature_source"],
            specificity=0.95,
            bootstrap_resamples=100,
            datasets=[
                {"name": name, "title": name.title(), "licence": "none", "synthetic": False}
                for name in names
            ],
            described_domains=[
                {
                    "name": name,
                    "datasets": [name],
                    "task": "malignant_vs_rest",
                    "split": None if name == "crops" else {"method": "fabricated"},
                }
                for name in names
            ],
            described_arms=[
                {"name": arm["name"], "kind": "classifier", "settings": {"seed": 0}}
                for arm in LONG["arms"]
            ],
        )
    )
    runs = [
        Run(arm, seed, fold)
        for arm in TRAINED
        for seed in LONG["seeds"]
        for fold in range(FOLDS.get(arm, 1))
    ]
    return ReportInputs(
        settings=settings,
        metrics=(paths["metrics"], paths["calibration"]),
        comparisons=(paths["tests"], paths["seeds"]),
        cases=tuple(study.cases.values()),
        predictions=tuple(study.predictions.values()),
        manifests=tuple(_manifest(path, folder) for path in study.cases.values()),
        runs=tuple(_training(run, folder) for run in runs),
        exclusions=(folder / "excluded.csv",),
        audits=(),
        assets=ASSETS,
    )


def _manifest(cases: Path, folder: Path) -> Path:
    """Write the manifest behind a table of cases, with one image more that is no case."""
    images = read_cases(cases).drop_duplicates("image_id")
    alone = images.iloc[:1].assign(image_id="no-label", patient_id="p999")
    manifest = pd.concat([images, alone]).assign(
        density_scale="birads",
        bits=12,
        rows=100,
        columns=80,
        path="x.dcm",
        content_key="0",
        patient_pathology=None,
    )
    manifest = manifest.assign(patient_pathology=None)
    path = folder / f"manifest-{cases.name}"
    write_manifest(manifest[MANIFEST_SCHEMA.names], path)
    return path


def _training(run: Run, folder: Path) -> TrainingRun:
    path = folder / run.path
    path.mkdir(parents=True)
    epochs = np.arange(1, 4)
    history = {"epoch": epochs, "stage": 1, "train_loss": 1.0 / epochs, "validation_loss": 0.5}
    pd.DataFrame(history | {"validation_auc": 0.7}).to_csv(path / "history.csv", index=False)
    (path / "model.json").write_text(json.dumps({"selected_epoch": 3}), encoding="utf-8")
    return TrainingRun(run, path / "history.csv", path / "model.json")


def test_every_cohort_is_named_by_its_domain_and_subset(report: Path) -> None:
    cohorts = {"film (test)", "clinic (out of fold)", "crops", "rows (test)"}
    assert cohorts <= set(table(report, "auc").columns)
    assert set(table(report, "auc_detail")["Domain"]) == cohorts


def test_an_arm_without_predictions_has_no_number(report: Path) -> None:
    aucs = table(report, "auc").set_index("Arm")
    assert aucs.loc["of_patients", "film (test)"] == "not judged"
    assert re.match(r"0\.\d+ \(", aucs.loc["of_patients", "clinic (out of fold)"])


def test_a_drop_is_not_stated_at_home_and_says_why_it_is_undefined(report: Path) -> None:
    drops = table(report, "transfer_drop").set_index(["Arm", "Domain"])
    assert ("on_film", "film (test)") not in drops.index
    assert ("on_clinic", "clinic (out of fold)") not in drops.index
    cell = "Drop of AUC (95% CI)"
    assert "not judged on its own domain elsewhere" in drops.loc[("imported", "rows (test)"), cell]
    assert re.match(r"-?0\.\d+ \(", drops.loc[("on_clinic", "film (test)"), cell])
    leak = drops.loc[("on_film", "rows (test)")]
    assert leak["Verdict"] == "declared leak: no verdict"
    assert "declared leak: split by rows" in leak["Note"]


def test_the_cohort_counts_patches_beside_images_and_folds_once(report: Path) -> None:
    cohort = table(report, "cohort").set_index(["Characteristic", "Level"])
    assert cohort.loc[("Images", "all"), "crops"] == "120"
    assert cohort.loc[("Cases", "all"), "crops"] == "240"
    assert cohort.loc[("Images", "all"), "crops (no case)"] == "1"
    assert cohort.loc[("Patients", "all"), "clinic (out of fold)"] == "120"
    assert "clinic (train)" not in cohort.columns
    assert cohort.loc[("Files left out of the dataset", "all"), "crops"] == "1"


def test_a_joint_test_names_its_reference(report: Path) -> None:
    joint = table(report, "omnibus")
    assert joint[["Domain", "Reference"]].to_numpy().tolist() == [
        ["clinic (out of fold)", "on_film"]
    ]


def test_every_fold_of_a_training_has_its_row(report: Path) -> None:
    training = table(report, "training")
    assert len(training) == 2 * (1 + 3 + 3 + 1)
    assert set(training.loc[training["Arm"] == "on_clinic", "Fold"]) == {"0", "1", "2"}
    assert "applied" not in set(training["Arm"])


def test_a_declared_leak_is_said_and_supports_nothing(report: Path) -> None:
    facts = json.loads((report / "reporting.json").read_text(encoding="utf-8"))
    texts = {kind: [] for kind in KINDS}
    for finding in facts["findings"]:
        texts[finding["kind"]].append(finding["text"])
    assert any("in training and in test cases of rows (by rows)" in t for t in texts["caution"])
    assert not any("rows (test)" in t for t in texts["supported"] + texts["not_supported"])
    (own,) = [t for t in texts["supported"] if "own domain, the AUC" in t]
    assert "on_clinic" in own
    assert "on_rows" not in own
    assert [domain["leak"] for domain in facts["domains"]] == [None, None, None, "by_row"]
    fitted = {(entry["arm"], entry["fitted_on"]) for entry in facts["temperatures"]}
    assert {("applied", "film validation"), ("on_clinic", "clinic validation")} <= fitted


def test_the_page_tells_the_own_domain_of_each_arm_and_prints_nothing_undefined(
    report: Path,
) -> None:
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "on_clinic: clinic" in page
    assert "declared leak, one patient in several subsets" in page
    assert "applied minus on_film" in page
    assert "they differ in input.mask" in page
    visible = re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|None|NaT|inf)\b", visible)
    assert "No description of this method" not in page


def test_the_page_the_file_and_the_predictions_give_one_number(report: Path) -> None:
    """The AUC of each seed, counted pair by pair from logits and labels on disk."""
    detail = table(report, "auc_detail").set_index(["Domain", "Arm"])
    page = (report / "index.html").read_text(encoding="utf-8")
    folder = report.parent
    checked = 0
    for domain, name in (("film", "film (test)"), ("crops", "crops")):
        labels = read_cases(folder / f"{domain}.parquet").set_index("case_id")["label"]
        for path in sorted(folder.glob(f"*-{domain}.parquet")):
            if path.name.startswith("manifest"):
                continue
            scored = read_predictions(path)
            judged = scored[scored["subset"].isin({"test", "target"})]
            if set(judged["fold"]) != {0}:
                continue
            counted = []
            for _, seed in judged.groupby("seed"):
                positive = labels.loc[seed["case_id"]].to_numpy() == 1
                own, others = (
                    seed["logit"].to_numpy()[positive],
                    seed["logit"].to_numpy()[~positive],
                )
                counted.append(f"{(own[:, None] > others).mean():.3f}")
            cell = detail.loc[(name, scored["arm"].iloc[0]), "AUC by seed"]
            assert cell == ", ".join(counted)
            assert f">{cell}<" in page
            checked += 1
    assert checked >= 3
