"""How a rule's script ends: its exit code, its log and what still runs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[3] / "workflow" / "scripts").glob("*.py"))


def _run(folder: Path, body: str) -> tuple[int, str]:
    log = folder / "logs" / "job.log"
    lines = [
        "import atexit, os",
        "from mammoshift.errors import TableError",
        "from mammoshift.execution.job import job_log",
        f"with job_log({str(log)!r}):",
        *(f"    {line}" for line in body.splitlines()),
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False)
    return done.returncode, log.read_text(encoding="utf-8")


def test_a_job_that_succeeds_leaves_all_its_output_in_the_log(tmp_path):
    code, log = _run(tmp_path, "print('by Python')\nos.system('echo by a program')")
    assert code == 0
    assert sorted(log.splitlines()) == ["by Python", "by a program"]


def test_handlers_of_the_libraries_run_at_the_end_of_a_job(tmp_path):
    code, log = _run(tmp_path, "atexit.register(print, 'cleaned up')")
    assert (code, log) == (0, "cleaned up\n")


def test_a_known_error_ends_the_job_with_its_message_alone(tmp_path):
    code, log = _run(tmp_path, "raise TableError('labels.csv: row 3: no label')")
    assert (code, log) == (1, "Error: labels.csv: row 3: no label\n")


def test_an_interrupted_training_ends_as_its_signal_would(tmp_path):
    body = "from mammoshift.execution.interruption import TrainingInterrupted\n"
    code, log = _run(tmp_path, f"{body}raise TrainingInterrupted('epoch 3 is saved', 15)")
    assert (code, log) == (143, "Error: epoch 3 is saved\n")


def test_any_other_error_keeps_its_traceback(tmp_path):
    code, log = _run(tmp_path, "1 / 0")
    assert code == 1
    assert log.startswith("Traceback")
    assert log.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_nothing_follows_the_job_in_a_script(script):
    """What came after would fail unseen, since a job that has succeeded leaves with code 0."""
    last = ast.parse(script.read_text(encoding="utf-8")).body[-1]
    assert isinstance(last, ast.With)
    assert ast.unparse(last.items[0]).startswith("running(snakemake")
