"""What results were made from lies beside them: without `.snakemake` every edit is still seen."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import edits
import pytest
from miniature import Project, write_weights

from mammoshift.provenance.keys import key_file, read_key, write_key

pytestmark = pytest.mark.workflow

LOSSES = "src/mammoshift/training/losses/bce.py"


def _forget(project: Project) -> None:
    shutil.rmtree(project.folder / ".snakemake")


def _why(project: Project, *arguments: str) -> list[str]:
    done = project.mammoshift("why", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_results_that_were_copied_without_their_times_rerun_nothing(project: Project) -> None:
    _forget(project)
    files = sorted(path for path in (project.folder / "results").rglob("*") if path.is_file())
    random.Random(0).shuffle(files)
    for second, path in enumerate(files):
        os.utime(path, (1.8e9 + second, 1.8e9 + second))
    assert _why(project) == ["Nothing would run: every result is present and up to date."]


def test_a_loss_and_a_seed_are_named_and_run_their_jobs_alone(project: Project) -> None:
    _forget(project)
    project.edit(LOSSES, "    return ", "    return 1.0 * ")
    project.edit_study(lambda study: study.update(seeds=[0, 1, 7]))
    lines = _why(project)
    (loss,) = [line for line in lines if LOSSES in line]
    assert loss.startswith("train_arm (4 jobs) would run: `")
    assert " changed (" in loss
    (first,) = [line for line in lines if line.endswith("would run: for the first time.")]
    assert "train_arm (2 jobs)" in first
    assert any("score_arm" in line and "runs gained" in line for line in lines)
    assert not any("ingest_dataset" in line or "preprocess" in line for line in lines)
    assert lines[-1].startswith("At stake: ")
    assert " new, taken as the mean of their rule)" in lines[-1]


def test_a_leaf_files_from_outside_and_a_deleted_output_are_named(project: Project) -> None:
    _forget(project)
    project.edit_study(
        lambda study: study["arms"]["plain"].update(training={"batch_size": 4}),
    )
    film = sorted((project.folder / "archives" / "mias").rglob("*.pgm"))[3]
    content = bytearray(film.read_bytes())
    content[-50] ^= 1
    film.write_bytes(content)
    write_weights(project.folder / "weights" / "tiny.safetensors", seed=1)
    (project.folder / "results/small/report/index.html").unlink()
    lines = _why(project, "--configfile", "config/config.yaml")
    assert "train_arm (2 jobs) would run: arm.training.batch_size was 8 and is 4." in lines
    (replaced,) = [line for line in lines if line.startswith("ingest_dataset would run: ")]
    assert replaced.startswith("ingest_dataset would run: replaced in archives/mias: ")
    assert film.name in replaced
    assert (
        "convert_weights would run: the file weights/tiny.safetensors has another content." in lines
    )
    assert any(
        line.startswith("report_study would run: deleted: results/small/report/index.html")
        for line in lines
    )


def test_results_of_others_and_without_a_key_are_named_by_why_and_verify(project: Project) -> None:
    edits.seeds_exchanged(project)
    results = project.folder / "results"
    model = results / "small/started/seed-0/fold-0/model.safetensors"
    key = read_key(key_file(model), results)
    assert key is not None
    elsewhere = [
        (path, "sha256:0" if path.endswith("cases.parquet") else value)
        for path, value in key.inputs
    ]
    write_key(replace(key, inputs=elsewhere), results)
    table = results / "small/tables/metrics.csv"
    key_file(table).unlink()
    _forget(project)
    lines = _why(project)
    for other in (0, 1):
        said = f"was written as small/plain/seed-{other}/fold-0/model.safetensors by train_arm ("
        assert any(line.startswith("train_arm would run: ") and said in line for line in lines)
    said = "train_arm would run: it was made from another content than lies in results/small/"
    (foreign,) = [line for line in lines if line.startswith(said)]
    assert "cases.parquet (of make_cases (study=small, domain=" in foreign
    assert any(line.startswith("evaluate_study would run: its results carry no") for line in lines)
    done = project.mammoshift("verify")
    assert done.returncode == 1
    for path, problem in (
        ("small/plain/seed-0/fold-0/model.json", "was written as small/plain/seed-1/fold-0/model"),
        ("small/started/seed-0/fold-0/model.safetensors", "was made from another results/small/"),
        ("small/tables/metrics.csv", "carries no key: nobody knows what it was made from"),
    ):
        assert f"results/{path}: {problem}" in done.stdout


def test_a_target_or_a_configuration_that_is_not_there_is_an_error(project: Project) -> None:
    for arguments in (["nonsense.txt"], ["--configfile", "config/none.yaml"]):
        done = project.mammoshift("why", *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(f"Error: {arguments[-1]}: ")
        assert len(done.stderr.splitlines()) == 1


def test_a_job_whose_code_was_edited_after_planning_writes_nothing(project: Project) -> None:
    """What `git pull` during a run does: jobs that have not started would run other code."""
    model = project.folder / "results/small/plain/seed-0/fold-0/model.safetensors"
    model.unlink()
    edit = f"Path({LOSSES!r}).write_text(Path({LOSSES!r}).read_text() + '\\nset().clear()\\n')"
    rules = "rules/common.smk"
    # Called when all is planned and nothing has started.
    project.edit(rules, "def check_planned():\n", f"def check_planned():\n    {edit}\n")
    target = str(model.relative_to(project.folder))
    done = project.snakemake(target, "--retries", "1", check=False)
    assert done.returncode
    # Snakemake starts it again as if it had failed, and it ends again before its work.
    message = "Error: the code of train_arm.py changed while the study ran"
    assert done.stderr.count(message) == 2
    (log,) = project.folder.glob("logs/small/plain/seed-0/fold-0/train_arm.log")
    assert log.read_text().startswith(message)
    assert not model.exists()


def test_a_job_elsewhere_whose_parameters_were_edited_after_planning_writes_nothing(
    project: Project,
) -> None:
    """Jobs on a cluster read the configuration anew, and others of it may change no result."""
    plain, started = (
        f"results/small/{arm}/seed-0/fold-0/model.json" for arm in ("plain", "started")
    )
    before = (project.folder / plain).read_bytes()
    for record in (plain, started):
        (project.folder / record).unlink()
    kept = sorted(project.folder.glob("results/kept/??/*"))
    study = project.folder / "config/studies/small.yaml"
    planned = study.read_text()
    edits.study(title="Another title")(project)
    edits.arm("started", training={"batch_size": 4})(project)
    study.rename(project.folder / "edited.yaml")
    study.write_text(planned)
    # Called when all is planned and nothing has started.
    edit = 'Path("edited.yaml").replace("config/studies/small.yaml")'
    before_all = "def check_planned():\n"
    project.edit("rules/common.smk", before_all, f"{before_all}    {edit}\n")
    library = project.environment()["PYTHONPATH"]
    path = os.pathsep.join([library, str(Path(__file__).with_name("executors"))])
    apart = ("--executor", "apart", "--jobs", "2", "--seconds-between-status-checks", "1")
    done = project.snakemake(
        *apart, "--keep-going", plain, started, extra={"PYTHONPATH": path}, check=False
    )
    assert done.returncode
    log = project.folder / "logs/small/started/seed-0/fold-0/train_arm.log"
    assert "train_arm: arm: not what was planned" in log.read_text()
    assert not (project.folder / started).exists()
    assert sorted(project.folder.glob("results/kept/??/*")) == kept
    assert (project.folder / plain).read_bytes() == before
