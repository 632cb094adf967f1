"""One GPU for each job of a machine.

Snakemake counts GPUs but hands out no device, so jobs that share a machine choose among
themselves. Each device has a slot file; a job holds the file's lock for as long as it uses the
device. The kernel drops the lock when the holder ends, however it ends, so that a killed job
never blocks its device.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mammoshift.errors import TrainingError

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
GPUS_VARIABLE = "MAMMOSHIFT_GPUS"
NVIDIA_DRIVER = Path("/proc/driver/nvidia")
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0

logger = logging.getLogger(__name__)


def local_gpu_identifiers() -> list[str]:
    """Return the GPUs that jobs of this machine may use, as `CUDA_VISIBLE_DEVICES` names them.

    The first source that says something counts:

    1. `CUDA_VISIBLE_DEVICES`, set by SLURM for an allocation or by a user for a whole run;
    2. `MAMMOSHIFT_GPUS`, a comma-separated list for machines where the rest does not fit;
    3. the NVIDIA driver's list of GPUs: their numbers;
    4. `nvidia-smi -L`, where the driver has no list or a GPU is cut into MIG slices: numbers of
       whole GPUs, unique ids of slices.

    Returns
    -------
    list of str
        Empty where there is no GPU. No CUDA library is loaded.
    """
    for variable in (VISIBLE_DEVICES, GPUS_VARIABLE):
        if variable in os.environ:
            return _listed_devices(os.environ[variable])
    gpus = NVIDIA_DRIVER / "gpus"
    sliced = any(NVIDIA_DRIVER.glob("capabilities/gpu*/mig/gi*"))
    if gpus.is_dir() and not sliced:
        return [str(number) for number, _ in enumerate(gpus.iterdir())]
    return _devices_of_nvidia_smi()


def default_claim_folder() -> Path:
    """Return this user's folder for slot files on this machine; every run shares it."""
    return Path(tempfile.gettempdir()) / f"mammoshift-gpus-{os.getuid()}"


@contextmanager
def claim_gpu(candidates: Sequence[str], folder: Path) -> Iterator[str | None]:
    """Hold one of the candidate GPUs, waiting until one is free.

    Inside the block `CUDA_VISIBLE_DEVICES` names the claimed device alone. CUDA reads the
    variable once, so the block must be entered before torch first touches a GPU.

    Slots belong to a host and, inside SLURM, to an allocation, since SLURM may number the devices
    of every allocation from 0. A job with one device of its own thus never waits for another's,
    and the jobs of a Snakemake that runs inside one large allocation share out its devices.

    Parameters
    ----------
    candidates
        Device names as from `local_gpu_identifiers`.
    folder
        Where slot files are kept; made when absent. All jobs that share devices name the same one.

    Yields
    ------
    str or None
        The claimed device; None, without waiting, where there are no candidates.

    Raises
    ------
    TrainingError
        If `folder` cannot be used or belongs to somebody else.
    """
    if not candidates:
        yield None
        return
    _make_private(folder)
    device, slot = _wait_for_slot(candidates, folder)
    before = os.environ.get(VISIBLE_DEVICES)
    os.environ[VISIBLE_DEVICES] = device
    try:
        yield device
    finally:
        # Unlocked by name: worker processes forked inside the block still share the open file.
        fcntl.flock(slot, fcntl.LOCK_UN)
        slot.close()
        if before is None:
            del os.environ[VISIBLE_DEVICES]
        else:
            os.environ[VISIBLE_DEVICES] = before


def _wait_for_slot(candidates: Sequence[str], folder: Path) -> tuple[str, IO[str]]:
    """Return a free device and its locked slot file.

    No system call waits for whichever of several locks comes free first. Jobs hold a GPU for
    minutes or hours, so that a try every two seconds costs nothing and idles no device.
    """
    pause = FIRST_PAUSE
    while True:
        for device in candidates:
            slot = _try_slot(folder / _slot_name(device))
            if slot is not None:
                return device, slot
        if pause == FIRST_PAUSE:
            logger.info("waiting for one of the GPUs %s", ", ".join(candidates))
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _try_slot(path: Path) -> IO[str] | None:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        slot = os.fdopen(os.open(path, flags, 0o600), "r+", encoding="ascii")
    except OSError as error:
        raise TrainingError(f"cannot open the GPU slot {path}: {error.strerror}") from error
    try:
        fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        slot.close()
        return None
    except OSError as error:
        slot.close()
        raise TrainingError(
            f"cannot lock the GPU slot {path}: {error.strerror}; name a folder on a local disk"
        ) from error
    return slot


def _slot_name(device: str) -> str:
    allocation = os.environ.get("SLURM_JOB_ID", "")
    parts = [socket.gethostname(), *([f"job-{allocation}"] if allocation else []), device]
    return re.sub(r"[^A-Za-z0-9.-]", "_", "_".join(parts)) + ".lock"


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = folder.lstat().st_uid
    except OSError as error:
        raise TrainingError(f"cannot make the GPU slot folder {folder}: {error}") from error
    if owner != os.getuid():
        raise TrainingError(f"the GPU slot folder {folder} belongs to another user; remove it")


def _listed_devices(text: str) -> list[str]:
    """Return the devices of a comma-separated list; CUDA ignores all from the first invalid one."""
    devices = []
    for name in (part.strip() for part in text.split(",")):
        if not re.fullmatch(r"\d+|[A-Za-z][\w./-]*", name) or name == "NoDevFiles":
            break
        devices.append(name)
    return list(dict.fromkeys(devices))


def _devices_of_nvidia_smi() -> list[str]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    try:
        listing = subprocess.run(
            [command, "-L"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        logger.warning("nvidia-smi -L does not answer; set %s to name the GPUs", GPUS_VARIABLE)
        return []
    return parse_nvidia_smi(listing.stdout) if listing.returncode == 0 else []


def parse_nvidia_smi(listing: str) -> list[str]:
    """Return the devices in the output of `nvidia-smi -L`.

    A GPU is named by its number; one that is cut into MIG slices is replaced by the unique ids
    of its slices.
    """
    devices: list[str] = []
    for line in listing.splitlines():
        if gpu := re.match(r"GPU (\d+): ", line):
            whole = gpu.group(1)
            devices.append(whole)
        elif mig := re.match(r"\s+MIG .*\(UUID: (MIG-[\w/-]+)\)", line):
            if devices and devices[-1].isdigit():
                devices.pop()
            devices.append(mig.group(1))
    return devices
