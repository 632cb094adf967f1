"""Dry runs of a study on an archive of many images: the first, which lists it, and later ones.

python benchmarks/many_images.py [IMAGES]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from scratch import copy_project

IMAGES, FIRST, LATER, MEBIBYTES = 100_000, 10.0, 5.0, 300
PER_FOLDER = 1000
DATASET = {
    "adapter": "csv",
    "title": "Many images",
    "licence": "synthetic",
    "root": "many",
    "bundles": 64,
    "csv": {
        "table": "images.csv",
        "columns": {"path": "file", "patient_id": "patient", "label": "result"},
        "label_values": {"cancer": "malignant", "clear": "normal"},
    },
}
STUDY = {
    "title": "Many images",
    "source": {"dataset": "many", "shares": {"train": 0.5, "validation": 0.25, "test": 0.25}},
    "seeds": [0],
    "arms": {"plain": {"backbone": "tiny_resnet"}},
    "training": {"stages": [{"epochs": 1, "lr": 1.0e-3}]},
    "input": {"size": [64, 48]},
}


def write_archive(folder: Path, images: int) -> None:
    """Write files that are listed and not read, and the table of their labels."""
    lines = ["file,patient,result"]
    for number in range(images):
        name = f"{number // PER_FOLDER:04}/{number:06}.png"
        path = folder / name
        if number % PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"not read")
        lines.append(f"{name},p{number // 4},{'cancer' if number % 8 == 0 else 'clear'}")
    (folder / "images.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def dry_run(folder: Path) -> tuple[float, float, float]:
    """Return the wall time of a dry run, its CPU time and its largest memory in MiB."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all", "--cores", "2"]
    with (folder / "printed").open("w") as printed:
        process = subprocess.Popen(
            [*command, "--configfile", "config/many.yaml"],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder / "src")},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit((folder / "printed").read_text(encoding="utf-8")[-2000:])
    wall = time.perf_counter() - began
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main(images: int) -> None:
    """Print the time and the memory of the first dry run and of two later ones."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "project")
        copy_project(folder)
        for file, content in (
            ("many_datasets.yaml", {"many": DATASET}),
            ("studies/many.yaml", STUDY),
            (
                "many.yaml",
                {
                    "studies": ["config/studies/many.yaml"],
                    "datasets": "config/many_datasets.yaml",
                    "backbones": "config/backbones.yaml",
                    "archives": "archives",
                },
            ),
        ):
            (folder / "config" / file).write_text(yaml.safe_dump(content), encoding="utf-8")
        write_archive(folder / "archives" / "many", images)
        for name, limit in (("first", FIRST), ("later", LATER), ("later", LATER)):
            wall, cpu, memory = dry_run(folder)
            print(
                f"{images} images, {name} dry run: {wall:.1f} s (limit {limit:g}), "
                f"{cpu:.1f} s of CPU, {memory:.0f} MiB (limit {MEBIBYTES})"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
