"""Machines that ssh reaches: a real sshd on loopback, or in network namespaces."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from namespaces import Network, inside
from processes import free_ports, wait_until

SSHD = "/usr/sbin/sshd"


def why_not() -> str | None:
    """Why no sshd can be started here."""
    if not Path(SSHD).exists():
        return "sshd is not installed (Debian's openssh-server; scripts/test installs it)"
    if shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        return "the OpenSSH client is not installed"
    return None


def keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


@dataclass
class Host:
    name: str
    address: str
    port: int
    directory: Path
    # What a command on this machine starts with.
    prefix: Sequence[str] = ()
    daemon: subprocess.Popen[bytes] = field(init=False)

    @property
    def home(self) -> Path:
        """Where programs that are brought to the host go: each has its own, as it would on a machine of its own."""
        return self.directory / f"{self.name}-home"

    @property
    def configuration(self) -> Path:
        return self.directory / f"sshd-{self.name}"

    def start(self) -> None:
        with (self.directory / f"sshd-{self.name}.log").open("ab") as log:
            command = [*self.prefix, SSHD, "-D", "-e", "-f", str(self.configuration)]
            self.daemon = subprocess.Popen(command, stderr=log)

    def kill(self) -> None:
        """The machine is gone: its sshd, and every process that came of it."""
        # So that it takes no connection meanwhile.
        self.daemon.send_signal(signal.SIGSTOP)
        for pid in descendants(self.daemon.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.daemon.kill()
        self.daemon.wait()


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, left = [], [pid]
    while left:
        left += (new := children.get(left.pop(), []))
        found += new
    return found


class Machines:
    """Hosts with an sshd each, known to ssh by name through a configuration of their own."""

    def __init__(self, directory: Path, prefix: Sequence[str] = ()) -> None:
        self.directory = directory
        # What a command starts with from where they are reached.
        self.prefix = prefix
        self.hosts: list[Host] = []
        keygen(directory / "host_key")
        keygen(directory / "user_key")
        (directory / "authorized_keys").write_text((directory / "user_key.pub").read_text())

    @property
    def config(self) -> Path:
        return self.directory / "config"

    # Without SHLVL, a login shell would read the start-up files of whoever runs the tests.
    def add(self, name: str, address: str, port: int, prefix: Sequence[str] = ()) -> Host:
        host = Host(name, address, port, self.directory, prefix)
        host.home.mkdir()
        host.configuration.write_text(
            f"Port {port}\nListenAddress {address}\nHostKey {self.directory}/host_key\nPidFile none\n"
            f"AuthorizedKeysFile {self.directory}/authorized_keys\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nPermitRootLogin yes\n"
            f"SetEnv XDG_CACHE_HOME={host.home} TMPDIR={host.home} SHLVL=2\n"
        )
        # Where an sshd of root's locks itself up.
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        host.start()
        self.hosts.append(host)
        self.write_config()
        return host

    def write_config(self, *extra: str) -> None:
        lines = [
            f"Host {host.name}\n  HostName {host.address}\n  Port {host.port}\n" for host in self.hosts
        ] + list(extra)
        common = (
            f"Host *\n  User {getpass.getuser()}\n  IdentityFile {self.directory}/user_key\n  IdentitiesOnly yes\n"
            f"  StrictHostKeyChecking no\n  UserKnownHostsFile {self.directory}/known_hosts\n  LogLevel ERROR\n"
        )
        self.config.write_text("".join(lines) + common)

    def wait(self) -> None:
        for host in self.hosts:
            wait_until(lambda host=host: self.answers(host), f"sshd of {host.name} answers")

    def answers(self, host: Host) -> bool:
        command = [*self.prefix, "ssh", "-F", str(self.config), "-oBatchMode=yes", host.name, "true"]
        done = subprocess.run(command, capture_output=True, check=False)
        return done.returncode == 0

    def close(self) -> None:
        for host in self.hosts:
            host.kill()


@contextlib.contextmanager
def on_loopback(directory: Path) -> Iterator[Machines]:
    """One machine: this one."""
    machines = Machines(directory)
    try:
        (port,) = free_ports(1)
        machines.add("loop", "127.0.0.1", port)
        machines.wait()
        yield machines
    finally:
        machines.close()


@contextlib.contextmanager
def in_namespaces(network: Network, directory: Path) -> Iterator[Machines]:
    """Each machine of a network, reached from its hub."""
    machines = Machines(directory, inside(network.hub))
    try:
        for number in network.machines:
            machines.add(f"node{number}", network.address(number), 22, inside(network.machine(number)))
        machines.wait()
        yield machines
    finally:
        machines.close()
