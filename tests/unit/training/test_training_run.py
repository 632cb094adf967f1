"""The rule `train_arm` as a whole: its lock, its run folder and the densities it hands on."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammoshift.errors import TrainingError
from mammoshift.training import run
from mammoshift.training.request import TrainingRequest
from mammoshift.training.run import TrainingJob, run_training

ARM = {
    "name": "toy",
    "backbone": "tiny",
    "input": {"size": (32, 32)},
    "training": {"stages": [{"epochs": 1, "lr": 1e-3}]},
}
BACKBONE = {"architecture": "test_resnet", "channels": 1, "mean": (0.25,), "std": (0.25,)}
DENSITIES = {
    "one": ("d", "birads", 3),
    "two": ("d", "mias", -1),
    "three": ("f", "mias", -1),
    "four": ("a", "birads", 0),
    "five": (None, None, -1),
}


class Store:
    """A pixel store that has every image."""

    image_ids = tuple(DENSITIES)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[TrainingRequest]:
    """What is asked of the training, which does nothing."""
    asked: list[TrainingRequest] = []
    split = pd.DataFrame(
        {"image_id": list(DENSITIES), "subset": "train", "label": np.arange(5) % 2}
    )
    manifest = pd.DataFrame(
        {
            "image_id": list(DENSITIES),
            "density": [letter for letter, _scale, _code in DENSITIES.values()],
            "density_scale": [scale for _letter, scale, _code in DENSITIES.values()],
        }
    )

    def train(request: TrainingRequest, **_options: Any) -> None:
        request.execution.run_folder.mkdir(parents=True, exist_ok=True)
        asked.append(request)

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(run, "read_split", lambda _path: split)
    monkeypatch.setattr(run, "read_manifest", lambda _path: manifest)
    monkeypatch.setattr(run.PixelStore, "open", lambda _folders: Store())
    monkeypatch.setattr(run, "train_arm", train)
    monkeypatch.setattr(run, "write_artefacts", lambda *_arguments: None)
    return asked


def job_in(folder: Path) -> TrainingJob:
    return TrainingJob(
        settings={"arm": ARM, "backbone": BACKBONE, "task": "malignant_vs_rest", "seed": 1},
        split=folder / "split.parquet",
        manifest=folder / "manifest.parquet",
        pixels=[folder],
        start=None,
        run_folder=folder / "run",
        key="key",
        threads=1,
    )


def test_only_birads_densities_reach_the_density_head(
    tmp_path: Path, requests: list[TrainingRequest]
) -> None:
    run_training(job_in(tmp_path), tmp_path)
    cases = requests[0].training
    found = dict(zip(cases.image_ids, cases.densities.tolist(), strict=True))
    assert found == {name: code for name, (_letter, _scale, code) in DENSITIES.items()}


def test_the_run_folder_stays_locked_until_it_is_gone(
    tmp_path: Path, requests: list[TrainingRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[bool] = []

    def write(folder: Path, *_arguments: object) -> None:
        assert job_in(tmp_path).run_folder.exists()
        with pytest.raises(TrainingError, match="another process trains here"):
            run_training(job_in(tmp_path), folder)
        attempts.append(True)

    monkeypatch.setattr(run, "write_artefacts", write)
    run_training(job_in(tmp_path), tmp_path)
    assert attempts == [True]
    assert len(requests) == 1
    assert not job_in(tmp_path).run_folder.exists()


def test_a_file_system_without_locks_is_named_and_used(
    tmp_path: Path,
    requests: list[TrainingRequest],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    run_training(job_in(tmp_path), tmp_path)
    assert len(requests) == 1
    assert "has no locks (Function not implemented)" in capsys.readouterr().out
