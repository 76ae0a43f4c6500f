"""Machines on one machine: network namespaces, each with a cable to a switch that can be pulled."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess

HUB_ADDRESS = "10.231.77.1"


def why_not() -> str | None:
    """Why namespaces cannot be made here; nothing if they can."""
    if shutil.which("ip") is None:
        return "there is no ip command (package iproute2)"
    if os.geteuid() != 0:
        return "network namespaces take root"
    probe = f"{unused_name()}-probe"
    for command in (["netns", "add", probe], ["-n", probe, "link", "add", "switch", "type", "bridge"]):
        done = subprocess.run(["ip", *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            subprocess.run(["ip", "netns", "delete", probe], capture_output=True, check=False)
            return f"ip {' '.join(command)}: {done.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", probe], check=True)
    return None


def unused_name() -> str:
    """Not that of a killed run, whose namespaces are still there: a process may have the same number."""
    return f"crvq-{secrets.token_hex(4)}"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Network:
    """A hub with a switch, where the coordinator is, and some machines."""

    def __init__(self, machines: int) -> None:
        self._prefix = unused_name()
        self.machines = range(machines)
        self.hub = f"{self._prefix}-hub"

    def machine(self, number: int) -> str:
        return f"{self._prefix}-{number}"

    def address(self, number: int) -> str:
        return f"10.231.77.{10 + number}"

    def __enter__(self) -> Network:
        ip("netns", "add", self.hub)
        ip("-n", self.hub, "link", "set", "lo", "up")
        ip("-n", self.hub, "link", "add", "switch", "type", "bridge")
        ip("-n", self.hub, "address", "add", f"{HUB_ADDRESS}/24", "dev", "switch")
        ip("-n", self.hub, "link", "set", "switch", "up")
        for number in self.machines:
            self._add(number)
        return self

    def _add(self, number: int) -> None:
        machine, port = self.machine(number), f"port{number}"
        ip("netns", "add", machine)
        ip("-n", machine, "link", "set", "lo", "up")
        ip("-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", "cable", "netns", machine)
        ip("-n", self.hub, "link", "set", port, "master", "switch", "up")
        ip("-n", machine, "address", "add", f"{self.address(number)}/24", "dev", "cable")
        ip("-n", machine, "link", "set", "cable", "up")

    def __exit__(self, *_: object) -> None:
        for name in (self.hub, *(self.machine(number) for number in self.machines)):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def pull_cable(self, number: int) -> None:
        """Neither end is told: the machine's own side stays up, and what it sends is lost."""
        ip("-n", self.hub, "link", "set", f"port{number}", "down")

    def plug_in(self, number: int) -> None:
        ip("-n", self.hub, "link", "set", f"port{number}", "up")


def inside(namespace: str) -> list[str]:
    """What a command starts with to run there."""
    return ["ip", "netns", "exec", namespace]
