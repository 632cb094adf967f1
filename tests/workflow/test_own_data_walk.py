"""docs/own-data.md as a stranger follows it: each command as it is written there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from miniature import PARTS, REPOSITORY

PAGE = (REPOSITORY / "docs" / "own-data.md").read_text(encoding="utf-8")
FOLDER = "CLINIC=/data/clinic"
REPORT = "results/clinic/clinic/report/index.html"
HEADER = "file,patient,side,finding,density"


def test_from_a_folder_to_the_jobs(tmp_path: Path) -> None:
    clinic = write_twin_clinic(tmp_path / "clinic", patients=24)
    project = copy_project(tmp_path)
    *beforehand, run = commands()
    said = [" ".join(follow(command, project, clinic).split()) for command in beforehand]
    assert "Next: mammoshift check --configfile config/clinic/config.yaml" in said[0]
    assert "0 errors" in said[1]
    assert "time clinic: about" in said[1]
    assert "4 train arm" in said[2]
    assert run == "snakemake --configfile config/clinic/config.yaml"
    assert_what_is_wrong_is_said_before_the_first_job(run, project, clinic)


@pytest.mark.slow
def test_from_a_folder_to_the_report(tmp_path: Path) -> None:
    clinic = write_twin_clinic(tmp_path / "clinic", patients=40)
    table = clinic / "images.csv"
    table.write_text(re.sub(r",p\d+,", ",,", table.read_text("utf-8")), encoding="utf-8")
    project = copy_project(tmp_path)
    said = [follow(command, project, clinic) for command in commands()]
    assert "80 cases without a patient: independence assumed" in said[1]
    assert (project / REPORT).is_file()
    metrics = pd.read_csv(project / "results/clinic/clinic/tables/metrics.csv")
    intervals = metrics[metrics["ci_low"].notna()]
    assert (intervals["metric"] == "auc").any()
    assert intervals["note"].str.contains("independence assumed").all()
    auc = metrics[metrics["metric"] == "auc"]
    assert (auc["n_clusters"] == auc["n"]).all()
    console = said[-1].splitlines()
    assert len(console) <= 150
    assert max(map(len, console)) <= 160
    for command in blocks()[2].splitlines():
        assert "Cases of the study clinic: clinic (test, by image" in follow(
            command, project, clinic
        )


@pytest.mark.slow
def test_real_films_as_a_hospital_of_ones_own(tmp_path: Path, shared_data: Path) -> None:
    unpacked = tmp_path / "unpacked"
    subprocess.run(["bash", str(shared_data / "unpack.sh"), str(unpacked)], check=True)
    clinic = write_mias_clinic(unpacked / "mias" / "all-mias", tmp_path / "clinic")
    project = copy_project(tmp_path)
    for command in commands():
        follow(command, project, clinic)
    assert (project / REPORT).is_file()


def commands() -> list[str]:
    """Return the commands of the page's second block; the first prepares the shell."""
    assert FOLDER in blocks()[0]
    assert f"`{REPORT}`" in PAGE
    return blocks()[1].splitlines()


def blocks() -> list[str]:
    """Return the shell blocks of the page; the third asks more of the results."""
    found = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 3
    return found


def assert_what_is_wrong_is_said_before_the_first_job(
    run: str, project: Path, clinic: Path
) -> None:
    """Run with a misspelt architecture and without the folder of images."""
    backbones = project / "config" / "backbones.yaml"
    text = backbones.read_text(encoding="utf-8").replace("test_resnet", "test_resnte")
    backbones.write_text(text, encoding="utf-8")
    clinic.rename(clinic.with_name("elsewhere"))
    lines = follow(run, project, clinic, code=1).splitlines()
    said = " ".join(line.strip() for line in lines[-15:])
    assert "Nothing was started." in said
    assert "archive clinic: " in said
    assert "there is no such folder; set `archives`" in said
    assert "architecture 'test_resnte' is not known to timm; did you mean test_resnet" in said
    assert max(map(len, lines)) <= 160
    assert not (project / "results").exists()
    assert "4 train arm" in " ".join(follow(f"{run} --dry-run", project, clinic).split())


def follow(command: str, project: Path, clinic: Path, code: int = 0) -> str:
    """Run a command as it is written, in the project's folder with the environment active."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project / "src"),
        "OMP_NUM_THREADS": "1",
        "CLINIC": str(clinic),
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=project, env=environment, capture_output=True, text=True,
        check=False, timeout=3600,
    )  # fmt: skip
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def copy_project(folder: Path) -> Path:
    """Return a copy of the project as a clone of it is."""
    project = folder / "project"
    project.mkdir()
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "clinic")
            shutil.copytree(source, project / part, ignore=ignore)
        else:
            shutil.copy2(source, project / part)
    return project


def write_twin_clinic(folder: Path, patients: int) -> Path:
    """Write a hospital's folder with drawn images: a bright spot is a cancer."""
    import cv2
    import numpy as np

    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    rows = [HEADER]
    for patient in range(patients):
        for side in "LR":
            cancer = patient % 2 and side == "L"
            image = generator.integers(0, 30, (120, 90)).astype(np.uint8)
            image[20:100, :50] += 120
            if cancer:
                image[50:60, 20:30] = 250
            name = f"images/{patient:03}{side}.png"
            cv2.imwrite(str(folder / name), image)
            finding = "cancer" if cancer else "normal"
            rows.append(f"{name},p{patient},{side},{finding},{'ABCD'[patient % 4]}")
    (folder / "images.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def write_mias_clinic(archive: Path, folder: Path) -> Path:
    """Write the films of mini-MIAS as a hospital would have them, with a table of its own."""
    (folder / "images").mkdir(parents=True)
    line = re.compile(r"^mdb(\d{3})\s+[FGD]\s+\S+(?:\s+([BM]))?")
    worst: dict[int, str] = {}
    for text in (archive / "Info.txt").read_text(encoding="latin-1").splitlines():
        if found := line.match(text):
            number, severity = int(found[1]), found[2] or "N"
            worst[number] = max(worst.get(number, "N"), severity, key="NBM".find)
    rows = ["file,patient,side,severity"]
    for number, severity in sorted(worst.items()):
        name = f"mdb{number:03}.pgm"
        shutil.copy(archive / name, folder / "images" / name)
        side = "L" if number % 2 else "R"
        rows.append(f"images/{name},p{(number + 1) // 2:03},{side},{severity}")
    (folder / "films.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder
