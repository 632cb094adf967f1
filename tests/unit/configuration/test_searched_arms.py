"""A study whose arm is searched: lists that are one value make no arms."""

from __future__ import annotations

import yaml

from mammoshift.configuration import leaves
from mammoshift.configuration.load import Project, Settings
from mammoshift.configuration.model import Arm, Backbone
from mammoshift.configuration.resolved import resolve_study
from mammoshift.configuration.study import Study

TEXT = """
title: A search
source: {dataset: a, task: malignant_vs_rest, split: patient_stratified}
seeds: [4, 5]
input: {size: [64, 32]}
training: {stages: [{epochs: 2, lr: 1.0e-3}]}
arms:
  plain: {backbone: tiny}
  searched:
    backbone: tiny
    search:
      trials: 6
      space:
        training.stages.0.lr: {low: 1.0e-5, high: 1.0e-2, log: true}
        training.batch_size: {choices: [4, 8]}
  matched:
    backbone: tiny
    input: {tone: histogram_match, reference_quantiles: [0.0, 0.5, 1.0]}
  child: {initialisation: {arm: searched}}
"""


def test_a_searched_arm_stays_one_arm_and_its_child_is_not_searched() -> None:
    study = resolve_study("study", Study.model_validate(yaml.safe_load(TEXT)), "study.yaml")
    assert list(study.arms) == ["plain", "searched", "matched", "child"]
    arm = study.arms["searched"]
    assert isinstance(arm, Arm)
    assert arm.search is not None
    assert list(arm.search.earlier(5)) == [0, 1, 2, 3]
    assert getattr(study.arms["child"], "search", None) is None


def _project(text: str) -> Project:
    study = resolve_study("study", Study.model_validate(yaml.safe_load(text)), "study.yaml")
    tiny = Backbone(architecture="test_resnet", channels=1, mean=(0.25,), std=(0.25,))
    settings = Settings(studies=(), datasets="", backbones="")
    return Project(settings, {}, {"tiny": tiny}, {"study": study})


def test_more_trials_leave_trials_and_the_search_leaves_training_out_of_its_key() -> None:
    few, more = _project(TEXT), _project(TEXT.replace("trials: 6", "trials: 9"))
    found = [leaves.trial_leaves(project, "study", "searched") for project in (few, more)]
    assert found[0] == found[1]
    assert found[0] != leaves.arm_leaves(few, "study", "searched")
    assert leaves.arm_leaves(few, "study", "searched") == leaves.arm_leaves(few, "study", "plain")
    wider = _project(TEXT.replace("[4, 8]", "[4, 8, 16]"))
    assert leaves.trial_leaves(wider, "study", "searched") != found[0]
