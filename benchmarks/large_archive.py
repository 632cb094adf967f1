"""A rehearsal of an archive of many images: dry runs, ingestion and preprocessing, as a user runs.

The images are tiny (64 x 48), each another one, and lie in folders of a thousand with one table.
What grows with their number is then all that is measured: listing, hashing, tables, shards,
receipts and planning, and not the decoder. `--images 500000` is the largest real archive.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import yaml

from scratch import copy_project

FIRST, LATER, MEBIBYTES = 10.0, 5.0, 300.0
SIZE = (64, 48)


def write_archive(folder: Path, images: int, rng: np.random.Generator) -> None:
    """Write images, two for each patient, and their table."""
    folder.mkdir(parents=True)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    inside = (((rows - 32) / 26) ** 2 + (columns / 38) ** 2 < 1.0)[..., None]
    lines = []
    for start in range(0, images, 1000):
        part = folder / "images" / f"{start // 1000:04d}"
        part.mkdir(parents=True)
        noise = rng.integers(90, 200, (*SIZE, 1000), dtype=np.uint8) * inside
        for i in range(start, min(start + 1000, images)):
            path = part / f"{i:06d}.png"
            cv2.imwrite(str(path), np.ascontiguousarray(noise[..., i - start]))
            finding = "cancer" if (i // 2) % 5 == 0 else "normal"
            lines.append((path.relative_to(folder), f"p{i // 2:06d}", "LR"[i % 2], finding))
    with (folder / "images.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "patient", "side", "finding"))
        table.writerows(lines)


def write_configuration(project: Path, archive: Path, bundles: int) -> None:
    """Write the configuration as `mammoshift init` does, with bundles and an input as small."""
    command = ("init", str(archive), "--name", "large", "--positive", "cancer")
    done = subprocess.run(
        [sys.executable, "-c", "from mammoshift.commands.main import app; app()", *command],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    path = project / "config/large/datasets.yaml"
    datasets = yaml.safe_load(path.read_text("utf-8"))
    datasets["large"]["bundles"] = bundles
    path.write_text(yaml.safe_dump(datasets), encoding="utf-8")
    path = project / "config/large/large.yaml"
    study = path.read_text("utf-8").replace("size: [192, 128]", f"size: {list(SIZE)}")
    path.write_text(study, encoding="utf-8")


def snakemake(project: Path, *arguments: str) -> tuple[float, float, str]:
    """Return wall time, the largest memory of a process in MiB, and what was printed."""
    meter = (
        "import resource, subprocess, sys; "
        "code = subprocess.run(sys.argv[1:]).returncode; "
        "print('LARGEST', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    command = ["-m", "snakemake", *arguments, "--cores", "2"]
    command += ["--configfile", "config/large/config.yaml"]
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", meter, sys.executable, *command],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - begin
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    largest = next(line for line in done.stdout.splitlines() if line.startswith("LARGEST"))
    return wall, int(largest.split()[1]) / 1024, done.stdout + done.stderr


def main() -> None:
    """Print the figures of each step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--bundles", type=int, default=8)
    parser.add_argument("--dry", action="store_true", help="dry runs alone")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        project, archive = Path(scratch, "project"), Path(scratch, "archives", "site")
        copy_project(project)
        begin = time.perf_counter()
        write_archive(archive, chosen.images, np.random.default_rng(0))
        print(f"{chosen.images} images written in {time.perf_counter() - begin:.0f} s", flush=True)
        write_configuration(project, archive, chosen.bundles)
        for name, limit in (("first dry run", FIRST), ("later dry run", LATER)):
            wall, memory, _ = snakemake(project, "--dry-run")
            print(
                f"{name}: {wall:.1f} s (limit {limit:g} at 100,000), "
                f"{memory:.0f} MiB (limit {MEBIBYTES:g})",
                flush=True,
            )
        if chosen.dry:
            return
        for name, targets in (
            ("ingestion", ["results/large/datasets/large/manifest.parquet"]),
            ("preprocessing", ["--until", "collect_bundles"]),
            ("preprocessing again", ["--until", "collect_bundles"]),
        ):
            wall, memory, text = snakemake(project, *targets)
            jobs = sum("of" in line and line.startswith("[") for line in text.splitlines())
            print(
                f"{name}: {wall:.0f} s, {chosen.images / wall:.0f} images/s, largest process "
                f"{memory:.0f} MiB, {jobs} jobs",
                flush=True,
            )
        wall, memory, _ = snakemake(project, "--dry-run")
        print(f"dry run of the rest: {wall:.1f} s, {memory:.0f} MiB")
        folders = sum(path.is_dir() for path in (project / "results/large/pixels").rglob("*"))
        print(f"folders of arrays: {folders}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process of all {peak:.0f} MiB")


if __name__ == "__main__":
    main()
