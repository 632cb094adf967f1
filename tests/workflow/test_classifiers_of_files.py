"""Whole classifiers of a Keras file from a raw archive to the report: applied, adapted, read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from miniature import REPOSITORY, Project, create_project

from keras_on_disk import write_end2end

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

WHOLE = {
    "backbone": "end2end",
    "head": {"kind": "end2end_512x1", "outputs": 2},
    "initialisation": "pretrained",
    "train_on": "clinic",
    "training": {"stages": []},
}
PATIENTS = {"train_on": "patients", "judged_on": ["patients"]}
STUDY: dict[str, Any] = {
    "title": "Classifiers of files",
    "domains": {
        "clinic": {
            "dataset": "case_control",
            "split": {
                "method": "matched_pairs",
                "shares": {"train": 0.4, "validation": 0.3, "test": 0.3},
                "stratify_by": ["label", "age"],
            },
        },
        "patients": {
            "dataset": "case_control",
            "unit": "patient",
            "split": {"method": "same_as", "domain": "clinic"},
        },
    },
    "seeds": [0, 1],
    "input": {"size": [128, 128], "crop": "none", "tone": "full_range", "fit": "stretch"},
    "training": {"batch_size": 8, "stages": [{"train": "head", "epochs": 1, "lr": 1e-4}]},
    "arms": {
        "of_file": WHOLE,
        "adapted_of_file": {
            "initialisation": {"arm": "of_file"},
            "train_on": "clinic",
            "normalisation": {"mean": [0.236] * 3, "std": [0.0039216] * 3},
        },
        "radiomics_of_file": {
            "kind": "radiomics",
            **PATIENTS,
            "features": {"set": "openbreast32", "scores_of": ["of_file"], "covariates": ["age"]},
            "estimator": {"components": 3, "trees": 10},
        },
        "largest_of_file": {"kind": "combined", "scores_of": ["of_file"], **PATIENTS},
    },
    "comparisons": [
        {
            "family": "adaptation",
            "on": ["clinic", "patients"],
            "reference": "of_file",
            "arms": ["adapted_of_file"],
        },
        {
            "family": "reading",
            "on": ["patients"],
            "reference": "of_file",
            "arms": ["radiomics_of_file", "largest_of_file"],
        },
    ],
    "calibration": ["temperature_source"],
    "bootstrap_resamples": 100,
}
BACKBONES = {
    "end2end": {
        "architecture": "vgg16",
        "mean": [0.20463] * 3,
        "std": [0.0039216] * 3,
        "variable_size": True,
        "weights": {
            "file": "end2end.h5",
            "format": "keras_end2end",
            "licence": "cc-by-nc-sa-4.0",
            "derivatives": "same_licence",
            "source": "made by the test",
            "trained_on": ["cbis_ddsm"],
        },
    }
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished study."""
    project = create_project(tmp_path_factory.mktemp("files") / "project")
    twins = yaml.safe_load((REPOSITORY / "config/datasets/twins.yaml").read_text(encoding="utf-8"))
    record = twins["case_control"]
    record["twin"] = {**record["twin"], "patients": 20, "magnification_of_pitch": 16}
    for file, content in (
        ("studies/small.yaml", STUDY),
        ("datasets/small.yaml", {"case_control": record}),
        ("small_backbones.yaml", BACKBONES),
    ):
        text = yaml.safe_dump(content, sort_keys=False)
        (project.folder / "config" / file).write_text(text, encoding="utf-8")
    write_end2end(project.folder / "weights" / "end2end.h5")
    project.snakemake()
    return project


def _results(project: Project) -> Path:
    return project.folder / "results" / "small"


def _logits(project: Project, arm: str, domain: str) -> pd.DataFrame:
    table = pq.read_table(_results(project) / arm / domain / "predictions.parquet").to_pandas()
    return table.pivot_table(index="case_id", columns="seed", values="logit")


def test_the_study_ends_in_a_report_and_has_nothing_left_to_do(done: Project) -> None:
    page = (_results(done) / "report" / "index.html").read_text(encoding="utf-8")
    for arm in STUDY["arms"]:
        assert arm in page
    assert done.planned() == set()


def test_a_file_is_one_model_whatever_the_seed_and_what_learns_from_it_is_not(
    done: Project,
) -> None:
    for domain in ("clinic", "patients"):
        of_file = _logits(done, "of_file", domain)
        assert np.isfinite(of_file.to_numpy()).all()
        assert (of_file[0] == of_file[1]).all()
        assert np.ptp(of_file[0]) > 0
    adapted = _logits(done, "adapted_of_file", "clinic")
    assert (adapted[0] != adapted[1]).any()


def test_every_arm_and_pair_has_its_statistics(done: Project) -> None:
    tables = _results(done) / "tables"
    metrics = pd.read_csv(tables / "metrics.csv", keep_default_na=False)
    auc = metrics[(metrics["metric"] == "auc") & (metrics["seed"] == "mean")]
    assert set(auc.loc[auc["domain"] == "patients", "arm"]) == set(STUDY["arms"])
    assert set(auc.loc[auc["domain"] == "clinic", "arm"]) == {"of_file", "adapted_of_file"}
    combined = pd.read_csv(tables / "combined.csv", keep_default_na=False)
    found = set(combined[["family", "domain", "arm"]].itertuples(index=False, name=None))
    assert found == {
        ("adaptation", "clinic", "adapted_of_file"),
        ("adaptation", "patients", "adapted_of_file"),
        ("reading", "patients", "radiomics_of_file"),
        ("reading", "patients", "largest_of_file"),
    }


def test_records_tell_of_the_file_and_what_it_has_seen(done: Project) -> None:
    for arm in ("of_file", "adapted_of_file", "radiomics_of_file"):
        path = _results(done) / arm / "seed-0" / "fold-0" / "model.json"
        record = json.loads(path.read_bytes())
        assert record["lineage"]["third_party"] == ["cbis_ddsm"], arm
        steps = [step["domain"] for step in record["lineage"]["steps"]]
        assert steps == {"of_file": [], "adapted_of_file": ["clinic"]}.get(arm, ["patients"])
    card = json.loads((_results(done) / "of_file/seed-0/fold-0/model_card.json").read_bytes())
    assert card["licence"]["name"] == "cc-by-nc-sa-4.0"
    assert card["readings"][0]["subset"] == "validation"
