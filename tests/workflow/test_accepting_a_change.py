"""A change that a person accepts reruns nothing but the report, which prints the reason."""

from __future__ import annotations

import json

import pytest
from miniature import Project

pytestmark = pytest.mark.workflow

LOSSES = "src/mammoshift/training/losses/bce.py"
BECAUSE = "a factor of one changes no number"


def test_an_accepted_change_reruns_nothing_and_the_next_one_does(project: Project) -> None:
    project.edit(LOSSES, "    return ", "    return 1.0 * ")
    none = project.mammoshift("accept", "results/small/tables", "--because", BECAUSE)
    assert none.returncode == 1
    assert "nothing to accept" in none.stderr
    done = project.mammoshift("accept", "train_arm", "--because", BECAUSE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accepted: `") == 4
    content = json.loads((project.folder / "results" / "accepted.json").read_text("utf-8"))
    first = content["accepted"][0]
    assert (first["rule"], first["because"]) == ("train_arm", BECAUSE)
    assert LOSSES in first["changes"][0]
    assert project.planned() == {"report_study"}
    project.snakemake()
    page = (project.folder / "results/small/report/index.html").read_text(encoding="utf-8")
    assert BECAUSE in page
    assert first["when"] in page
    assert project.planned() == set()
    project.edit(LOSSES, "    return 1.0 * ", "    return 2.0 * ")
    assert "train_arm" in project.planned()
