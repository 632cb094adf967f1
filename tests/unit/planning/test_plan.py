"""What a study will cost, from its configuration alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mammoshift.configuration.load import load_project, read_yaml
from mammoshift.configuration.model import Arm
from mammoshift.planning.plan import as_markdown, plan_study
from mammoshift.planning.throughput import THROUGHPUT

ROOT = Path(__file__).resolve().parents[3]


def _project(name: str):
    return load_project(read_yaml(ROOT / "config" / f"{name}.yaml"), ROOT)


def test_the_published_study_is_planned_in_full() -> None:
    plan = plan_study(_project("paper"), "cross_sensor")
    assert (plan.jobs["train_arm"], plan.jobs["score_arm"]) == (9 * 3, 9 * 4)
    assert plan.jobs["preprocess_bundle"] == 2 * (8 + 8 + 2 + 1)
    assert plan.jobs["convert_weights"] == 5
    assert plan.unknown == ()
    images = 3032 + 3744 + 510 + 322
    assert plan.pixel_bytes == images * (1520 * 912 + 1022 * 616) * 2
    assert plan.training_hours is not None
    assert plan.scoring_hours is not None
    assert plan.training_hours > plan.scoring_hours > 0


def test_the_table_in_the_documentation_is_what_plan_prints() -> None:
    printed = as_markdown([plan_study(_project("paper"), "cross_sensor")])
    assert printed in (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("inner_folds", [None, 4])
def test_hours_of_trials_are_those_of_their_longest_trainings(inner_folds: int | None) -> None:
    project = _project("paper")
    study = project.studies["cross_sensor"]
    plain = plan_study(project, "cross_sensor")
    assert plain.trial_hours == 0.0
    space = {"training.stages.0.epochs": {"low": 1, "high": 20}}
    search = {"space": space, "trials": 7, "inner_folds": inner_folds}
    arm = study.arms["resnet50"]
    searched = type(arm).model_validate({**arm.model_dump(), "search": search})
    assert isinstance(searched, Arm)
    longest = searched.with_chosen({"training.stages.0.epochs": 20})
    alone = replace(study, arms={"resnet50": searched})
    found = plan_study(replace(project, studies={"cross_sensor": alone}), "cross_sensor")
    trained = plan_study(
        replace(project, studies={"cross_sensor": replace(study, arms={"resnet50": longest})}),
        "cross_sensor",
    )
    assert found.trial_hours is not None
    assert trained.training_hours is not None
    one = trained.training_hours / len(study.runs("resnet50"))
    if inner_folds is None:
        assert found.trial_hours == pytest.approx(7 * one)
    else:
        assert 2.5 < found.trial_hours / (7 * one) < 4.5
    assert "GPU-hours, trials" in as_markdown([found])


def test_what_is_unknown_is_said_and_not_guessed() -> None:
    plan = plan_study(_project("config"), "cross_sensor_miniature")
    assert plan.training_hours is None
    assert "number of images of cmmd" in plan.unknown
    assert "throughput of tiny_resnet" in plan.unknown
    assert "unknown" in as_markdown([plan])


def test_images_of_the_published_archives_are_known_and_patches_are_not_taken_for_images() -> None:
    project = _project("paper")
    assert plan_study(project, "domain_adaptation").images["case_control"] == 1528
    everything = {
        backbone.architecture: THROUGHPUT["resnet50"] for backbone in project.backbones.values()
    }
    assert plan_study(project, "domain_adaptation", everything).unknown == ()
    plan = plan_study(project, "microcalcification", everything)
    assert plan.images["mexbreast"] == 620
    assert plan.training_hours is None
    assert "number of patches of mexbreast_50" in plan.unknown
    assert plan.jobs["train_arm"] == 48


def test_time_grows_with_images_and_pixels() -> None:
    cost = THROUGHPUT["resnet50"]
    once = cost.training_seconds(2470, 224 * 224)
    assert once == pytest.approx(1.0)
    assert cost.training_seconds(4940, 448 * 448) == pytest.approx(8 * once)
