"""A rule sees only what it reads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mammoshift.configuration import leaves
from mammoshift.configuration.load import Project, load_project, read_yaml

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
    name = leaves.input_name(project.arms[STUDY]["resnet"].input)
    stages = ("calibrate", "evaluate", "compare", "combine")
    return {
        "twin cmmd": leaves.twin_leaves(project, "cmmd"),
        "ingest cmmd": leaves.ingest_leaves(project, "cmmd"),
        "preprocess cmmd": leaves.recipe_leaves(project, "cmmd", name),
        "preprocess dmid": leaves.recipe_leaves(project, "dmid", name),
        "split": leaves.source_leaves(project, STUDY),
        "train resnet": leaves.arm_leaves(project, STUDY, "resnet"),
        "train efficientnet": leaves.arm_leaves(project, STUDY, "efficientnet"),
        "infer resnet": leaves.scoring_leaves(project, STUDY, "resnet"),
        **{stage: leaves.evaluation_leaves(project, STUDY, stage) for stage in stages},
        "report": leaves.report_leaves(project, STUDY),
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
            {"preprocess cmmd"},
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
            {"evaluate", "report"},
        ),
    ],
)
def test_a_change_reaches_only_the_rules_that_read_it(
    tmp_path: Path, file: str, old: str, new: str, changed: set[str]
) -> None:
    before = _all_leaves(_project(tmp_path / "before"))
    after = _all_leaves(_project(tmp_path / "after", file, old, new))
    assert {key for key in before if before[key] != after[key]} == changed
