"""What is looked at before the first job does not take every arm for a network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from mammoshift.configuration.resolved import resolve_study
from mammoshift.configuration.study import Study
from mammoshift.project.findings import check_networks

STUDY: dict[str, Any] = {
    "title": "A baseline without a network",
    "domains": {"film": {"dataset": "film", "split": "patient_stratified"}},
    "seeds": [0],
    "arms": {"mix": {"kind": "covariates"}},
}


def test_an_arm_without_an_architecture_is_passed_over() -> None:
    study = resolve_study("small", Study.model_validate(STUDY), "small.yaml")
    project = cast(Any, SimpleNamespace(studies={"small": study}, backbones={}))
    assert list(check_networks(project, [("small", "mix")])) == []
