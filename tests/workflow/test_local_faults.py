"""Faults of a local run: nothing is half-written, and the next run completes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from miniature import STUDY, Project, create_project

from mammoshift.configuration.leaves import input_name
from mammoshift.configuration.model import InputRecipe
from mammoshift.files import sha256_of_file
from mammoshift.pixelstore.receipt import read_receipt

pytestmark = pytest.mark.workflow

RECIPE = input_name(InputRecipe.model_validate(STUDY["input"]))
STORE = f"results/pixels/mias/{RECIPE}"
BUNDLE = f"{STORE}/bundles/0.json"
RUN = "small/plain/seed-0/fold-0"
MODEL = f"results/{RUN}/model.safetensors"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project")


@pytest.fixture
def small_disk(project: Project) -> Iterator[Path]:
    """Mount a file system of 32 KiB where the pixel store goes."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = project.folder / "results" / "pixels"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow a tmpfs to be mounted")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_fails_the_job_and_leaves_nothing_half_written(
    project: Project, small_disk: Path
) -> None:
    done = project.snakemake(BUNDLE, check=False)
    assert done.returncode != 0
    assert "No space left on device" in done.stdout + done.stderr
    assert not (project.folder / BUNDLE).exists()
    assert not [path for path in small_disk.rglob("*") if path.is_file()]
    larger = ["mount", "-o", "remount,size=16m", str(small_disk)]
    subprocess.run(larger, check=True)
    assert project.executed(BUNDLE) == ["preprocess_bundle"]
    assert _images(project) > 0


def test_a_killed_preprocessing_is_done_again_whole(project: Project) -> None:
    with _started(project, BUNDLE) as run:
        _kill_when_seen(run, "preprocess_bundle.py")
        assert run.wait(60) != 0
    assert not (project.folder / BUNDLE).exists()
    assert project.executed(BUNDLE) == ["preprocess_bundle"]
    assert _images(project) > 0


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
    log = project.folder / "logs" / RUN / "train_arm.log"
    text = log.read_text(encoding="utf-8")
    assert "going on in epoch" in text
    assert "after 0 steps" not in text
    assert not events.parent.exists()


def _images(project: Project) -> int:
    """Return the number of arrays of the bundle, whose files must be those of its receipt."""
    record = read_receipt(project.folder / BUNDLE)
    for shard in record.shards:
        for name, sha256 in shard.sha256.items():
            assert sha256_of_file(project.folder / STORE / shard.folder / name) == sha256
    return record.images


def _train_long(content: dict) -> None:
    content["training"]["stages"][0]["epochs"] = 40
    content["training"]["checkpoint_minutes"] = 0.001


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
