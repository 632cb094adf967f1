"""What an arm's settings choose by name, and nothing else, is in the key of its code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from mammoshift.configuration import choices
from mammoshift.configuration.load import Project, load_project, read_yaml
from mammoshift.configuration.model import InputRecipe
from mammoshift.registry import load, names_in

ROOT = Path(__file__).resolve().parents[3]
ARMS = {
    "plain": {"backbone": "tiny_resnet"},
    "focal": {"backbone": "tiny_resnet", "loss": {"name": "focal"}, "head": {"kind": "mlp"}},
    "searched": {
        "backbone": "tiny_resnet",
        "search": {"space": {"loss.name": {"choices": ["bce", "focal"]}}},
    },
    "applied": {"initialisation": {"arm": "focal"}, "training": {"stages": []}},
    "mix": {"kind": "covariates", "columns": ["density"]},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("choices")
    shutil.copytree(ROOT / "config", folder / "config")
    study = {
        "title": "Choices",
        "source": {"dataset": "cbis_ddsm"},
        "seeds": [0],
        "arms": ARMS,
        "training": {"stages": [{"epochs": 1, "lr": 1.0e-3}]},
        "input": {"size": [64, 48]},
    }
    (folder / "config" / "choices.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    settings = read_yaml(folder / "config" / "config.yaml")
    return load_project({**settings, "studies": ["config/choices.yaml"]}, folder)


def _chosen(names: tuple[str, ...], package: str) -> set[str]:
    prefix = f"mammoshift.{package}."
    return {n.removeprefix(prefix).partition(":")[0] for n in names if n.startswith(prefix)}


@pytest.mark.parametrize(
    ("arm", "losses", "heads"),
    [
        ("plain", {"bce"}, {"linear"}),
        ("focal", {"focal"}, {"mlp"}),
        ("searched", {"bce", "focal"}, {"linear"}),
        ("mix", set(), set()),
    ],
)
def test_an_arm_trains_with_the_loss_and_the_head_that_it_names(
    project: Project, arm: str, losses: set[str], heads: set[str]
) -> None:
    found = choices.of_training(project.studies["choices"].arms[arm])
    assert _chosen(found, "training.losses") == losses
    assert _chosen(found, "models.heads") == heads


def test_an_arm_that_applies_another_is_scored_with_that_ones_head(project: Project) -> None:
    found = choices.of_models(project.studies["choices"], "applied")
    assert _chosen(found, "models.heads") == {"mlp"}
    assert _chosen(found, "training.losses") == set()


def test_a_recipe_is_followed_with_its_own_tone_and_mask() -> None:
    found = choices.of_recipe(InputRecipe(size=(64, 48), tone="film_log", mask="breast"))
    assert _chosen(found, "imaging.tones") == {"film_log"}
    assert _chosen(found, "imaging.masks") == {"breast"}


@pytest.mark.parametrize("package", choices.OFFERED)
def test_every_choice_offers_what_its_package_says(package: str) -> None:
    for name in names_in(package):
        module = load(package, name)
        public = {n for n in choices.OFFERED[package] if hasattr(module, n)}
        assert public == set(choices.OFFERED[package]), name
