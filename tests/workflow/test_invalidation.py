"""After an edit to a finished study exactly the rules that the edit concerns run again.

The edits are the rows of `validity.py`. Those after which nothing may run are made one after the
other in one copy of the study and planned together, with `.snakemake` and without it: a plan that
is empty after all of them is empty after each, since an edit only ever adds jobs to it. Where it is
not empty, each is planned by itself, so that the row is named. All other rows are planned one by
one; what running shows beside a plan is tested below.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import edits
import pyarrow.parquet as pq
import pytest
from miniature import Project
from validity import AFTER_A_TARGET, AFTER_TRAINING, FREE, PAGE, PARTS, PIXELS, Row, page

pytestmark = pytest.mark.workflow

NOTHING = [row for part in PARTS for row in part.rows if not row.must]
SOMETHING = [row for part in PARTS for row in part.rows if row.must]


def _said(row: Row) -> str:
    return row.done


@pytest.fixture(scope="module")
def planned_after_all(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The rules that would run after all edits of `NOTHING`, with `.snakemake` or without."""
    copy = finished.copy_to(tmp_path_factory.mktemp("all") / "project")
    for row in NOTHING:
        row.edit(copy)
    planned = copy.planned()
    edits.forgotten(copy)
    return planned | copy.planned()


@pytest.mark.parametrize("row", NOTHING, ids=_said)
def test_nothing_runs_after_what_changes_nothing(
    row: Row, planned_after_all: set[str], request: pytest.FixtureRequest
) -> None:
    if planned_after_all:
        project: Project = request.getfixturevalue("project")
        row.edit(project)
        assert project.planned() == set()


def test_no_edit_is_planned_together_that_undoes_another(finished: Project, tmp_path: Path) -> None:
    copy = finished.copy_to(tmp_path / "project")
    row = next(row for part in PARTS for row in part.rows if row.done == "code of a loss")
    for one in [row, *NOTHING]:
        one.edit(copy)
    assert copy.planned() == row.must


@pytest.mark.parametrize("row", SOMETHING, ids=_said)
def test_an_edit_plans_exactly_what_it_concerns(project: Project, row: Row) -> None:
    row.edit(project)
    assert project.planned() == row.must


def test_the_page_lists_these_rows() -> None:
    assert all(not row.must for part in FREE for row in part.rows)
    assert PAGE.read_text(encoding="utf-8") == page()


# -- what the jobs are, and what running them does ------------------------------------------------


def test_a_new_target_is_its_own_jobs(project: Project) -> None:
    edits.study(targets=["mias", "hospital"])(project)
    jobs = project.planned_jobs()
    for rule in ("ingest_dataset", "make_cases", "preprocess_bundle", "score_arm", "audit_lineage"):
        own = [job for job in jobs if job.startswith(f"{rule}:")]
        assert own
        assert all("hospital" in job for job in own), own
    assert sum(job.startswith("score_arm:") for job in jobs) == 2


def test_a_new_arm_is_its_own_jobs(project: Project) -> None:
    edits.new_arm(project)
    jobs = project.planned_jobs()
    assert sum(job.startswith("train_arm:") for job in jobs) == 2
    assert sum(job.startswith("score_arm:") for job in jobs) == 2
    assert all("arm=focal" in j for j in jobs if j.startswith(("train_arm:", "score_arm:")))


def test_a_second_study_with_the_same_inputs_shares_the_pixels(project: Project) -> None:
    edits.second_study(project)
    edits.setting(studies=["config/studies/small.yaml", "config/studies/other.yaml"])(project)
    jobs = project.planned_jobs()
    assert jobs
    others = [job for job in jobs if "study=other" not in job]
    assert len(others) == 1, others
    assert "link_reports" in others[0]


def test_another_version_makes_results_invalid_where_the_setting_says_so(project: Project) -> None:
    edits.other_version(project)
    edits.setting(versions="rerun")(project)
    planned = project.planned()
    assert planned >= AFTER_TRAINING
    assert not planned & PIXELS


def test_a_new_seed_trains_its_runs_and_scores_them_alone(project: Project) -> None:
    edits.study(seeds=[0, 1, 7])(project)
    trained = [job for job in project.planned_jobs() if job.startswith("train_arm:")]
    assert len(trained) == 2
    assert all("seed=7" in job for job in trained)
    executed = project.executed()
    assert executed.count("train_arm") == 2
    assert executed.count("score_arm") == 4
    for text in _logs(project, "small", "score_arm.log"):
        assert text.count("restored") == 2
        assert text.count("seed 7, fold 0: scored") == 1


@pytest.mark.parametrize(
    "change", [edits.new_images, edits.removed_image, edits.changed_image], ids=lambda c: c.__name__
)
def test_other_images_make_their_bundle_alone(
    project: Project, change: Callable[[Project], None]
) -> None:
    change(project)
    assert set(project.executed()) == AFTER_A_TARGET
    bundles = [text for text in _logs(project, "preprocess/mias") if "shards/" in text]
    assert sum("kept" in text for text in bundles) == 2
    assert sum("images stored" in text for text in bundles) == 1
    scored = _logs(project, "small", "score_arm.log")
    assert all("restored" not in text for text in scored if "mias" in text)


def test_a_changed_label_decodes_and_scores_nothing_again_and_is_in_the_tables(
    project: Project,
) -> None:
    table = project.folder / "results" / "small" / "tables" / "metrics.csv"
    before = table.read_bytes()
    edits.changed_label(project)
    assert set(project.executed()) == AFTER_A_TARGET
    assert all("stored" not in text for text in _logs(project, "preprocess/mias"))
    scored = [text for text in _logs(project, "small", "score_arm.log") if "mias" in text]
    assert scored
    assert all("scored" not in text for text in scored)
    assert table.read_bytes() != before
    assert project.planned() == set()


def test_an_adapter_that_finds_the_same_trains_and_scores_nothing_again(project: Project) -> None:
    table = project.folder / "results" / "small" / "tables" / "metrics.csv"
    before = table.read_bytes()
    project.add_code("src/mammoshift/archives/adapter.py")
    project.snakemake()
    trained = _logs(project, "small", "train_arm.log")
    assert len(trained) == 4
    assert all("restored the finished training" in text for text in trained)
    assert all("scored" not in text for text in _logs(project, "small", "score_arm.log"))
    assert all("images stored" not in text for text in _logs(project, "preprocess"))
    assert table.read_bytes() == before


def test_another_number_of_bundles_scores_nothing_again(project: Project) -> None:
    scores = "results/small/plain/mias/predictions.parquet"
    before = (project.folder / scores).read_bytes()
    edits.dataset("mias", bundles=2)(project)
    assert "score_arm" in project.executed(scores)
    (text,) = _logs(project, "small/plain/mias", "score_arm.log")
    assert text.count("restored") == 2
    assert (project.folder / scores).read_bytes() == before


def test_going_back_to_an_earlier_setting_or_a_deleted_model_trains_nothing(
    project: Project,
) -> None:
    model = "results/small/plain/seed-0/fold-0/model.safetensors"
    study = project.folder / "config" / "studies" / "small.yaml"
    first, bytes_of_first = study.read_text(encoding="utf-8"), (project.folder / model).read_bytes()
    log = project.folder / "logs" / "small" / "plain" / "seed-0" / "fold-0" / "train_arm.log"
    edits.arm("plain", training={"batch_size": 4})(project)
    assert project.executed(model) == ["train_arm"]
    assert "restored" not in log.read_text(encoding="utf-8")
    assert (project.folder / model).read_bytes() != bytes_of_first
    study.write_text(first, encoding="utf-8")
    assert project.executed(model) == ["train_arm"]
    assert "restored the finished training" in log.read_text(encoding="utf-8")
    assert (project.folder / model).read_bytes() == bytes_of_first
    assert project.planned() == set()
    (project.folder / model).unlink()
    assert project.executed(model) == ["train_arm"]
    assert "restored the finished training" in log.read_text(encoding="utf-8")
    assert project.planned() == set()


def test_a_damaged_shard_trains_nothing_until_the_command_that_is_named_mends_it(
    project: Project,
) -> None:
    model = "results/small/plain/seed-0/fold-0/model.safetensors"
    log = project.folder / "logs" / "small" / "plain" / "seed-0" / "fold-0" / "train_arm.log"
    kept = sorted((project.folder / "results" / "kept").glob("*/*/entry.json"))
    shard = edits.flipped(project, "results/pixels/cbis_ddsm/*/shards/*/shard.npy")
    damaged = shard.read_bytes()
    edits.arm("plain", training={"batch_size": 4})(project)
    assert project.snakemake(model, check=False).returncode != 0
    said = log.read_text(encoding="utf-8")
    assert f"{shard.relative_to(project.folder)}: the content is not what was written" in said
    assert sorted((project.folder / "results" / "kept").glob("*/*/entry.json")) == kept
    (command,) = re.findall(r"run `(.+)` and again", said)
    subprocess.run(command.split(), cwd=project.folder, check=True)
    project.snakemake(model)
    assert shard.read_bytes() != damaged
    assert (project.folder / model).is_file()


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [
        ("results/pixels/mias/*/shards/*/shard.npy", "score_arm"),
        ("results/pixels/mias/*/shards/*/index.parquet", "score_arm"),
        ("results/small/plain/seed-0/fold-0/model.safetensors", "score_arm"),
    ],
)
def test_flipped_bytes_reach_no_number(project: Project, pattern: str, rule: str) -> None:
    path = edits.flipped(project, pattern)
    done = project.snakemake("--forcerun", rule, check=False)
    assert done.returncode != 0
    assert path.name in done.stdout + done.stderr


def test_densities_of_another_scale_are_not_taken_for_those_of_birads(finished: Project) -> None:
    domains = finished.folder / "results" / "small" / "domains"
    film, source = (
        set(pq.read_table(domains / name / "cases.parquet")["density"].drop_null().to_pylist())
        for name in ("mias", "cbis_ddsm")
    )
    assert film
    assert film <= {"mias_f", "mias_g", "mias_d"}
    assert source
    assert source <= {"a", "b", "c", "d"}


def _logs(project: Project, folder: str, name: str = "*.log") -> list[str]:
    """Return the texts of all logs of one name below a folder."""
    logs = sorted((project.folder / "logs" / folder).rglob(name))
    assert logs
    return [log.read_text(encoding="utf-8") for log in logs]
