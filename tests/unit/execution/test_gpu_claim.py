"""Jobs of one machine get different GPUs, wait for their turn, and free them however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mammoshift.errors import TrainingError
from mammoshift.execution import gpu_claim
from mammoshift.execution.gpu_claim import claim_gpu, local_gpu_identifiers, parse_nvidia_smi

# Prints the claimed device, then holds it until its standard input closes.
HOLDER = """
import os, sys
from pathlib import Path
from mammoshift.execution.gpu_claim import claim_gpu
with claim_gpu(sys.argv[2].split(","), Path(sys.argv[1])):
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def _outside_any_allocation(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "MAMMOSHIFT_GPUS", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start_holder(devices: str, **environment: str) -> subprocess.Popen[str]:
            holder = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", HOLDER, str(tmp_path / "slots"), devices],
                    env=os.environ | environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(holder.kill)
            return holder

        yield start_holder


def device_of(holder: subprocess.Popen[str]) -> str:
    assert holder.stdout is not None
    return holder.stdout.readline().strip()


def release(holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.close()
    assert holder.wait(10) == 0


def test_two_jobs_get_different_devices_and_a_third_waits_for_one(start: Start) -> None:
    first, second = start("0,1"), start("0,1")
    assert {device_of(first), device_of(second)} == {"0", "1"}
    third = start("0,1")
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(0.5)
    freed = "0" if _holds(first, "0") else "1"
    release(first)
    assert device_of(third) == freed


def _holds(holder: subprocess.Popen[str], device: str) -> bool:
    locks = Path("/proc/locks").read_text(encoding="ascii")
    slot = next(
        entry
        for descriptor in Path(f"/proc/{holder.pid}/fd").iterdir()
        if (entry := descriptor.resolve()).suffix == ".lock"
    )
    assert f"{slot.stat().st_ino} " in locks
    return slot.stem.endswith(f"_{device}")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_holder_frees_its_device(start: Start, how: signal.Signals) -> None:
    holder = start("0")
    assert device_of(holder) == "0"
    waiting = start("0")
    holder.send_signal(how)
    assert holder.wait(10) == -how
    assert device_of(waiting) == "0"


def test_a_forked_worker_that_outlives_the_block_keeps_no_device(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with claim_gpu(["0"], tmp_path):
        worker = os.fork()
        if worker == 0:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
    try:
        with claim_gpu(["0"], tmp_path) as device:
            assert device == "0"
    finally:
        os.close(writer)
        os.close(reader)
        os.waitpid(worker, 0)


def test_jobs_of_two_allocations_do_not_wait_for_each_other(start: Start) -> None:
    first, second = start("0", SLURM_JOB_ID="1"), start("0", SLURM_JOB_ID="2")
    assert [device_of(first), device_of(second)] == ["0", "0"]


def test_jobs_inside_one_allocation_share_out_its_devices(start: Start) -> None:
    first, second = start("2,3", SLURM_JOB_ID="1"), start("2,3", SLURM_JOB_ID="1")
    assert {device_of(first), device_of(second)} == {"2", "3"}


def test_the_variable_is_set_inside_and_restored_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    with pytest.raises(RuntimeError), claim_gpu(local_gpu_identifiers(), tmp_path) as device:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == device == "4"
        raise RuntimeError
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,5"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with claim_gpu(["7"], tmp_path):
        pass
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_without_gpus_nothing_is_claimed(tmp_path: Path) -> None:
    with claim_gpu([], tmp_path / "slots") as device:
        assert device is None
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert not (tmp_path / "slots").exists()


def test_hostile_device_names_stay_inside_the_folder(tmp_path: Path) -> None:
    with claim_gpu(["MIG-GPU-1/../../2/0"], tmp_path / "slots"):
        assert [path.suffix for path in (tmp_path / "slots").iterdir()] == [".lock"]
    assert [path.name for path in tmp_path.iterdir()] == ["slots"]


def test_a_slot_that_is_a_link_is_refused(tmp_path: Path) -> None:
    with claim_gpu(["0"], tmp_path):
        pass
    slot = next(tmp_path.iterdir())
    slot.unlink()
    slot.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TrainingError, match="cannot open the GPU slot"), claim_gpu(["0"], tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "slots").touch()
    with pytest.raises(TrainingError, match="slot folder"), claim_gpu(["0"], tmp_path / "slots"):
        pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0,1", ["0", "1"]),
        (" 2 , GPU-8932f937-d72c,1", ["2", "GPU-8932f937-d72c", "1"]),
        ("MIG-GPU-8932f937/7/0", ["MIG-GPU-8932f937/7/0"]),
        ("0,-1,1", ["0"]),
        ("1,1", ["1"]),
        ("NoDevFiles", []),
        ("", []),
    ],
)
def test_visible_devices_are_read_as_cuda_does(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
    monkeypatch.setenv("MAMMOSHIFT_GPUS", "9")
    assert local_gpu_identifiers() == expected


def test_the_override_is_used_where_no_device_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMOSHIFT_GPUS", "0,3")
    assert local_gpu_identifiers() == ["0", "3"]


def test_the_drivers_list_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("0000:17:00.0", "0000:65:00.0"):
        (tmp_path / "gpus" / address).mkdir(parents=True)
    monkeypatch.setattr(gpu_claim, "NVIDIA_DRIVER", tmp_path)
    assert local_gpu_identifiers() == ["0", "1"]


@pytest.mark.parametrize("sliced", [True, False])
def test_nvidia_smi_is_asked_where_the_driver_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sliced: bool
) -> None:
    if sliced:
        (tmp_path / "driver" / "gpus" / "0000:17:00.0").mkdir(parents=True)
        (tmp_path / "driver" / "capabilities" / "gpu0" / "mig" / "gi3").mkdir(parents=True)
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\necho "GPU 0: A (UUID: GPU-1)"\n', encoding="ascii")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(gpu_claim, "NVIDIA_DRIVER", tmp_path / "driver")
    assert local_gpu_identifiers() == ["0"]
    tool.write_text("#!/bin/sh\nexit 9\n", encoding="ascii")
    assert local_gpu_identifiers() == []


def test_mig_slices_replace_their_gpu() -> None:
    listing = """GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-5d5b)
  MIG 3g.40gb     Device  0: (UUID: MIG-3f1a-01)
  MIG 1g.10gb     Device  1: (UUID: MIG-3f1a-02)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-77aa)
"""
    assert parse_nvidia_smi(listing) == ["MIG-3f1a-01", "MIG-3f1a-02", "1"]


def test_importing_is_light() -> None:
    code = (
        "import sys, mammoshift.execution.gpu_claim;"
        "print(sorted({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
