"""Every configuration that the documentation shows can be read as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mammoshift.configuration.load import load_project, read_yaml
from mammoshift.configuration.resolved import resolve_study
from mammoshift.configuration.study import Study

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```yaml\n# (?P<what>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(page: str, what: str) -> list[str]:
    """Return the YAML blocks of a page of the documentation whose first line says what they are."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [found["text"] for found in BLOCK.finditer(text) if found["what"] == what]


STUDIES = _blocks("own-study.md", "study")


def _write(folder: Path, name: str, *parts: str) -> Path:
    path = folder / name
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def test_every_yaml_block_of_a_study_is_marked_as_one() -> None:
    text = (ROOT / "docs" / "own-study.md").read_text(encoding="utf-8")
    assert STUDIES
    assert text.count("```yaml") == len(STUDIES)


@pytest.mark.parametrize("number", range(len(STUDIES)))
def test_a_study_of_the_documentation_resolves(tmp_path: Path, number: int) -> None:
    path = _write(tmp_path, "study.yaml", STUDIES[number])
    study = resolve_study("study", Study.model_validate(read_yaml(path)), path.name)
    assert study.trained_runs
    for arm in study.arms:
        assert study.judged_on(arm)


def test_datasets_backbones_and_studies_of_the_documentation_go_together(tmp_path: Path) -> None:
    files = {"datasets": "config/datasets/archives.yaml", "backbones": "config/backbones.yaml"}
    pages = {"datasets": "own-data.md", "backbones": "own-backbone.md"}
    settings: dict[str, object] = {}
    for key, file in files.items():
        shown = _blocks(pages[key], file)
        assert shown
        kept = (ROOT / file).read_text(encoding="utf-8")
        settings[key] = _write(tmp_path, f"{key}.yaml", kept, *shown).name
    studies = [
        _write(tmp_path, f"shown_{number}.yaml", text).name for number, text in enumerate(STUDIES)
    ]
    project = load_project({**settings, "studies": studies}, tmp_path)
    assert len(project.studies) == len(STUDIES)
    assert "our_hospital" in project.used_datasets
    assert "our_encoder" in project.backbones
