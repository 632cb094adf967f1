from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from mammoshift.execution.allocator import SETTINGS

STEPS = """
import resource
import numpy as np
{setting}
def step():
    for _ in range(5):
        buffers = [np.ones(2_000_000, dtype=np.uint8) for _ in range(8)]
        del buffers
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
KEPT = "from mammoshift.execution.allocator import keep_freed_memory\nassert keep_freed_memory()"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_pages_of_freed_buffers_are_not_asked_for_again() -> None:
    faults = []
    environment = {name: v for name, v in os.environ.items() if name not in SETTINGS}
    for setting in ("", KEPT):
        script = STEPS.format(setting=setting)
        run = subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        faults.append(int(run.stdout))
    assert faults[0] > 5 * 8 * 400
    assert faults[1] < 100
