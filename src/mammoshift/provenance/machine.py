"""What a process computes on: names of its processor and its GPUs, none of a host or a user.

Standard library only.
"""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

_CPU_FILE = Path("/proc/cpuinfo")
_LONGEST = 80


def machine() -> str:
    """Return the processor with the cores that this process may use, and the GPUs it has used."""
    cores = usable_cores()
    said = f"{processor()}, {cores} {'core' if cores == 1 else 'cores'}"
    return "; ".join([said, *_gpus()])


@cache
def processor() -> str:
    """Return the model name of the processor, its architecture where none is known."""
    try:
        lines = _CPU_FILE.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return " ".join((next(named, "") or platform.machine() or "unknown").split())[:_LONGEST]


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpus() -> list[str]:
    """Return the names of the GPUs that torch has used in this process, each with its number."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return []
    names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
    counts = {name: names.count(name) for name in names}
    return [name if count == 1 else f"{count} x {name}" for name, count in counts.items()]
