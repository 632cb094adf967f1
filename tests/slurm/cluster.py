"""A private SLURM cluster on this machine, for tests.

munged, slurmctld, slurmd and, where asked for, mariadbd and slurmdbd run as children of the test
process, on free ports of the loopback address, with their keys, sockets, state and logs in one
folder. Nothing outside that folder is written, so that a machine's own SLURM would not be
touched; where one is configured, the cluster is refused all the same.

SLURM's clients find the cluster by `SLURM_CONF`, those inside a job by wrappers that set it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from processes import (
    MARK,
    PATIENCE,
    ClusterError,
    alone,
    kill_jobs,
    kill_marked,
    terminate,
    wait_for,
)
from slurm_conf import (
    ADDRESS,
    CLIENTS,
    NODES,
    database_configuration,
    free_ports,
    write_clients,
    write_configuration,
    write_private,
)

READY = ("idle", "planned", "mixed", "allocated")
"""States of a node that answers; one that is planned is idle and kept for a waiting job."""
DAEMONS = ("munged", "slurmctld", "slurmd")
DATABASE_DAEMONS = ("mariadbd", "mariadb-install-db", "slurmdbd")
ACCOUNT = "my_project"
MAX_SOCKET_PATH = 100


def why_unavailable(accounting: bool = False) -> str | None:
    """Return why this machine cannot run a private cluster, or None where it can."""
    if os.geteuid() != 0:
        return "a private SLURM cluster needs root"
    wanted = CLIENTS + DAEMONS + (DATABASE_DAEMONS if accounting else ()) + ("setpriv",)
    missing = [name for name in wanted if shutil.which(name) is None]
    if missing:
        packages = "slurm-wlm munge" + (" slurmdbd mariadb-server" if accounting else "")
        return f"not installed: {', '.join(missing)} (Debian: apt-get install {packages})"
    if "SLURM_CONF" in os.environ or "SLURM_JOB_ID" in os.environ:
        return "this process belongs to a real SLURM cluster (SLURM_CONF or SLURM_JOB_ID is set)"
    if Path("/etc/slurm/slurm.conf").exists():
        return "this machine belongs to a real SLURM cluster (/etc/slurm/slurm.conf exists)"
    return None


@dataclass(frozen=True)
class QueuedJob:
    """One line of the queue, finished jobs included as long as slurmctld remembers them.

    Attributes
    ----------
    job_id
        SLURM's id; `<array>_<task>` for a task of an array.
    state
        SLURM's long name: PENDING, RUNNING, COMPLETED, CANCELLED, TIMEOUT, ...
    partition
        The partition the job was sent to.
    comment
        What the submitter wrote; Snakemake's plugin writes `rule_<name>_wildcards_<values>`.
    """

    job_id: str
    state: str
    partition: str
    comment: str


@dataclass
class SlurmCluster:
    """A running private cluster: a node for CPU jobs and a node with fake GPUs.

    Attributes
    ----------
    folder
        Holds configuration, state and logs.
    gpus
        The kind of each fake GPU, for instance `("a100", "a100", "1g.10gb")`.
    accounting
        Whether slurmdbd keeps job records; then the account `my_project` exists.
    env
        Environment for clients, and for whatever calls them.
    """

    folder: Path
    gpus: tuple[str, ...]
    accounting: bool
    env: dict[str, str]
    mark: str
    ports: dict[str, int]
    _daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def client(self, *command: str) -> str:
        """Run one SLURM client; return its output, or raise ClusterError with what it said."""
        done = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if done.returncode != 0:
            raise ClusterError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def squeue(self, name: str | None = None) -> list[QueuedJob]:
        """Return all jobs, or those of one name, finished ones included.

        Snakemake's plugin gives all jobs of a run the run's id as their name.
        """
        named = [f"--name={name}"] if name else []
        form = "--format=%i|%T|%P|%k"
        lines = self.client("squeue", "--states=all", "--noheader", form, *named).splitlines()
        return [QueuedJob(*line.split("|", 3)) for line in lines]

    def wait_until_ended(self, job_id: str) -> None:
        """Wait until a job neither waits nor runs, nor is being cleaned up."""
        going = ("PENDING", "RUNNING", "COMPLETING")
        wait_for(lambda: self.details(job_id)["JobState"] not in going, f"job {job_id} to end")

    def wait_until_requeued(self, job_id: str) -> None:
        """Wait until SLURM has put a job that ran back into the queue."""
        wait_for(lambda: self.details(job_id)["JobState"] == "PENDING", f"job {job_id} requeued")

    def details(self, job_id: str) -> dict[str, str]:
        """Return what `scontrol show job` says about one job."""
        text = self.client("scontrol", "show", "job", "--oneliner", job_id)
        return dict(item.split("=", 1) for item in text.split() if "=" in item)

    def scancel(self, job_id: str) -> None:
        """Cancel a job as its owner would."""
        self.client("scancel", job_id)

    def preempt(self, job_id: str) -> None:
        """Let an urgent job take the GPUs of a running job, until the latter has lost them."""
        urgent = self.client(
            "sbatch", "--parsable", "--partition=urgent", "--exclusive", "--output=/dev/null",
            "--wrap=sleep 1000",
        ).strip()  # fmt: skip
        runs = ("RUNNING", "COMPLETING")
        wait_for(lambda: self.details(job_id)["JobState"] not in runs, f"job {job_id} to stop")
        self.scancel(urgent)

    def forbid_requeueing(self, job_id: str) -> None:
        """Let a running job end for good when it loses its node or its GPUs."""
        self.client("scontrol", "update", f"JobId={job_id}", "Requeue=0")

    def start_now(self, job_id: str) -> None:
        """Shorten the two minutes for which SLURM holds a requeued job back to two seconds.

        A node does not start a job in the second in which it has killed it: the credential of
        the new start would be as old as the order to kill, which revokes all credentials until
        then.
        """
        self.client("scontrol", "update", f"JobId={job_id}", "StartTime=now+2")

    def expire(self, job_id: str) -> None:
        """Let the time limit of a running job strike now; SLURM's shortest limit is a minute."""
        self.client("scontrol", "update", f"JobId={job_id}", "EndTime=now")

    def stop_controller(self) -> None:
        """Kill slurmctld as a crash would."""
        self._kill("slurmctld")

    def start_controller(self) -> None:
        """Start slurmctld and wait until it answers."""
        self._run("slurmctld", ["slurmctld", "-D"], files=("slurmctld.pid",))
        wait_for(self._controller_answers, f"slurmctld; logs are in {self.folder}/log")

    def stop_database(self) -> None:
        """End slurmdbd and its database in order, as for an upgrade."""
        for name in ("slurmdbd", "mariadbd"):
            terminate(self._daemons.pop(name))

    def start_database(self) -> None:
        """Start the database and slurmdbd, and wait until both answer."""
        data = self.folder / "database"
        self._run(
            "mariadbd",
            ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}",
             f"--socket={self.folder / 'database.socket'}", f"--bind-address={ADDRESS}",
             f"--port={self.ports['database']}", f"--pid-file={self.folder / 'database.pid'}",
             f"--init-file={self.folder / 'database.sql'}", "--skip-name-resolve",
             "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0"],
        )  # fmt: skip
        self._wait_for_port_or_socket(self.ports["database"], "mariadbd")
        self._run("slurmdbd", ["slurmdbd", "-D"])
        self._wait_for_port_or_socket(self.ports["slurmdbd"], "slurmdbd")

    def fail_node(self, node: str) -> None:
        """Let a node lose its power: all that runs on it is gone, and slurmctld has noticed."""
        jobs = self.client("squeue", "--noheader", "--format=%i", f"--nodelist={node}").split()
        self._kill(node)
        kill_jobs(self.mark, jobs)
        self.client("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=power")

    def start_nodes(self, *nodes: str) -> None:
        """Start nodes and wait until they take jobs."""
        for node in nodes:
            self._run(node, ["slurmd", "-D", "-N", node], files=(f"{node}.pid",))
        for node in nodes:
            wait_for(
                lambda name=node: self._node_state(name) in READY,
                f"{node} to take jobs; logs are in {self.folder}/log",
            )

    def drain_node(self, node: str) -> None:
        """Let a node end what runs on it and take nothing new."""
        self.client("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=service")

    def resume_node(self, node: str) -> None:
        """Let a drained node take jobs again."""
        self.client("scontrol", "update", f"NodeName={node}", "State=RESUME")

    def recorded_state(self, job_id: str) -> str:
        """Return what the accounting database says of a job."""
        form = ("-X", "--noheader", "--parsable2", "--format=State")
        return self.client("sacct", *form, f"--jobs={job_id}").strip()

    def start(self) -> None:
        """Start all daemons, and return when both nodes are idle."""
        self._write_files()
        self._start_munge()
        if self.accounting:
            self._create_database()
        self.start_controller()
        self.start_nodes(*NODES)

    def stop(self) -> None:
        """Cancel what runs and end every process of this cluster, and no other."""
        if "slurmctld" in self._daemons and self._daemons["slurmctld"].poll() is None:
            subprocess.run(
                ["scancel", "--user=root"],
                env=self.env, timeout=60, check=False, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        for name in (*NODES, "slurmctld", "slurmdbd", "mariadbd", "munged"):
            daemon = self._daemons.pop(name, None)
            if daemon is not None:
                terminate(daemon)
        kill_marked(self.mark)

    def _node_state(self, node: str) -> str:
        self._check_daemons()
        try:
            states = self.client("sinfo", "--noheader", f"--nodes={node}", "--format=%T").split()
        except ClusterError:
            return "unknown"
        return states[0] if states else "unknown"

    def _controller_answers(self) -> bool:
        self._check_daemons()
        try:
            return "UP" in self.client("scontrol", "ping")
        except ClusterError:
            return False

    def _kill(self, name: str) -> None:
        daemon = self._daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def _check_daemons(self) -> None:
        for name, daemon in self._daemons.items():
            if daemon.poll() is not None:
                log = (self.folder / "log" / f"{name}.out").read_text(errors="replace")
                raise ClusterError(f"{name} ended with code {daemon.returncode}: {log[-2000:]}")

    def _run(self, name: str, command: Sequence[str], files: Sequence[str] = ()) -> None:
        for stale in files:
            (self.folder / stale).unlink(missing_ok=True)
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                # The kernel ends the daemon when the test process dies without cleaning up.
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C goes to the tests alone, which then stop the daemons in order.
                start_new_session=True,
            )

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        options = {
            "key-file": key,
            "socket": self.folder / "munge.socket",
            "pid-file": self.folder / "munge.pid",
            "seed-file": self.folder / "munge.seed",
            "log-file": self.folder / "log" / "munged.log",
        }
        # Forced, since test folders are closed to other users, which munged does not expect.
        self._run(
            "munged",
            ["munged", "--foreground", "--force", *(f"--{k}={v}" for k, v in options.items())],
        )
        self._wait_for_port_or_socket(self.folder / "munge.socket", "munged")

    def _create_database(self) -> None:
        data, password = self.folder / "database", secrets.token_hex(16)
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root",
             "--auth-root-authentication-method=normal", "--skip-test-db"],
            env=self.env, check=True, capture_output=True, timeout=PATIENCE,
        )  # fmt: skip
        setup = self.folder / "database.sql"
        write_private(
            setup,
            # Read at every start.
            f"CREATE USER IF NOT EXISTS slurm@'{ADDRESS}' IDENTIFIED BY '{password}';\n"
            "CREATE DATABASE IF NOT EXISTS slurm;\n"
            f"GRANT ALL ON slurm.* TO slurm@'{ADDRESS}';\n"
            "DROP USER IF EXISTS root@localhost;\n",
        )
        write_private(
            self.folder / "slurmdbd.conf",
            database_configuration(self.folder, self.ports, password),
        )
        self.start_database()
        self.client("sacctmgr", "--immediate", "add", "cluster", "test")
        self.client("sacctmgr", "--immediate", "add", "account", ACCOUNT, "cluster=test")
        self.client("sacctmgr", "--immediate", "add", "user", "root", f"account={ACCOUNT}")

    def _wait_for_port_or_socket(self, where: int | Path, name: str) -> None:
        def open_() -> bool:
            self._check_daemons()
            family = socket.AF_UNIX if isinstance(where, Path) else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                target = str(where) if isinstance(where, Path) else (ADDRESS, where)
                return probe.connect_ex(target) == 0

        wait_for(open_, f"{name}; logs are in {self.folder}/log")

    def _write_files(self) -> None:
        for name in ("bin", "log", "state", "spool-node-cpu", "spool-node-gpu"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        write_clients(self.folder)
        write_configuration(self.folder, self.gpus, self.ports, self.accounting)


@contextmanager
def running_cluster(
    folder: Path, gpus: Sequence[str] = ("a100", "a100"), accounting: bool = False
) -> Iterator[SlurmCluster]:
    """Run a private cluster inside the block.

    Parameters
    ----------
    folder
        Empty folder for everything that the cluster writes; its path must be short, since it
        holds Unix sockets.
    gpus
        The kind of each fake GPU.
    accounting
        Whether to run a job database.

    Raises
    ------
    ClusterError
        If a daemon does not start, or another private cluster runs for more than half an hour.
    """
    if len(str(folder)) > MAX_SOCKET_PATH - len("/database.socket"):
        raise ClusterError(f"the path of {folder} is too long for Unix sockets")
    folder.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(16)
    with ExitStack() as stack:
        stack.enter_context(alone(mark))
        ports = free_ports("slurmctld", "node-cpu", "node-gpu", "slurmdbd", "database")
        foreign = ("SLURM", "SBATCH_", "SQUEUE_", "SACCT_", "SNAKEMAKE_")
        env = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        env |= {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}:{env.get('PATH', os.defpath)}",
            MARK: mark,
        }
        cluster = SlurmCluster(folder, tuple(gpus), accounting, env, mark, ports)
        stack.callback(cluster.stop)
        cluster.start()
        yield cluster
