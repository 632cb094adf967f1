"""Two trained domains, a chain of three arms, seeds x folds, a factor and patches; and leaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from miniature import Project, create_project

from mammoshift.contracts.run import Run

pytestmark = pytest.mark.workflow

SIZE = {"size": [64, 48]}
STAGES = {"batch_size": 8, "stages": [{"epochs": 1, "lr": 1.0e-3}]}
DATASETS: dict[str, Any] = {
    "film": {
        "adapter": "cbis_ddsm",
        "title": "Twin of CBIS-DDSM",
        "licence": "synthetic",
        "twin": {"patients": 36, "seed": 1, "magnification_of_pitch": 16},
    },
    "digital": {
        "adapter": "cmmd",
        "title": "Twin of CMMD",
        "licence": "synthetic",
        "bundles": 2,
        "twin": {"patients": 24, "seed": 2, "magnification_of_pitch": 16},
    },
    "scanned": {
        "adapter": "mias",
        "title": "Twin of MIAS",
        "licence": "synthetic",
        "twin": {"patients": 20, "seed": 3, "magnification_of_pitch": 4},
    },
}
SHARES = {"train": 0.5, "validation": 0.25, "test": 0.25}
STUDY: dict[str, Any] = {
    "title": "Two domains and patches",
    "domains": {
        "film": {
            "dataset": "film",
            "unit": "breast",
            "split": {"method": "patient_stratified", "shares": SHARES},
        },
        "ffdm": {
            "dataset": "digital",
            "unit": "patient",
            "combine": "max",
            "split": {"method": "k_fold", "folds": 3, "validation_share": 0.3},
        },
        "squares": {
            "dataset": "scanned",
            "task": "lesion_vs_rest",
            "unit": "patch",
            "patches": {"size_mm": 30.0, "breast_share": 0.5, "maximum_of_image": 4},
            "split": {"method": "patient_stratified", "shares": SHARES, "stratify_by": ["label"]},
        },
        "held_back": {"dataset": "scanned"},
    },
    "judged_on": ["film", "ffdm", "held_back"],
    "seeds": [0, 1],
    "input": SIZE,
    "training": STAGES,
    "arms": {
        "mix": {
            "kind": "covariates",
            "columns": ["density"],
            "train_on": "squares",
            "judged_on": ["squares"],
        },
        "base": {"backbone": "tiny"},
        "tuned": {
            "initialisation": {"arm": "base", "part": "features"},
            "train_on": "ffdm",
            "input": {"size": [48, 48]},
        },
        "applied": {"initialisation": {"arm": "tuned"}, "training": {"stages": []}},
        "masked": {"backbone": "tiny", "input": {"mask": "breast"}},
        "squares": {
            "backbone": "tiny",
            "train_on": "squares",
            "judged_on": ["squares"],
            "input": {"size": [24, 24], "orientation": "as_stored"},
        },
    },
    "comparisons": [
        {"family": "adaptation", "on": ["ffdm"], "reference": "base", "arms": ["tuned", "masked"]},
        {"family": "mask", "on": "all", "factor": {"input.mask": ["none", "breast"]}},
    ],
    "subgroups": ["view"],
    "bootstrap_resamples": 100,
}


def _write(project: Project, study: dict[str, Any], datasets: dict[str, Any]) -> None:
    for file, content in (("studies/small.yaml", study), ("datasets/small.yaml", datasets)):
        path = project.folder / "config" / file
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished study."""
    project = create_project(tmp_path_factory.mktemp("machine") / "project")
    _write(project, STUDY, DATASETS)
    project.snakemake()
    return project


def _predictions(project: Project, arm: str, domain: str) -> pd.DataFrame:
    path = project.folder / "results" / "small" / arm / domain / "predictions.parquet"
    return pq.read_table(path).to_pandas()


def _cases(project: Project, domain: str) -> pd.DataFrame:
    path = project.folder / "results" / "small" / "domains" / domain / "cases.parquet"
    return pq.read_table(path).to_pandas()


def test_the_study_ends_in_a_report_and_has_nothing_left_to_do(machine: Project) -> None:
    assert (machine.folder / "results" / "small" / "report" / "index.html").is_file()
    assert machine.planned() == set()


def test_runs_are_seeds_and_folds(machine: Project) -> None:
    folder = machine.folder / "results" / "small"
    found = {Run.of_path(path.parent) for path in folder.glob("*/seed-*/fold-*/model.json")}
    trained = {run.arm: sum(r.arm == run.arm for r in found) for run in found}
    assert trained == {"mix": 2, "base": 2, "tuned": 6, "masked": 2, "squares": 2}


def test_an_applied_arm_gives_the_logits_of_the_one_that_it_applies(machine: Project) -> None:
    for domain in ("film", "ffdm", "held_back"):
        one, two = (_predictions(machine, arm, domain) for arm in ("tuned", "applied"))
        pd.testing.assert_frame_equal(one.drop(columns="arm"), two.drop(columns="arm"))


def test_folds_are_left_out_on_their_own_domain_and_whole_elsewhere(machine: Project) -> None:
    cases = _cases(machine, "ffdm")
    left_out = {
        case: [fold for fold, name in enumerate(subsets) if name == "out_of_fold"]
        for case, subsets in zip(cases["case_id"], cases["subsets"], strict=True)
    }
    assert all(len(folds) == 1 for folds in left_out.values())
    own = _predictions(machine, "tuned", "ffdm")
    own = own[own["subset"] == "out_of_fold"]
    assert len(own) == 2 * len(cases)
    assert all(left_out[case] == [fold] for case, fold in zip(own.case_id, own.fold, strict=True))
    foreign = _predictions(machine, "base", "ffdm")
    assert set(foreign["subset"]) == {"out_of_fold"}
    assert len(foreign) == 2 * len(cases)


def test_patches_are_judged_by_their_own_labels(machine: Project) -> None:
    cases = _cases(machine, "squares")
    assert set(cases["label"]) == {0, 1}
    assert len(set(cases["box_right"] - cases["box_left"])) == 1
    assert cases.groupby("image_id").size().max() > 1
    by_patient = cases.explode("subsets").groupby("patient_id")["subsets"].nunique()
    assert by_patient.max() == 1


def test_tables_have_units_folds_and_the_factor(machine: Project) -> None:
    tables = machine.folder / "results" / "small" / "tables"
    metrics = pd.read_csv(tables / "metrics.csv", keep_default_na=False)
    auc = metrics[(metrics["metric"] == "auc") & (metrics["subgroup"] == "all")]
    on_ffdm = auc[(auc["domain"] == "ffdm") & (auc["arm"] == "tuned") & (auc["seed"] == "mean")]
    patients = _cases(machine, "ffdm")["patient_id"].nunique()
    assert on_ffdm.loc[on_ffdm["subset"] == "out_of_fold", "n"].tolist() == [patients]
    assert set(auc.loc[auc["arm"] == "squares", "domain"]) == {"squares"}
    combined = pd.read_csv(tables / "combined.csv", keep_default_na=False)
    mask = combined[combined["family"] == "mask"]
    assert set(zip(mask["arm"], mask["reference"], strict=True)) == {("masked", "base")}
    assert set(mask["domain"]) >= {"film", "ffdm", "held_back"}


def test_a_model_names_what_it_and_its_ancestors_learned_from(machine: Project) -> None:
    record = machine.folder / "results" / "small" / Run("tuned", 1, 2).path / "model.json"
    lineage = yaml.safe_load(record.read_text(encoding="utf-8"))["lineage"]
    assert [(step["domain"], step["fold"]) for step in lineage["steps"]] == [
        ("film", 0),
        ("ffdm", 2),
    ]


def _same_archive_twice(study: dict[str, Any], datasets: dict[str, Any]) -> None:
    datasets["again"] = {**datasets["film"], "title": "The same under another name"}
    study["domains"]["suspect"] = {"dataset": "again"}


def _patients_imaged_again(study: dict[str, Any], datasets: dict[str, Any]) -> None:
    again = {**datasets["film"], "title": "The same patients, another scanner"}
    again["twin"] = {**again["twin"], "scanner": {"dose": 0.2}}
    datasets["again"] = again
    study["domains"]["suspect"] = {"dataset": "again", "same_patients_as": ["film"]}


def _an_ancestors_patients(study: dict[str, Any], datasets: dict[str, Any]) -> None:
    """A descendant whose test patients its ancestor was trained on, by another split."""
    study["domains"]["again"] = {
        "dataset": "film",
        "split": {"method": "patient_stratified", "shares": SHARES, "seed": 9},
    }
    study["arms"]["child"] = {"initialisation": {"arm": "base"}, "train_on": "again"}
    study["judged_on"] = ["again"]


@pytest.mark.parametrize(
    "leak", [_same_archive_twice, _patients_imaged_again, _an_ancestors_patients]
)
def test_what_a_model_learned_from_is_refused_as_its_test(
    machine: Project, tmp_path: Path, leak: Any
) -> None:
    project = machine.copy_to(tmp_path / "project")
    study, datasets = (
        yaml.safe_load(yaml.safe_dump(STUDY)),
        yaml.safe_load(yaml.safe_dump(DATASETS)),
    )
    study["arms"] = {"base": study["arms"]["base"]}
    study["comparisons"] = []
    for name in ("ffdm", "squares", "held_back"):
        del study["domains"][name]
    study["judged_on"] = ["film", "suspect"]
    leak(study, datasets)
    _write(project, study, datasets)
    done = project.snakemake("--keep-going", check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "leaks, such as" in said
    assert "audit_lineage" in said
    judged = study["judged_on"][-1]
    assert not (
        project.folder / "results" / "small" / "base" / judged / "predictions.parquet"
    ).exists()
