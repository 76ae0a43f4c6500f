"""The built commands as processes: started, watched, killed, and what they leave behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable

Run = subprocess.CompletedProcess
Arguments = Any

# How long anything may take before a test gives up on it; no test measures time.
PATIENCE = 240.0


class Process:
    """A command that runs beside the test, its output in files."""

    def __init__(self, command: list[str], directory: Path, environment: dict[str, str]) -> None:
        self.command = command
        number = len(list(directory.glob("*.stderr")))
        base = directory / f"{Path(command[0]).name}-{number}"
        self._stdout, self._stderr = base.with_suffix(".stdout"), base.with_suffix(".stderr")
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self._popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdout(self) -> str:
        return self._stdout.read_text()

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        self.send(signal.SIGSTOP)
        yield
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, also to a stopped process; returns when it is gone."""
        self._popen.kill()
        self._popen.wait()

    def wait(self, patience: float = PATIENCE) -> Run[str]:
        code = self._popen.wait(timeout=patience)
        return Run(self.command, code, self.stdout, self.stderr)

    def wait_for_memory(self) -> tuple[Run[str], int]:
        """As `wait`, and the most bytes the process had in memory at a time, without its children."""
        peak = 0
        while self._popen.poll() is None:
            peak = max(peak, high_water_mark(self.pid))
            time.sleep(0.02)
        return self.wait(), peak

    def succeed(self, patience: float = PATIENCE) -> Run[str]:
        return succeeded(self.wait(patience))


def high_water_mark(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def is_alive(pid: int) -> bool:
    """Whether there is such a process. One that has ended is none, even if its parent never asks about it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def succeeded(done: Run[str]) -> Run[str]:
    assert done.returncode == 0, f"{done.args} exited with {done.returncode}\n{done.stderr[-4000:]}"
    return done


def last_line(done: Run[str]) -> str:
    """The line on standard error that says why a command failed. Nothing in the output is a stack trace."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert lines, f"{done.args} exited with {done.returncode} and said nothing"
    for sign in ("Fatal error", "stack trace", "*** Program crashed", "Thread 0 crashed", "Usage:"):
        assert sign not in done.stderr, done.stderr
    return lines[-1]


def only_line(done: Run[str]) -> str:
    """The one line on standard error of a command that was refused before it did anything."""
    line = last_line(done)
    assert done.stderr.splitlines() == [line], done.stderr
    assert done.stdout == "", done.stdout
    return line


def wait_until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {patience:.0f} s in vain until {what}")


class Programs:
    """crvq-coord and crvq-worker, and every process a test has started with them."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self.coordinator, self.worker_program = binaries / "crvq-coord", binaries / "crvq-worker"
        self.directory = directory
        # Workers keep what they make in the temporary directory, and sweep it.
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self.environment = {**os.environ, "TMPDIR": str(self.temporary)}
        self._started: list[Process] = []

    def run(self, *arguments: Arguments, **options: Any) -> Run[str]:
        """Runs crvq-coord to its end."""
        return self._run(self.coordinator, *arguments, **options)

    def run_worker(self, *arguments: Arguments, **options: Any) -> Run[str]:
        """Runs crvq-worker to its end."""
        return self._run(self.worker_program, *arguments, **options)

    def _run(self, *command: Arguments, **options: Any) -> Run[str]:
        options = {"timeout": PATIENCE, "stdin": subprocess.DEVNULL, "env": self.environment, **options}
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)

    def succeed(self, *arguments: Arguments) -> Run[str]:
        return succeeded(self.run(*arguments))

    def json(self, *arguments: Arguments) -> dict[str, Any]:
        """The one JSON object that a command prints with --json."""
        return json_object(self.succeed(*arguments, "--json"))

    def start(self, *arguments: Arguments, prefix: Sequence[Arguments] = ()) -> Process:
        """Starts crvq-coord, through the command `prefix` if there is one."""
        return self._start(*prefix, self.coordinator, *arguments)

    def worker(self, endpoint: str, name: str, *options: Arguments, prefix: Sequence[Arguments] = ()) -> Process:
        threads = [] if "--threads" in options else ["--threads", "1"]
        command = [*prefix, self.worker_program, "--connect", endpoint, "--name", name]
        return self._start(*command, *threads, *options)

    def _start(self, *command: Arguments) -> Process:
        process = Process([str(part) for part in command], self.directory, self.environment)
        self._started.append(process)
        return process

    def status(self, job: Path) -> dict[str, Any]:
        """`status --json`, empty as long as there is no job."""
        if not (job / "job.sqlite").exists():
            return {}
        done = self.run("status", "--job", job, "--json")
        return json_object(done) if done.returncode == 0 else {}

    def endpoint(self, job: Path) -> str:
        """Where a running job listens."""
        return wait_until(lambda: self.status(job).get("endpoint"), f"{job} listens")

    def kill_all(self) -> None:
        for process in self._started:
            if process.is_running:
                process.kill()


def json_object(done: Run[str]) -> dict[str, Any]:
    assert done.stdout.count("\n") == 1 and done.stdout.endswith("\n"), done.stdout
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


def query(job: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of a job's database, which a coordinator may be writing."""
    connection = sqlite3.connect(f"file:{job / 'job.sqlite'}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def listening_ports(pid: int) -> list[int]:
    """The TCP ports of the loopback interface on which a process listens."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            sockets.add(target[8:-1])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in sockets]


def free_ports(count: int) -> list[int]:
    """As many different ports of the loopback interface, for programs that cannot choose theirs."""
    found: list[int] = []
    while len(found) < count:
        # Below those that the system gives to whoever asks for any.
        port = random.randrange(15_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in found:
                found.append(port)
    return found


def random_seed() -> int:
    """Another one in each run, unless CRVQ_SEED says which; printed, so that a run that failed can be repeated."""
    seed = int(os.environ.get("CRVQ_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}")
    return seed


def local_workers(job: Path) -> list[int]:
    """Process ids of the workers that are part of a job now."""
    return [pid for (pid,) in query(job, "SELECT pid FROM worker WHERE left_at IS NULL")]
