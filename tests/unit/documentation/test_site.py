"""The documentation as a site: every page is in it, and no link leaves it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def _listed(entries: list) -> list[str]:
    found = []
    for entry in entries:
        (value,) = entry.values()
        found += _listed(value) if isinstance(value, list) else [value]
    return found


def test_every_page_is_in_the_contents_once() -> None:
    listed = _listed(SITE["nav"])
    named = [page.relative_to(DOCS).as_posix() for page in PAGES]
    # Reports to other projects are pages without a place in the contents.
    assert sorted(listed) == [name for name in named if not name.startswith("upstream/")]
    decisions = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    for page in (DOCS / "decisions").glob("0*.md"):
        assert f"]({page.name})" in decisions


def test_no_page_asks_for_a_script_from_elsewhere() -> None:
    assert SITE["theme"]["highlightjs"] is False
    assert not {"extra_javascript", "extra_css", "plugins"} & set(SITE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_of_a_page_stay_inside_the_site_and_lead_to_a_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)]*)?\)", text):
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.is_file(), target
        assert path.is_relative_to(DOCS), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor[1:] in slugs, anchor


@pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None,
    reason="mkdocs is not installed (docs/requirements.txt)",
)
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "own-data" / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link)[^>]*(?:src|href)=\"https?:[^>]*>", page)
