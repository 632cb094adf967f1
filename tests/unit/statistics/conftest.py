"""Fixtures of the statistics tests."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def simulation(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The script of `benchmarks/` that the test's module names as `SIMULATION`."""
    name = request.module.SIMULATION
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture
def reference_folder() -> Path:
    """Folder of the committed reference values and the scripts that rebuild them."""
    return Path(__file__).parents[2] / "reference"


@pytest.fixture
def run_r(reference_folder: Path) -> Callable[..., None]:
    """Run a script of the reference folder in R, or skip where R or its package is absent."""

    def run(script: str, package: str, *arguments: Path) -> None:
        if shutil.which("Rscript") is None:
            pytest.skip("R is not installed; the committed values are tested without it")
        question = f"q(status = !requireNamespace('{package}', quietly = TRUE))"
        if subprocess.run(["Rscript", "-e", question], check=False, capture_output=True).returncode:
            pytest.skip(f"the R package {package} is not installed")
        command = ["Rscript", str(reference_folder / script), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True)

    return run
