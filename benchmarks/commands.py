"""Processor seconds of the commands on a million rows, and their ratio to one sort.

    python benchmarks/commands.py [--cases 1000000]

`compare` gets two arms, `operating-point` and `calibrate` one, with two images of each patient.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit


def table(seed: int, cases: int, arms: tuple[str, ...]) -> pd.DataFrame:
    """Return predictions of `arms` on the same cases."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.5, 1.5, cases)
    labels = (rng.random(cases) < expit(true)).astype(int)
    parts = [
        pd.DataFrame(
            {
                "case_id": np.arange(cases) + seed * cases,
                "patient_id": np.arange(cases) // 2 + seed * cases,
                "label": labels,
                "arm": arm,
                "score": true + 0.5 * rng.normal(size=cases),
            }
        )
        for arm in arms
    ]
    return pd.concat(parts)


def main() -> None:
    """Write the tables, run each command by itself and print its seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    cases = parser.parse_args().cases
    values = np.random.default_rng(0).normal(size=cases)
    start = time.process_time()
    np.sort(values)
    sort = time.process_time() - start
    print(f"one sort of {cases} numbers: {sort:.3f} s")
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(Path(folder) / f"{name}.parquet") for name in ("two", "one", "other")}
        table(0, cases, ("a", "b")).to_parquet(paths["two"])
        table(1, cases, ("a",)).to_parquet(paths["one"])
        table(2, cases, ("a",)).to_parquet(paths["other"])
        for arguments in (
            ("compare", paths["two"]),
            ("operating-point", paths["one"], "--threshold-from", paths["other"]),
            ("calibrate", paths["one"]),
            ("calibrate", paths["one"], "--fit-on", paths["other"]),
        ):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            program = "from mammoshift.commands.main import run; run()"
            subprocess.run(
                [sys.executable, "-c", program, *arguments], check=True, stdout=subprocess.DEVNULL
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            shown = " ".join(Path(a).name if "/" in a else a for a in arguments)
            print(f"{shown:55s} {seconds:6.1f} s, {seconds / sort:6.0f} sorts", flush=True)


if __name__ == "__main__":
    main()
