"""In one run of the workflow no byte of a result is hashed twice, whatever the number of jobs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import edits
import pytest
from miniature import Project

pytestmark = pytest.mark.workflow

COUNTING = '''"""Note each file that is hashed, in every process of the run."""
import hashlib
import os

_digest = hashlib.file_digest


def file_digest(stream, algorithm, **options):
    """Hash as always, and note what."""
    with open(os.environ["HASHED"], "a", encoding="utf-8") as out:
        out.write(os.path.realpath(stream.name) + "\\n")
    return _digest(stream, algorithm, **options)


hashlib.file_digest = file_digest
'''


def test_no_file_of_the_results_is_hashed_twice_in_a_run(project: Project) -> None:
    source = project.folder / "src"
    (source / "sitecustomize.py").write_text(COUNTING, encoding="utf-8")
    # Small files are hashed by every process that reads them: here none is small.
    project.edit(
        "src/mammoshift/provenance/sums.py", "SMALL_BYTES = 4 * 1024**2", "SMALL_BYTES = 0"
    )
    edits.arm("started", training={"batch_size": 4})(project)
    noted = project.folder / "hashed.txt"
    scores = "results/small/started/mias/predictions.parquet"
    done = project.snakemake(scores, extra={"HASHED": str(noted)})
    assert (done.stdout + done.stderr).count("rule train_arm:") == 2
    results = project.folder / "results"
    counts = Counter(
        path.relative_to(results)
        for line in noted.read_text(encoding="utf-8").splitlines()
        if (path := Path(line)).is_relative_to(results) and path.is_file()
    )
    assert any(path.name == "tiny.safetensors" for path in counts)
    assert {path: count for path, count in counts.items() if count > 1} == {}
