"""What a study will cost, from its configuration alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mammoshift.commands.main import app
from mammoshift.configuration.leaves import cases_leaves
from mammoshift.configuration.load import load_project, read_yaml
from mammoshift.configuration.model import Arm
from mammoshift.planning.plan import StudyPlan, as_markdown, plan_study
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
    project = _project("paper")
    printed = as_markdown([plan_study(project, study) for study in project.studies])
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


def test_all_four_published_studies_are_priced_and_estimates_are_said() -> None:
    project = _project("paper")
    plans = {name: plan_study(project, name) for name in project.studies}
    assert len(plans) == 4
    for plan in plans.values():
        assert plan.unknown == ()
        assert plan.training_hours and plan.scoring_hours and plan.pixel_bytes
    assert plans["domain_adaptation"].images["case_control"] == 1528
    assert not plans["cross_sensor"].estimated
    estimated = plans["cem_mask"].estimated
    assert "three scorings" in estimated["coatnet_0_rw_224"]
    assert estimated["densenet121"].endswith("scaled as ResNet-50")


def test_patches_are_counted_as_the_study_states_them_and_never_taken_for_images() -> None:
    project = _project("paper")
    study = project.studies["microcalcification"]
    plan = plan_study(project, "microcalcification")
    assert (plan.images["mexbreast"], plan.jobs["train_arm"]) == (620, 48)
    patches = {name: domain.expected_patches for name, domain in study.domains.items()}
    assert patches["mexbreast_50"] == 2 * 15_077 == patches["mexbreast_50_by_patch"]
    stores = [(30_154, 200), (53_102, 144), (4_350, 100), (15_760, 144)]
    assert plan.pixel_bytes == sum(2 * count * side**2 for count, side in stores)
    name = "mexbreast_50"
    bare = study.domains[name].model_copy(update={"expected_patches": None})
    domains = {**study.domains, name: bare}
    unstated = replace(project, studies={study.name: replace(study, domains=domains)})
    plan = plan_study(unstated, study.name)
    assert plan.unknown == ("number of patches of mexbreast_50",)
    assert plan.training_hours is None
    assert plan.pixel_bytes is None
    assert cases_leaves(unstated, study.name, name) == cases_leaves(project, study.name, name)


def test_models_are_counted_with_their_heads_and_a_frozen_network_trains_as_it_scores() -> None:
    project = _project("paper")
    study = project.studies["microcalcification"]

    def alone(arm: str) -> StudyPlan:
        domains = {name: study.domains[name] for name in study.domains}
        arms = {arm: study.arms[arm].model_copy(update={"initialisation": "random"})}
        one = replace(study, arms=arms, domains=domains)
        return plan_study(replace(project, studies={study.name: one}), study.name)

    scratch, transfer = alone("scratch_70"), alone("transfer_70")
    assert scratch.model_bytes == 3 * 4 * 67_763_393
    cost = THROUGHPUT["mobilenetv2_100"]
    trained = cost.training_seconds(1.0, 1), cost.scoring_seconds(1.0, 1)
    ratio = (0.64 * trained[0] + 0.16 * trained[1]) / (0.8 * trained[1])
    assert scratch.training_hours and transfer.training_hours
    assert scratch.training_hours / transfer.training_hours == pytest.approx(ratio)


def test_time_grows_with_images_and_pixels() -> None:
    cost = THROUGHPUT["resnet50"]
    once = cost.training_seconds(2470, 224 * 224)
    assert once == pytest.approx(1.0)
    assert cost.training_seconds(4940, 448 * 448) == pytest.approx(8 * once)


@pytest.mark.parametrize("given", [["config/paper.yaml"], ["--configfile", "config/paper.yaml"]])
def test_the_command_takes_a_configuration_file_either_way(given: list[str]) -> None:
    result = CliRunner().invoke(app, ["plan", *given, "--folder", str(ROOT)])
    assert result.exit_code == 0
    assert "kept busy" in result.output
    assert "estimated from the rate on another card" in result.output
    assert "unknown" not in result.output
