"""A Slurm of one's own: munged, slurmctld and several slurmd on this machine, on ports and in a directory of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from processes import free_ports, wait_until
from ssh_hosts import descendants

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "squeue", "scontrol", "scancel")


def why_not() -> str | None:
    """Why no Slurm can be started here."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [name for name in (*DAEMONS, *CLIENTS) if shutil.which(name, path=path) is None]
    if missing:
        return (
            f"{', '.join(missing)} not installed (Debian's munge, slurmctld, slurmd, slurm-client; "
            "scripts/test installs them)"
        )
    if os.geteuid() != 0:
        return "the daemons of Slurm are started as root"
    return None


@contextlib.contextmanager
def running(nodes: int) -> Iterator[Slurm]:
    """A Slurm of so many nodes, gone afterwards."""
    # Short: paths of sockets are.
    with tempfile.TemporaryDirectory(prefix="crvq-slurm-") as directory:
        os.chmod(directory, 0o755)
        slurm = Slurm(Path(directory) / "s", nodes)
        try:
            slurm.start()
            yield slurm
        finally:
            slurm.close()


class Slurm:
    """Nodes n1, n2, … of two cores and 2,000 MB each."""

    def __init__(self, directory: Path, nodes: int) -> None:
        self.directory = directory
        self.nodes = [f"n{index}" for index in range(1, nodes + 1)]
        (directory / "state").mkdir(parents=True)
        # Others may look for munge's socket; nobody may change what is on the way there.
        self.munge = directory / "munge"
        self.munge.mkdir(mode=0o755)
        (self.munge / "key").write_bytes(os.urandom(1024))
        (self.munge / "key").chmod(0o400)
        self.config = directory / "slurm.conf"
        self.config.write_text(self.text())
        self.environment = {**os.environ, "SLURM_CONF": str(self.config)}
        self.environment["PATH"] += ":/usr/sbin:/sbin"
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def text(self) -> str:
        host = socket.gethostname().split(".")[0]
        here = self.directory
        controller, *ports = free_ports(1 + len(self.nodes))
        lines = [
            "ClusterName=crvq",
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={controller}",
            "AuthType=auth/munge",
            "CryptoType=crypto/munge",
            # A requeued task waits as long as credentials last: two minutes unless told otherwise.
            f"AuthInfo=socket={self.munge}/socket,cred_expire=5",
            "SlurmUser=root",
            "SlurmdUser=root",
            f"StateSaveLocation={here}/state",
            f"SlurmdSpoolDir={here}/spool-%n",
            f"SlurmctldPidFile={here}/slurmctld.pid",
            f"SlurmdPidFile={here}/slurmd-%n.pid",
            f"SlurmctldLogFile={here}/slurmctld.log",
            f"SlurmdLogFile={here}/slurmd-%n.log",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "SwitchType=switch/none",
            "MpiDefault=none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core_Memory",
            # A lost node is noticed within seconds, and what it ran starts again at once.
            "SlurmdTimeout=5",
            "KillWait=2",
            "ReturnToService=2",
            "JobRequeue=1",
            "SchedulerParameters=sched_interval=1,batch_sched_delay=0",
        ]
        for name, port in zip(self.nodes, ports):
            node = f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
            lines.append(f"{node} CPUs=2 RealMemory=2000")
        lines.append(f"PartitionName=cpu Nodes={','.join(self.nodes)} Default=YES MaxTime=INFINITE State=UP")
        return "\n".join(lines) + "\n"

    def start(self) -> None:
        self._start(
            "munged", "--foreground", "--force", f"--key-file={self.munge}/key", f"--socket={self.munge}/socket",
            f"--pid-file={self.munge}/pid", f"--log-file={self.munge}/log", f"--seed-file={self.munge}/seed",
        )  # fmt: skip
        wait_until((self.munge / "socket").exists, "munged listens")
        self._start("slurmctld", "-D", "-f", str(self.config))
        for name in self.nodes:
            self.start_node(name)
        wait_until(
            lambda: self.run("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * len(self.nodes), "all nodes are idle"
        )

    def start_node(self, name: str) -> None:
        """The machine is there; also again, after it was lost."""
        self._start("slurmd", "-D", "-N", name, "-f", str(self.config), key=name)

    def _start(self, *command: str, key: str = "") -> None:
        log = (self.directory / f"{key or command[0]}.out").open("wb")
        self.daemons[key or command[0]] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
        )

    def run(self, *command: str) -> str:
        """A command of Slurm; what it prints, or nothing if it fails."""
        done = self._done(command, self.environment)
        return done.stdout if done.returncode == 0 else ""

    def control(self, *words: str) -> None:
        """What an administrator does."""
        self._succeed(("scontrol", *words), self.environment)

    def _succeed(self, command: Sequence[str], environment: dict[str, str]) -> str:
        done = self._done(command, environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @staticmethod
    def _done(command: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)

    def array(self) -> str:
        """The number of the array of workers; not of one that is ending."""
        queue = ("squeue", "-h", "-t", "PENDING,CONFIGURING,RUNNING", "-o", "%F")
        return wait_until(lambda: self.run(*queue).split(), "an array of workers is queued")[0]

    def node(self, task: str) -> str:
        return wait_until(lambda: self.running_on(task), f"{task} runs")

    def running_on(self, task: str) -> str:
        """The node of a task that runs; nothing if it does not."""
        return self.run("squeue", "-h", "-t", "R", "-j", task, "-o", "%N").strip()

    def submit(self, *words: object, environment: dict[str, str]) -> str:
        """The number of a batch job."""
        return self._succeed(("sbatch", "--parsable", *map(str, words)), environment).strip()

    def state(self, job: str) -> str:
        """As Slurm remembers it."""
        return self.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").strip()

    @contextlib.contextmanager
    def drained(self, node: str) -> Iterator[None]:
        """The node finishes what it runs and is given nothing more."""
        self.control("update", f"NodeName={node}", "State=DRAIN", "Reason=test")
        yield
        self.control("update", f"NodeName={node}", "State=RESUME")

    def lose(self, node: str) -> None:
        """The machine is gone: its slurmd, and whatever ran there."""
        self.daemons[node].kill()
        self.daemons[node].wait()
        for pid in self.steps(node):
            for victim in (*descendants(pid), pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, 9)

    def steps(self, node: str) -> list[int]:
        """Processes of slurmstepd that keep their files in the node's spool."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (path / "comm").read_text().strip() == "slurmstepd":
                    files = [os.readlink(file) for file in (path / "fd").iterdir()]
                    if any(file.startswith(f"{self.directory}/spool-{node}/") for file in files) or any(
                        file == f"{self.directory}/slurmd-{node}.log" for file in files
                    ):
                        found.append(int(path.name))
        return found

    def close(self) -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            self.run("scancel", "--state=RUNNING", "--state=PENDING", "--partition=cpu")
            time.sleep(0.5)
        for node in self.nodes:
            for pid in self.steps(node):
                for victim in (*descendants(pid), pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim, 9)
        for daemon in reversed(self.daemons.values()):
            daemon.kill()
            daemon.wait()
