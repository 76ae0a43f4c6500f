"""Options that make no sense: exit code 64 and one line that names the option, before anything is made."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Callable

import pytest
from jobs import LOCAL, Inputs, Job
from processes import Programs, only_line

MakeJob = Callable[..., Job]

LAUNCH = {
    "no worker": (["--workers", "0"], ["--workers", "0", "at least 1"]),
    "fewer than no worker": (["--workers=-2"], ["--workers", "-2"]),
    "workers that are no number": (["--workers", "two"], ["--workers", "two"]),
    "workers of a launcher that starts none": (["--launcher", "none", "--workers", "2"], ["--workers", "local"]),
    "unknown launcher": (["--launcher", "magic"], ["--launcher", "magic"]),
    "ssh to nowhere": (["--launcher", "ssh"], ["--launcher ssh", "--cluster FILE.yaml"]),
    "slurm without a partition": (["--launcher", "slurm"], ["--launcher slurm", "--cluster FILE.yaml"]),
    "a cluster for no launcher": (["--launcher", "none", "--cluster", "c.yaml"], ["--cluster", "local, ssh or slurm"]),
    "a dry run of nothing": (["--launcher", "none", "--dry-run"], ["--dry-run", "--launcher none"]),
    "keys and none": (["--keys", "keys", "--insecure"], ["--insecure", "--keys"]),
    "open to all machines": (["--bind", "tcp://0.0.0.0:0"], ["--bind tcp://0.0.0.0:0", "--keys DIR", "--insecure"]),
    "open to all machines, IPv6": (["--bind", "tcp://[::]:0"], ["--bind tcp://[::]:0", "--keys DIR", "--insecure"]),
    "a name like a loopback address": (["--bind", "tcp://127.0.0.1.example:0"], ["--keys DIR", "--insecure"]),
    "dashboard": (["--dashboard", "127.0.0.1:99999"], ["--dashboard", "127.0.0.1:99999"]),
    "tuning": (["--tune-epochs=-1"], ["--tune-epochs", "-1"]),
    "group size": (["--group-size", "5"], ["5", "4, 8 or 16"]),
    "no codebook": (["--codebook-bits", ""], ["--codebook-bits"]),
    "codebook bits that are no numbers": (["--codebook-bits", "8,x"], ["--codebook-bits", "8,x"]),
    "codebook bits out of range": (["--codebook-bits", "8,13"], ["13"]),
    "critical ratio": (["--critical-ratio", "1.5"], ["1.5"]),
    "critical ratio that is no number": (["--critical-ratio", "nan"], ["nan"]),
    "importance": (["--importance", "luck"], ["--importance", "luck"]),
    "propagation": (["--propagation", "headmaster"], ["--propagation", "headmaster"]),
    "error bound": (["--max-relative-error", "0"], ["--max-relative-error"]),
    "no sequence": (["--sequences", "0"], ["--sequences", "0"]),
    "all held out": (["--held-out", "16"], ["--held-out", "16", "1 to 15"]),
    "no shard": (["--shards", "0"], ["--shards", "0"]),
    "an endpoint that is none": (["--bind", "localhost"], ["--bind", "localhost", "tcp://HOST:PORT"]),
    "unknown option": (["--faster"], ["--faster"]),
    "a value too many": (["extra"], ["extra"]),
}


@pytest.mark.parametrize("case", LAUNCH)
def test_launch_refuses(small: Inputs, make_job: MakeJob, case: str) -> None:
    options, fragments = LAUNCH[case]
    job = make_job(small)
    done = job.run(*options)
    assert done.returncode == 64
    line = only_line(done)
    assert line.startswith("crvq-coord: "), line
    for fragment in fragments:
        assert fragment in line, line
    assert list(job.directory.iterdir()) == []


@pytest.mark.parametrize("missing", ["--model", "--calibration", "--output"])
def test_launch_names_what_is_missing(programs: Programs, missing: str) -> None:
    given = [part for name in ("--model", "--calibration", "--output") if name != missing for part in (name, "x")]
    done = programs.run("launch", *given)
    assert done.returncode == 64
    assert missing in only_line(done)


def test_an_unknown_command(programs: Programs) -> None:
    done = programs.run("lunch")
    assert done.returncode == 64
    assert "lunch" in only_line(done)


@pytest.mark.parametrize("arguments", [["--help"], ["launch", "--help"], ["--version"]])
def test_what_is_asked_for_is_no_error(programs: Programs, arguments: list[str]) -> None:
    done = programs.succeed(*arguments)
    assert done.stdout and not done.stderr


WORKER = {
    "no slot": (["--slots", "0"], ["--slots", "0", "at least 1"]),
    "no thread": (["--threads", "0"], ["--threads", "0", "at least 1"]),
    "memory": (["--memory", "lots"], ["--memory", "lots", "16G"]),
    "keys and none": (["--keys", "keys", "--insecure"], ["--insecure", "--keys"]),
    "another machine": (["--connect", "tcp://192.0.2.1:7711"], ["tcp://192.0.2.1:7711", "--keys DIR", "--insecure"]),
    "an endpoint that is none": (["--connect", "localhost:7711"], ["localhost:7711", "tcp://HOST:PORT"]),
    "unknown option": (["--faster"], ["--faster"]),
}


@pytest.mark.parametrize("case", WORKER)
def test_a_worker_refuses(programs: Programs, case: str) -> None:
    options, fragments = WORKER[case]
    endpoint = [] if "--connect" in options else ["--connect", "tcp://127.0.0.1:1"]
    done = programs.run_worker(*endpoint, *options)
    assert done.returncode == 64
    line = only_line(done)
    assert line.startswith("crvq-worker: "), line
    for fragment in fragments:
        assert fragment in line, line


def test_a_port_in_use(small: Inputs, make_job: MakeJob) -> None:
    job = make_job(small)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = job.run(*LOCAL, "1", "--bind", endpoint)
    assert done.returncode == 74
    assert only_line(done).startswith(f"crvq-coord: {endpoint}: address already in use")
    assert not job.output.exists()


@pytest.mark.parametrize("kind", ["directory", "empty directory", "file"])
def test_an_output_that_exists(small: Inputs, make_job: MakeJob, kind: str) -> None:
    job = make_job(small)
    if kind == "file":
        job.output.write_text("mine")
    else:
        job.output.mkdir()
    if kind == "directory":
        (job.output / "notes.txt").write_text("mine")
    before = sorted(job.directory.rglob("*"))
    done = job.run(*LOCAL, "1")
    assert done.returncode == 64
    assert only_line(done).startswith(f"crvq-coord: {job.output}: exists")
    assert sorted(job.directory.rglob("*")) == before
