"""The lock file and the conda environment name the same versions."""

from __future__ import annotations

import runpy
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WRITER = runpy.run_path(str(ROOT / "envs" / "write_environment.py"))


def test_the_conda_environment_is_written_from_the_lock() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    written = (ROOT / "envs" / "mammoshift.yaml").read_text(encoding="utf-8")
    assert written == WRITER["environment"](WRITER["locked_versions"](lock))
    assert "torch==" in written
    assert "pytest" not in written


def test_this_environment_is_the_locked_one() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = WRITER["locked_versions"](lock)
    for name in ("torch", "torchvision", "timm", "snakemake", "pulp", "pydicom", "pandas"):
        assert version(name).split("+")[0] == locked[name]
