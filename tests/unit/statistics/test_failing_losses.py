"""Losses among few patients, by the script that makes the table of docs."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "failing_losses.py"
REPETITIONS = 500


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location("failing_losses", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize(
    ("name", "least", "most", "passes"),
    [
        ("auc", 0.93, 0.98, 0.035),
        ("seeds", 0.93, 0.97, 0.04),
        ("rates", 0.93, 0.985, 0.035),
        ("differences", 0.93, 0.97, 0.035),
        ("other scores", 0.91, 0.975, 0.055),
    ],
)
def test_losses_among_few_patients(simulation, name, least, most, passes):
    rows = list(simulation.EXPERIMENTS[name](REPETITIONS))
    after = [row for row in rows if row.method == "after"]
    assert len(after) >= 9
    for row in after:
        # Half of the repetitions where every one of them is a bootstrap.
        runs = REPETITIONS // 2 if "% specificity" in row.setting else REPETITIONS
        noise = 3.0 * math.sqrt(0.05 * 0.95 / runs)
        assert least - noise <= row.coverage <= most + noise, row
        assert row.passed <= passes + 3.0 * math.sqrt(0.035 / runs), row
    before = [row for row in rows if row.method == "before"]
    if name != "differences":
        assert max(row.passed for row in before) > 0.07
