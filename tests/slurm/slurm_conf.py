"""The configuration of a private cluster: two nodes on this machine, one of them with fake GPUs."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

CLIENTS = (
    "sacct", "sacctmgr", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun", "sshare",
)  # fmt: skip
ADDRESS = "127.0.0.1"
NODES = ("node-cpu", "node-gpu")
NULL_DEVICE = os.makedev(1, 3)


def write_configuration(
    folder: Path, gpus: Sequence[str], ports: Mapping[str, int], accounting: bool
) -> None:
    """Write the files that slurmctld, slurmd and their clients read.

    Partitions: `cpu` (default), `gpu`, and `urgent`, whose jobs preempt those of `gpu`. A fake
    GPU is a device file that swallows everything, which makes SLURM set CUDA_VISIBLE_DEVICES.
    """
    kinds = {kind: gpus.count(kind) for kind in dict.fromkeys(gpus)}
    devices = []
    for kind in kinds:
        for _ in range(kinds[kind]):
            device = folder / f"nvidia{len(devices)}"
            os.mknod(device, 0o600 | stat.S_IFCHR, NULL_DEVICE)
            devices.append(f"NodeName=node-gpu Name=gpu Type={kind} File={device}")
    (folder / "gres.conf").write_text("\n".join(devices) + "\n", encoding="ascii")
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n", encoding="ascii")
    gres = ",".join(f"gpu:{kind}:{count}" for kind, count in kinds.items())
    storage = (
        f"AccountingStorageType=accounting_storage/slurmdbd\n"
        f"AccountingStorageHost={ADDRESS}\n"
        f"AccountingStoragePort={ports['slurmdbd']}\n"
        f"AccountingStoragePass={folder}/munge.socket\n"
        # The plugin writes rule and wildcards of a job into its comment.
        f"AccountingStoreFlags=job_comment\n"
        f"AccountingStorageTRES=gres/gpu\n"
        if accounting
        else "AccountingStorageType=accounting_storage/none\n"
    )
    host = socket.gethostname()
    at = f"NodeHostname={host} NodeAddr={ADDRESS}"
    size = "CPUs=64 Boards=1 SocketsPerBoard=1 CoresPerSocket=64 ThreadsPerCore=1"
    memory = "RealMemory=1000000 State=UNKNOWN"
    limits = "MaxTime=INFINITE State=UP"
    (folder / "slurm.conf").write_text(
        f"""ClusterName=test
SlurmctldHost={host}({ADDRESS})
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports["slurmctld"]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/log/%n.log
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
GresTypes=gpu
MinJobAge=900
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
InactiveLimit=0
SchedulerParameters=sched_interval=2,sched_min_interval=0,bf_interval=5
{storage}JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SlurmdParameters=config_overrides
NodeName=node-cpu {at} Port={ports["node-cpu"]} {size} {memory}
NodeName=node-gpu {at} Port={ports["node-gpu"]} {size} {memory} Gres={gres}
PartitionName=cpu Nodes=node-cpu Default=YES PriorityTier=1 PreemptMode=OFF {limits}
PartitionName=gpu Nodes=node-gpu PriorityTier=1 PreemptMode=REQUEUE {limits}
PartitionName=urgent Nodes=node-gpu PriorityTier=10 PreemptMode=OFF {limits}
""",
        encoding="ascii",
    )


def database_configuration(folder: Path, ports: Mapping[str, int], password: str) -> str:
    """Return what slurmdbd reads; it holds the password of the database."""
    return f"""AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={socket.gethostname()}
DbdAddr={ADDRESS}
DbdPort={ports["slurmdbd"]}
SlurmUser=root
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost={ADDRESS}
StoragePort={ports["database"]}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
"""


def write_clients(folder: Path) -> None:
    """Write a wrapper of each client, in the folder `bin`, that finds this cluster.

    Snakemake's plugin drops `SLURM_CONF` inside a job, before it calls `srun`.
    """
    for name in CLIENTS:
        wrapper = folder / "bin" / name
        wrapper.write_text(
            f'#!/bin/sh\nSLURM_CONF="{folder}/slurm.conf" exec "{shutil.which(name)}" "$@"\n',
            encoding="ascii",
        )
        wrapper.chmod(0o755)


def free_ports(*names: str) -> dict[str, int]:
    """Return a port for each name that nothing on this machine listens on."""
    with ExitStack() as stack:
        ports = {}
        for name in names:
            probe = stack.enter_context(socket.socket())
            probe.bind((ADDRESS, 0))
            ports[name] = probe.getsockname()[1]
        return ports


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from the beginning."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")
