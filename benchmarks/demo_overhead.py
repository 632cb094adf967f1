"""How much of the demo is interpreter starts and imports.

The demo runs in a scratch copy of the working tree with Python's import timing switched on in
every process. The sum of all import times and interpreter starts is set against the processor
time that the run had at its disposal: its wall time times the number of cores.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "rules", "workflow", "src", "config", "envs", "profiles")
IMPORT = re.compile(r"^import time:\s+(\d+) \|", re.MULTILINE)
SITE = re.compile(r"^import time:.*\| site$", re.MULTILINE)
LIMIT = 0.25


def interpreter_start() -> float:
    """Return the seconds of one interpreter start without imports of ours, the median of nine."""
    times = []
    for _ in range(9):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", ""], check=True)
        times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2]


def main() -> None:
    """Run the demo and print the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    cores = parser.parse_args().cores
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("*.egg-info"))
            else:
                shutil.copy2(source, folder / part)
        environment = {
            **os.environ,
            "PYTHONPATH": str(folder / "src"),
            "PYTHONPROFILEIMPORTTIME": "1",
            "OMP_NUM_THREADS": "1",
        }
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", str(cores)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.perf_counter() - begin
        if done.returncode:
            sys.exit(done.stdout[-4000:] + done.stderr[-4000:])
        logs = [path.read_text(encoding="utf-8") for path in (folder / "logs").rglob("*.log")]
    text = "\n".join([done.stderr, *logs])
    processes = len(SITE.findall(text))
    imports = sum(int(found) for found in IMPORT.findall(text)) / 1e6
    starts = processes * interpreter_start()
    share = (imports + starts) / (cores * wall)
    print(f"demo: {wall:.0f} s wall on {cores} cores, {processes} Python processes")
    print(f"imports {imports:.0f} s, interpreter starts {starts:.1f} s")
    print(f"share of the processor time of the run: {share:.3f} (limit {LIMIT})")


if __name__ == "__main__":
    main()
