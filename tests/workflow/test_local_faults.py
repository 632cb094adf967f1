"""Faults of a local run: nothing is half-written, and the next run completes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from miniature import Project, create_project

pytestmark = pytest.mark.workflow

RECIPE = "image_mask_none_crop_breast_dicom_voi_64x48_pad_chest_wall_left"
SHARD = f"results/pixels/mias/{RECIPE}/0/shard.npy"
MODEL = "results/small/plain/seed-0/model.safetensors"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project")


@pytest.fixture
def small_disk(project: Project) -> Iterator[Path]:
    """Mount a file system of 64 KiB where the pixel store goes."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = project.folder / "results" / "pixels"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow a tmpfs to be mounted")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_fails_the_job_and_leaves_nothing_half_written(
    project: Project, small_disk: Path
) -> None:
    done = project.snakemake(SHARD, check=False)
    assert done.returncode != 0
    assert "No space left on device" in done.stdout + done.stderr
    assert not (project.folder / SHARD).exists()
    assert not list(small_disk.rglob(".shard-*"))
    larger = ["mount", "-o", "remount,size=16m", str(small_disk)]
    subprocess.run(larger, check=True)
    assert project.executed(SHARD) == ["preprocess_shard"]
    assert (project.folder / SHARD).is_file()


def test_a_killed_preprocessing_is_done_again_whole(project: Project) -> None:
    with _started(project, SHARD) as run:
        _kill_when_seen(run, "preprocess_shard.py")
        assert run.wait(60) != 0
    assert not (project.folder / SHARD).exists()
    assert project.executed(SHARD) == ["preprocess_shard"]
    assert (project.folder / SHARD).is_file()


def test_a_killed_snakemake_leaves_a_training_that_is_resumed(project: Project) -> None:
    project.edit_study(_train_long)
    events = project.folder / Path(MODEL).parent / "run" / "events.jsonl"
    checkpoints = events.parent
    with _started(project, MODEL) as run:
        _wait(lambda: len(list(checkpoints.glob("*.pt"))) > 0, run)
        second = project.snakemake(MODEL, check=False)
        assert second.returncode != 0
        assert "cannot be locked" in second.stdout + second.stderr
        os.killpg(run.pid, signal.SIGKILL)
        run.wait(60)
    assert not (project.folder / MODEL).exists()
    project.snakemake("--unlock")
    assert "train_arm" in project.executed(MODEL)
    log = project.folder / "logs" / "small" / "plain" / "seed-0" / "train_arm.log"
    text = log.read_text(encoding="utf-8")
    assert "going on in epoch" in text
    assert "epoch 1 stage" not in text
    assert not events.parent.exists()


def _train_long(content: dict) -> None:
    content["training"]["stages"][0]["epochs"] = 40


class _Started(subprocess.Popen[bytes]):
    """A Snakemake in a process group of its own, ended at the end of the block."""

    def __exit__(self, *error: object) -> None:
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        super().__exit__(*error)  # type: ignore[arg-type]


def _started(project: Project, *targets: str) -> _Started:
    log = (project.folder / "run.log").open("wb")
    return _Started(
        project.command(*targets),
        cwd=project.folder,
        env=project.environment(),
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _wait(condition: Callable[[], bool], run: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert run.poll() is None, "Snakemake ended before what was waited for"
        assert time.monotonic() < deadline, "waited 120 s in vain"
        time.sleep(0.01)


def _kill_when_seen(run: subprocess.Popen[bytes], script: str) -> None:
    """Kill the process of a script as soon as it is there."""
    found: list[int] = []

    def seen() -> bool:
        found.extend(_processes(run.pid, script))
        return bool(found)

    _wait(seen, run)
    os.kill(found[0], signal.SIGKILL)


def _processes(session: int, script: str) -> list[int]:
    """Return the Python processes of a session that run a script."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            own = os.getsid(int(entry.name)) == session
        except (FileNotFoundError, ProcessLookupError):
            continue
        is_script = len(words) > 1 and words[1].endswith(script.encode())
        if own and is_script and b"python" in words[0]:
            found.append(int(entry.name))
    return found
