"""Another workflow uses this one as a module, with studies and datasets in its own folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from miniature import DATASETS, SETTINGS, STUDY, Project, create_project

pytestmark = pytest.mark.workflow

SNAKEFILE = """
configfile: "mine.yaml"


module mammoshift:
    snakefile:
        "{project}/Snakefile"
    config:
        config


use rule * from mammoshift
"""


def _write(folder: Path, file: str, content: object) -> None:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def test_files_are_taken_from_the_folder_that_names_them_and_then_from_this_project(
    tmp_path: Path,
) -> None:
    used = create_project(tmp_path / "mammoshift")
    mine = tmp_path / "mine"
    settings = {
        **SETTINGS,
        "studies": ["studies/ours.yaml"],
        "datasets": "datasets.yaml",
        "archives": str(used.folder / "archives"),
        "weights": str(used.folder / "weights"),
    }
    _write(mine, "mine.yaml", settings)
    _write(mine, "studies/ours.yaml", {**STUDY, "seeds": [3]})
    _write(mine, "datasets.yaml", DATASETS)
    (mine / "Snakefile").write_text(SNAKEFILE.format(project=used.folder), encoding="utf-8")
    done = Project(mine).snakemake(
        "--dry-run", "--quiet", "rules", extra={"PYTHONPATH": str(used.folder / "src")}
    )
    rows = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    counts = {row[0]: row[1] for row in rows if len(row) == 2}
    assert counts["train_arm"] == "2"
    assert counts["score_arm"] == "4"
    assert counts["report_study"] == "1"
