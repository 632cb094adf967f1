"""Two datasets of one archive hold the same patients, whether a study says so or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mammoshift.configuration.load import Project, load_project
from mammoshift.configuration.result_leaves import judged_domains
from mammoshift.errors import ConfigurationError

CESM = {"adapter": "cdd_cesm", "title": "t", "licence": "l"}
LOW = {**CESM, "cdd_cesm": {"images": "low_energy"}}
SUBTRACTED = {**CESM, "cdd_cesm": {"images": "subtracted"}}
BACKBONE = {"architecture": "test_resnet", "model": {}, "normalisation": {"mean": [0], "std": [1]}}


def load(
    tmp_path: Path,
    datasets: dict[str, Any],
    domains: dict[str, Any],
    **study: Any,
) -> Project:
    source = Path(__file__).parents[3] / "config"
    (tmp_path / "datasets.yaml").write_text(yaml.safe_dump(datasets))
    (tmp_path / "backbones.yaml").write_text((source / "backbones.yaml").read_text())
    content = {
        "title": "t",
        "domains": domains,
        "seeds": [0],
        "input": {"size": [64, 48]},
        "training": {"stages": [{"epochs": 1, "lr": 1e-3}]},
        "arms": {"a": {"backbone": "tiny_resnet"}},
        **study,
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(content))
    files = {"studies": ["small.yaml"], "datasets": "datasets.yaml", "backbones": "backbones.yaml"}
    return load_project(files, tmp_path)


LEARNED = {"dataset": "subtracted", "split": "patient_stratified"}


@pytest.mark.parametrize(
    "place", [{"root": "cesm"}, {"twin": {"patients": 20, "seed": 3}}], ids=["real", "twin"]
)
def test_domains_of_one_archive_are_taken_for_the_same_patients(
    tmp_path: Path, place: dict[str, Any]
) -> None:
    datasets = {"low": {**LOW, **place}, "subtracted": {**SUBTRACTED, **place}}
    domains = {"sub": LEARNED, "low": {"dataset": "low"}}
    study = load(tmp_path, datasets, domains).studies["small"]
    assert study.domains["low"].same_patients_as == ("sub",)
    assert {d.name: d.same_patients_as for d in judged_domains(study)} == {
        "sub": ("low",),
        "low": ("sub",),
    }


def test_other_archives_and_other_domains_of_one_dataset_are_left_as_they_are(
    tmp_path: Path,
) -> None:
    datasets = {"low": {**LOW, "root": "elsewhere"}, "subtracted": {**SUBTRACTED, "root": "cesm"}}
    again = {**LEARNED, "task": "abnormal_vs_normal"}
    domains = {"sub": LEARNED, "low": {"dataset": "low"}, "again": again}
    study = load(tmp_path, datasets, domains).studies["small"]
    assert all(not domain.same_patients_as for domain in study.domains.values())


def test_one_archive_is_not_pooled_with_itself(tmp_path: Path) -> None:
    datasets = {"low": {**LOW, "root": "cesm"}, "subtracted": {**SUBTRACTED, "root": "cesm"}}
    both = {"datasets": ["low", "subtracted"], "split": "patient_stratified"}
    with pytest.raises(ConfigurationError, match=r"domains\.both\.datasets: .*one archive"):
        load(tmp_path, datasets, {"both": both})
