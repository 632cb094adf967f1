"""How much of the demo is interpreter starts, imports and interpreter ends.

The demo runs in a scratch copy of the working tree, in which every Python process notes what it
imports. Each process is then repeated without its work: one that starts and ends as a job does
and imports the same modules, as many of them at one time as there are cores. The sum over all
processes of the run is set against the processor time that the run had at its disposal, its wall
time times the number of cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scratch import copy_project

NOTE_IMPORTS = """
import os, sys
names = open({folder!r} + f"/{{os.getpid()}}", "w", buffering=1)
names.write(" ".join(sys.orig_argv)[:400].replace("\\n", " ") + "\\n")
def note(event, arguments):
    if event == "import" and arguments[0] != "sitecustomize" and not names.closed:
        names.write(arguments[0] + "\\n")
sys.addaudithook(note)
"""
REPEAT_IMPORTS = """
import importlib, sys
def bring(names):
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
names = open({names!r}).read().split("\\n")[1:-1]
if {job}:
    from mammoshift.execution.job import job_log
    with job_log({names!r} + ".log"):
        bring(names)
else:
    bring(names)
"""
REPEATS = 3
LIMIT = 0.25


def run_demo(folder: Path, notes: Path, cores: int) -> float:
    """Run the demo, each process noting its imports in `notes`; return the wall time in seconds."""
    copy_project(folder)
    hooks = folder / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(NOTE_IMPORTS.format(folder=str(notes)))
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", str(cores)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{hooks}:{folder / 'src'}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - begin
    if done.returncode:
        sys.exit(done.stdout[-4000:] + done.stderr[-4000:])
    return wall


def seconds_without_work(names: Path, job: bool, cores: int) -> float:
    """Return the seconds of a process that imports the noted modules, its starts among them."""
    script = REPEAT_IMPORTS.format(names=str(names), job=job)
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        copies = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(cores)]
        for copy in copies:
            if copy.wait():
                sys.exit(f"the imports of {names.read_text().splitlines()[0]} failed")
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main() -> None:
    """Run the demo and print the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    cores = parser.parse_args().cores
    with tempfile.TemporaryDirectory() as scratch:
        folder, notes = Path(scratch) / "demo", Path(scratch) / "imports"
        notes.mkdir()
        wall = run_demo(folder, notes, cores)
        kinds: dict[str, list[Path]] = {}
        for path in sorted(notes.iterdir()):
            command = path.read_text().split("\n", 1)[0]
            script = command.rsplit(".snakemake/scripts/", 1)
            kind = script[1].split(".")[1] if len(script) == 2 else "other"
            kinds.setdefault(kind, []).append(path)
        total = 0.0
        print("process               number  seconds each without work")
        for kind, paths in kinds.items():
            # The processes of one kind import alike; the longest list stands for all of them.
            longest = max(paths, key=lambda path: path.stat().st_size)
            each = seconds_without_work(longest, kind != "other", cores)
            total += each * len(paths)
            print(f"{kind:20} {len(paths):8} {each:8.2f}")
    share = total / (cores * wall)
    print(f"demo: {wall:.0f} s wall on {cores} cores; processes without work: {total:.0f} s")
    print(f"share of the processor time of the run: {share:.3f} (limit {LIMIT})")


if __name__ == "__main__":
    main()
