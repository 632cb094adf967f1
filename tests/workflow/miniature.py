"""A copy of the project with a very small study, in which tests run Snakemake and make edits."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "rules", "workflow", "src", "config", "envs", "profiles")
STARTED = re.compile(r"^(?:local)?(?:rule|checkpoint) (\S+):$", re.MULTILINE)

SETTINGS = {
    "studies": ["config/studies/small.yaml"],
    "datasets": "config/datasets/small.yaml",
    "backbones": "config/small_backbones.yaml",
    "archives": "archives",
    "weights": "weights",
    "pathvars": {"results": "results", "logs": "logs"},
}
DATASETS = {
    "cbis_ddsm": {
        "adapter": "cbis_ddsm",
        "title": "Twin of CBIS-DDSM",
        "licence": "synthetic",
        "bundles": 2,
        "twin": {"patients": 36, "seed": 1, "magnification_of_pitch": 16},
    },
    "mias": {
        "adapter": "mias",
        "title": "A copy of a twin of MIAS",
        "licence": "synthetic",
        "bundles": 3,
        "root": "mias",
    },
    "hospital": {
        "adapter": "csv",
        "title": "A hospital's own table",
        "licence": "synthetic",
        "root": "hospital",
        "csv": {
            "table": "images.csv",
            "columns": {"path": "file", "patient_id": "patient", "label": "result"},
            "label_values": {"cancer": "malignant", "clear": "normal"},
        },
    },
}
BACKBONES = {
    "tiny": {
        "architecture": "test_resnet",
        "channels": 1,
        "mean": [0.25],
        "std": [0.25],
        "variable_size": True,
        "weights": {
            "file": "tiny.safetensors",
            "format": "timm",
            "licence": "synthetic",
            "source": "made by the test",
        },
    }
}
STUDY = {
    "title": "A very small study",
    "source": {
        "dataset": "cbis_ddsm",
        "shares": {"train": 0.5, "validation": 0.25, "test": 0.25},
    },
    "targets": ["mias"],
    "seeds": [0, 1],
    "input": {"size": [64, 48]},
    "training": {
        "batch_size": 8,
        "stages": [{"train": "all", "epochs": 2, "lr": 1.0e-3}],
        "augmentation": {"vertical_flip": 0.5},
    },
    "arms": {
        "plain": {"backbone": "tiny"},
        "started": {"backbone": "tiny", "initialisation": "pretrained"},
    },
    "comparisons": [{"family": "all", "on": "all", "reference": "plain"}],
    "subgroups": ["density"],
    "calibration": ["temperature_source", "temperature_target_crossfit"],
    "bootstrap_resamples": 100,
    "budget_sizes": [10],
}


@dataclass(frozen=True)
class Project:
    """A folder with a copy of the project; every method works in it."""

    folder: Path

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a run: this copy's library, one thread."""
        own = {
            "PYTHONPATH": str(self.folder / "src"),
            "OMP_NUM_THREADS": "1",
            "SNAKEMAKE_LOGGER_MAMMOSHIFT_TEXT": "snakemake",
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, **own, "PATH": path, **(extra or {})}

    def command(self, *arguments: str) -> list[str]:
        """Return a Snakemake command line."""
        return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]

    def snakemake(
        self, *arguments: str, extra: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end and return what it printed."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(extra),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if check and done.returncode:
            raise AssertionError(f"Snakemake failed:\n{done.stdout}\n{done.stderr}")
        return done

    def plan(self, *arguments: str) -> str:
        """Return what a dry run prints."""
        with tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch, "printed")
            request = {
                "folder": str(self.folder),
                "environment": self.environment(),
                "arguments": ["--cores", "2", "--dry-run", *arguments],
                "output": str(output),
            }
            status = _planner(request)
            text = output.read_text(encoding="utf-8")
        if status:
            raise AssertionError(f"the dry run failed:\n{text}")
        return text

    def planned(self) -> set[str]:
        """Return the rules that a dry run would run, without `all`."""
        return set(STARTED.findall(self.plan())) - {"all"}

    def planned_jobs(self) -> list[str]:
        """Return the jobs of a dry run as `rule: wildcards`, without `all`."""
        jobs: list[str] = []
        for line in self.plan().splitlines():
            if started := STARTED.match(line):
                jobs.append(f"{started[1]}:")
            elif jobs and line.startswith("    wildcards: "):
                jobs[-1] += line.removeprefix("    wildcards:")
        return [job for job in jobs if job != "all:"]

    def mammoshift(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line of this copy's library to its end."""
        return subprocess.run(
            [sys.executable, "-c", "from mammoshift.commands.main import run; run()", *arguments],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def executed(self, *arguments: str) -> list[str]:
        """Run, and return the rule of every job that was started, without `all`."""
        done = self.snakemake(*arguments)
        started = STARTED.findall(done.stdout + done.stderr)
        return [rule for rule in started if rule != "all"]

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that must occur in a file."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} does not hold {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def add_code(self, file: str) -> None:
        """Add a statement to the end of a Python file that runs whenever it is imported."""
        path = self.folder / file
        path.write_text(path.read_text(encoding="utf-8") + "\nset().clear()\n", encoding="utf-8")

    def edit_yaml(self, file: str, change: object) -> None:
        """Let `change` alter the content of a YAML file in place."""
        path = self.folder / file
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert callable(change)
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def edit_study(self, change: object) -> None:
        """Let `change` alter the study file's content in place."""
        self.edit_yaml("config/studies/small.yaml", change)

    def edit_backbones(self, change: object) -> None:
        """Let `change` alter the backbones file's content in place."""
        self.edit_yaml("config/small_backbones.yaml", change)

    def edit_datasets(self, change: object) -> None:
        """Let `change` alter the datasets file's content in place."""
        self.edit_yaml("config/datasets/small.yaml", change)

    def copy_to(self, folder: Path) -> Project:
        """Return an independent copy, modification times kept."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)


@cache
def _planning_process() -> subprocess.Popen[str]:
    """Start the process that plans; it ends with this one, which closes its input."""
    command = [sys.executable, str(Path(__file__).with_name("planner.py"))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _planner(request: Mapping[str, Any]) -> int:
    process = _planning_process()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def create_project(folder: Path) -> Project:
    """Copy the code into `folder` and write the small study, its archives and weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, folder / part, ignore=ignore)
        else:
            shutil.copy2(source, folder / part)
    _write_yaml(folder / "config" / "config.yaml", SETTINGS)
    _write_yaml(folder / "config" / "datasets" / "small.yaml", DATASETS)
    _write_yaml(folder / "config" / "small_backbones.yaml", BACKBONES)
    _write_yaml(folder / "config" / "studies" / "small.yaml", STUDY)
    write_mias(folder / "archives" / "mias", patients=16, seed=4)
    write_hospital(folder / "archives" / "hospital", patients=12)
    write_weights(folder / "weights" / "tiny.safetensors", seed=0)
    return Project(folder)


def write_mias(folder: Path, patients: int, seed: int) -> None:
    """Write an archive in the layout of mini-MIAS."""
    from mammoshift.configuration.dataset import Twin
    from mammoshift.phantoms.twin import write_twin

    write_twin("mias", Twin(patients=patients, seed=seed, magnification_of_pitch=8), folder)


def write_hospital(folder: Path, patients: int) -> None:
    """Write a table of PNG files with labels."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    lines = ["file,patient,result"]
    for patient in range(patients):
        image = generator.integers(0, 30, (120, 90)).astype(np.uint8)
        image[20:100, :50] += 120
        if patient % 2:
            image[50:60, 20:30] = 250
        cv2.imwrite(str(folder / f"{patient:03}.png"), image)
        lines.append(f"{patient:03}.png,p{patient},{'cancer' if patient % 2 else 'clear'}")
    (folder / "images.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_weights(path: Path, seed: int) -> None:
    """Write randomly initialised weights of the tiny network as safetensors."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    model = timm.create_model("test_resnet", pretrained=False, in_chans=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), path)


def _write_yaml(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
