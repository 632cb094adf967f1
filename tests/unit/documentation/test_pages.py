"""The pages say what the code says: messages, links, commands, versions."""

from __future__ import annotations

import csv
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from mammoshift.commands.main import app

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
OF_OTHERS = (
    "snakemake: command not found",
    "FileNotFoundError",
    "--configfile",
    "Directory cannot be locked",
    "operator torchvision::nms does not exist",
    "Killed",
    "SLURM status is: 'OUT_OF_MEMORY'",
)
"""What the shell, Snakemake, torchvision and SLURM say."""


_JOINED = re.compile(r"[\"']\s*\n\s*f?[\"']")


def _messages() -> list[str]:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (.+)$", text, re.MULTILINE)
    return [message for heading in headings for message in re.findall(r"`([^`]+)`", heading)]


@pytest.fixture(scope="module")
def sources() -> str:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "rules").glob("*.smk")]
    return "\n".join(_JOINED.sub("", path.read_text(encoding="utf-8")) for path in files)


def test_every_message_of_the_page_is_one_of_the_code(sources: str) -> None:
    messages = _messages()
    assert len(messages) > 30
    unknown = [one for one in messages if one not in OF_OTHERS and one not in sources]
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path = (page.parent / target).resolve()
        assert path.exists(), target


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


def test_every_command_that_is_named_exists() -> None:
    known = {command.name or command.callback.__name__ for command in app.registered_commands}  # pyright: ignore
    known |= {group.name for group in app.registered_groups}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"`mammoshift ([a-z][a-z-]*)", text):
            assert name in known, f"{page.name}: mammoshift {name}"


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {version['version']}" in changelog


def test_the_mean_effect_of_the_mask_is_that_of_the_rows_of_its_table() -> None:
    folder = ROOT / "docs" / "results" / "cem_mask_real_images"
    with (folder / "comparisons.csv").open(encoding="utf-8") as file:
        effects = [float(row["Difference (95% CI)"].split()[0]) for row in csv.DictReader(file)]
    assert len(effects) == 5
    said = f"| mean of the five | | | {sum(effects) / 5:+.3f} "
    assert said in (folder / "README.md").read_text(encoding="utf-8")
