"""Losses among few patients, by the script that makes the table of docs."""

from __future__ import annotations

import math

import pytest

pytestmark = pytest.mark.slow

SIMULATION = "failing_losses"
REPETITIONS = 500


@pytest.mark.parametrize(
    ("name", "least", "most", "passes"),
    [
        ("auc", 0.93, 0.985, 0.03),
        ("seeds", 0.93, 0.985, 0.04),
        ("rates", 0.93, 0.985, 0.035),
        ("differences", 0.93, 0.97, 0.035),
        ("other scores", 0.93, 0.985, 0.04),
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
