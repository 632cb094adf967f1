"""A rule sees only what it reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mammoshift.configuration import audit_leaves, leaves, result_leaves
from mammoshift.configuration.load import Project, load_project, read_yaml
from mammoshift.configuration.model import Arm, InputRecipe
from mammoshift.configuration.resolved import ResolvedStudy
from mammoshift.contracts.run import Run

ROOT = Path(__file__).resolve().parents[3]
STUDY = "cross_sensor_miniature"


def _project(folder: Path, file: str = "", old: str = "", new: str = "") -> Project:
    shutil.copytree(ROOT / "config", folder / "config", dirs_exist_ok=True)
    if file:
        path = folder / "config" / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return load_project(read_yaml(folder / "config" / "config.yaml"), folder)


def _all_leaves(project: Project) -> dict[str, object]:
    name = next(iter(leaves.inputs_of(project, "cmmd")))
    run = Run("resnet", 0)
    return {
        "twin cmmd": leaves.twin_leaves(project, "cmmd"),
        "ingest cmmd": leaves.ingest_leaves(project, "cmmd"),
        "preprocess cmmd": leaves.recipe_leaves(project, "cmmd", name),
        "preprocess dmid": leaves.recipe_leaves(project, "dmid", name),
        "cases cbis_ddsm": leaves.cases_leaves(project, STUDY, "cbis_ddsm"),
        "cases cmmd": leaves.cases_leaves(project, STUDY, "cmmd"),
        "lineage resnet": leaves.lineage_leaves(project, STUDY, run),
        "audit": audit_leaves.study_audit_leaves(project, STUDY),
        "train resnet": leaves.arm_leaves(project, STUDY, "resnet"),
        "train focal": leaves.arm_leaves(project, STUDY, "resnet_density_focal"),
        "score resnet on cmmd": leaves.scoring_leaves(project, STUDY, "resnet", "cmmd"),
        "calibrate": result_leaves.calibration_settings(project, STUDY),
        "evaluate": result_leaves.evaluation_settings(project, STUDY),
        "compare": result_leaves.loss_settings(project, STUDY),
        "combine": result_leaves.comparison_settings(project, STUDY),
        "report": result_leaves.report_settings(project, STUDY),
    }


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        (f"studies/{STUDY}.yaml", "title: Does", "title: Will", {"report"}),
        ("datasets/twins.yaml", "title: Twin of CMMD", "title: CMMD's twin", {"report"}),
        ("datasets/twins.yaml", "seed: 2", "seed: 9", {"twin cmmd"}),
        (
            "datasets/twins.yaml",
            "title: Twin of CMMD",
            "tone: percentile\n  title: Twin of CMMD",
            {"preprocess cmmd", "report"},
        ),
        (
            f"studies/{STUDY}.yaml",
            "resnet: {backbone: tiny_resnet}",
            "resnet: {backbone: tiny_resnet, training: {batch_size: 8}}",
            {"train resnet", "report"},
        ),
        (
            f"studies/{STUDY}.yaml",
            "subgroups: [density, view]",
            "subgroups: [density]",
            {"evaluate", "compare", "report"},
        ),
        (
            f"studies/{STUDY}.yaml",
            "transfer_drop_auc: 0.05",
            "transfer_drop_auc: 0.1",
            {"compare", "combine", "report"},
        ),
        (
            f"studies/{STUDY}.yaml",
            "case_mix: [density, view]",
            "case_mix: [view]",
            {"evaluate", "compare", "report"},
        ),
        (f"studies/{STUDY}.yaml", "seeds: [0, 1]", "seeds: [1, 0]", set()),
        (
            f"studies/{STUDY}.yaml",
            "resnet: {backbone: tiny_resnet}",
            "resnet: {backbone: tiny_resnet, label: ResNet, training: {checkpoint_minutes: 3}}",
            {"report"},
        ),
        (
            f"studies/{STUDY}.yaml",
            "name: density_aware_focal",
            "name: density_aware_focal, gamma: 1.5",
            {"train focal", "report"},
        ),
        (
            f"studies/{STUDY}.yaml",
            "shares: {train: 0.6, validation: 0.15, test: 0.25}",
            "shares: {train: 0.5, validation: 0.25, test: 0.25}",
            {"cases cbis_ddsm", "report"},
        ),
        (
            "datasets/twins.yaml",
            "licence: synthetic",
            "licence: synthetic, made up",
            {"report"},
        ),
    ],
)
def test_a_change_reaches_only_the_rules_that_read_it(
    tmp_path: Path, file: str, old: str, new: str, changed: set[str]
) -> None:
    before = _all_leaves(_project(tmp_path / "before"))
    after = _all_leaves(_project(tmp_path / "after", file, old, new))
    assert {key for key in before if before[key] != after[key]} == changed


def test_every_arm_has_its_own_leaves(tmp_path: Path) -> None:
    project = _project(tmp_path)
    arms = project.studies[STUDY].arms
    texts = {json.dumps(leaves.arm_leaves(project, STUDY, arm), sort_keys=True) for arm in arms}
    assert len(texts) == len(arms)


def test_the_name_of_a_store_follows_from_every_field_of_its_recipe() -> None:
    recipe = InputRecipe(size=(64, 48))
    others = {
        "unit": None,
        "patch": {"size_mm": 10.0},
        "mask": "breast",
        "crop": "none",
        "tone": "percentile",
        "size": (48, 64),
        "fit": "stretch",
        "orientation": "as_stored",
    }
    for field in InputRecipe.model_fields:
        if others.get(field) is not None:
            changed = InputRecipe.model_validate({"size": (64, 48), field: others[field]})
            assert leaves.input_name(changed) != leaves.input_name(recipe), field


def test_what_every_job_asks_is_worked_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = _project(tmp_path)
    asked: list[str] = []
    judged_on = ResolvedStudy.judged_on

    def counted(study: ResolvedStudy, arm: str) -> tuple[str, ...]:
        asked.append(arm)
        return judged_on(study, arm)

    monkeypatch.setattr(ResolvedStudy, "judged_on", counted)
    for _job in range(3):
        for dataset in ("cmmd", "dmid"):
            found = audit_leaves.audited_inputs(project, STUDY, [dataset], None)
            assert found[dataset] in leaves.inputs_of(project, dataset)
    assert sorted(asked) == sorted(arm for study in project.studies.values() for arm in study.arms)


def test_an_optional_field_that_is_not_set_is_in_no_key() -> None:
    for record in (InputRecipe(size=(64, 48)), _arm()):
        assert None not in leaves.plain(record).values()


def _arm() -> Arm:
    return Arm.model_validate(
        {
            "name": "one",
            "backbone": "tiny",
            "input": {"size": (64, 48)},
            "training": {"stages": [{"epochs": 1, "lr": 1e-3}]},
        }
    )


def test_the_audit_is_told_where_a_classifier_of_a_file_has_its_thresholds() -> None:
    project = load_project(read_yaml(ROOT / "config" / "paper.yaml"), ROOT)
    found = {
        study: audit_leaves.study_audit_leaves(project, study).get("chosen_on")
        for study in ("cross_sensor", "domain_adaptation")
    }
    assert found == {
        "cross_sensor": None,
        "domain_adaptation": {"film_of_file": "clinic", "baseline_of_file": "clinic"},
    }
