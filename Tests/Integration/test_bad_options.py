"""Options that make no sense: exit code 64 and one line that names the option, before anything is made."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Callable

import pytest
from jobs import LOCAL, Inputs, Job
from processes import PATIENCE, Programs, only_line

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
    "distilling": (["--distill-epochs", "101"], ["--distill-epochs", "101", "100"]),
    "group size": (["--group-size", "5"], ["--group-size is 5", "4, 8 or 16"]),
    "no codebook": (["--codebook-bits", ""], ["--codebook-bits"]),
    "codebook bits that are no numbers": (["--codebook-bits", "8,x"], ["--codebook-bits", "8,x"]),
    "codebook bits out of range": (["--codebook-bits", "8,13"], ["--codebook-bits is '8,13'"]),
    "critical ratio": (["--critical-ratio", "1.5"], ["--critical-ratio is 1.5"]),
    "critical ratio that is no number": (["--critical-ratio", "nan"], ["--critical-ratio is nan"]),
    "importance": (["--importance", "luck"], ["--importance", "luck"]),
    "propagation": (["--propagation", "headmaster"], ["--propagation", "headmaster"]),
    "error bound": (["--max-relative-error", "0"], ["--max-relative-error"]),
    "more workers than can be": (["--workers", "1000000000"], ["--workers", "at most 4096"]),
    "no sequence": (["--sequences", "0"], ["--sequences", "0"]),
    "all held out": (["--held-out", "16"], ["--held-out", "16", "1 to 15"]),
    "no shard": (["--shards", "0"], ["--shards", "0"]),
    "more shards than can be": (["--shards", "513"], ["--shards", "at most 512"]),
    "an endpoint that is none": (["--bind", "localhost"], ["--bind", "localhost", "tcp://HOST:PORT"]),
    "such an endpoint with a cluster": (["--cluster", "c.yaml", "--bind", "here"], ["--bind here", "tcp://HOST:PORT"]),
    "a port with a sign": (["--bind", "tcp://127.0.0.1:+80"], ["--bind tcp://127.0.0.1:+80", "plain digits"]),
    "an empty model": (["--model", ""], ["--model", "expected a path"]),
    "empty tokens": (["--calibration", ""], ["--calibration", "expected a path"]),
    "an empty output": (["--output", ""], ["--output", "expected a path"]),
    "an empty job": (["--job", ""], ["--job", "expected a path"]),
    "an empty cluster": (["--cluster", ""], ["--cluster", "expected a path"]),
    "empty keys": (["--keys", ""], ["--keys", "expected a path"]),
    "rounds": (["--rounds", "0"], ["--rounds is 0", "1 to 1000"]),
    "beam": (["--beam", "65"], ["--beam is 65", "1 to"]),
    "unknown option": (["--faster"], ["unknown option '--faster'; see crvq-coord launch --help"]),
    "a misspelled option": (["--modle", "m"], ["unknown option '--modle'; did you mean '--model'?"]),
    "a share in per cent": (["--critical-ratio", "2%"], ["'2%' is invalid", ": Share of channels"]),
    "a negative number": (["--workers", "-2"], ["--workers=-2", ": Workers to start"]),
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
    assert only_line(done) == "crvq-coord: no command 'lunch'; did you mean 'launch'?"


@pytest.mark.parametrize("command", ["launch", "evaluate"])
def test_a_misspelled_option_is_named_before_what_is_missing(programs: Programs, command: str) -> None:
    done = programs.run(command, "--modle", "m")
    assert done.returncode == 64
    assert only_line(done) == "crvq-coord: unknown option '--modle'; did you mean '--model'?"


def test_an_unknown_command_with_options(programs: Programs) -> None:
    done = programs.run("lanch", "--model", "m")
    assert done.returncode == 64
    assert only_line(done) == "crvq-coord: no command 'lanch'; did you mean 'launch'?"


@pytest.mark.parametrize("arguments", [["--help"], ["launch", "--help"], ["--version"]])
def test_what_is_asked_for_is_no_error(programs: Programs, arguments: list[str]) -> None:
    done = programs.succeed(*arguments)
    assert done.stdout and not done.stderr


WORKER = {
    "no slot": (["--slots", "0"], ["--slots", "0", "at least 1"]),
    "no thread": (["--threads", "0"], ["--threads", "0", "at least 1"]),
    "more threads than there are numbers": (["--threads", str(1 << 32)], ["--threads", "at most 1024"]),
    "more slots than there are numbers": (["--slots", str(1 << 32)], ["--slots", "at most 1024"]),
    "memory": (["--memory", "lots"], ["--memory", "lots", "16G"]),
    "memory without a unit": (["--memory", "16"], ["--memory is '16'", "K, M, G or T"]),
    "hardly any memory": (["--memory", "16K"], ["--memory is '16K'", "at least 1M"]),
    "copies without a unit": (["--copies", "4"], ["--copies is '4'", "K, M, G or T"]),
    "keys and none": (["--keys", "keys", "--insecure"], ["--insecure", "--keys"]),
    "another machine": (["--connect", "tcp://192.0.2.1:7711"], ["tcp://192.0.2.1:7711", "--keys DIR", "--insecure"]),
    "an endpoint that is none": (["--connect", "localhost:7711"], ["localhost:7711", "tcp://HOST:PORT"]),
    "no port": (["--connect", "tcp://127.0.0.1:0"], ["--connect tcp://127.0.0.1:0", "from 1 to 65535"]),
    "any port": (["--connect", "tcp://127.0.0.1:*"], ["--connect tcp://127.0.0.1:*", "from 1 to 65535"]),
    "no name": (["--name", ""], ["--name", "expected 1 to 256"]),
    "a name too long": (["--name", "x" * 257], ["--name", "257 bytes", "1 to 256"]),
    "fewer threads than slots": (["--threads", "2", "--slots", "8"], ["--slots is 8", "as many as --threads, 2"]),
    "fewer cores than slots": (["--slots", "1024"], ["--slots is 1024", "as many as cores"]),
    "an empty cache": (["--cache", ""], ["--cache", "expected a path"]),
    "empty keys": (["--keys", ""], ["--keys", "expected a path"]),
    "unknown option": (["--faster"], ["unknown option '--faster'; see crvq-worker --help"]),
    "a misspelled option": (["--slot", "2"], ["unknown option '--slot'; did you mean '--slots'?"]),
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


def test_cores_are_those_that_a_worker_may_use(programs: Programs) -> None:
    command = ["taskset", "--cpu-list", "0", programs.worker_program, "--connect", "tcp://127.0.0.1:1", "--slots", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 64
    assert "--slots is 2, expected at most as many as cores, 1," in only_line(done)


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


# Places of the output and the job; beside the model there are a file and a directory that is not empty.
PLACES = {
    "an output that exists": ("full", "job", 64, "{output}: exists"),
    "an output under a file": ("file/out", "job", 74, "{output}: cannot make the output directory: Not a directory"),
    "an output where none can be made": ("/proc/out", "job", 74, "{output}: cannot make the output directory: "),
    "a job under a file": ("out", "file/job", 74, "{job}: cannot be the job directory: Not a directory"),
    "a job that is a file": ("out", "file", 74, "{job}: cannot be the job directory: Not a directory"),
    "a job among other files": ("out", "full", 64, "{job}: is no job's directory, it has mine in it"),
    "a job in a model": ("out", "model", 64, "{job}: is no job's directory, it has config.json in it"),
    "a job inside its output": ("out", "out/job", 64, "--job {job}: lies in --output"),
    "a job that is its output": ("out", "out", 64, "--job {job}: lies in --output"),
}


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["launch", "dry run"])
@pytest.mark.parametrize("case", PLACES)
def test_places_that_a_job_cannot_have(
    programs: Programs, copies: Inputs, tmp_path: Path, case: str, options: list[str]
) -> None:
    """Refused before any work: the output is made when the job is done, and its place is needed only then."""
    output, job, code, said = PLACES[case]
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full" / "mine").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    what = ["launch", *copies.options(), "--output", tmp_path / output, "--job", tmp_path / job]
    done = programs.run(*what, *LOCAL, "1", *options)
    assert done.returncode == code
    line = only_line(done)
    assert line.startswith("crvq-coord: " + said.format(output=tmp_path / output, job=tmp_path / job)), line
    assert sorted(tmp_path.rglob("*")) == before


EMPTY_PATHS = [
    ["resume", "--job", ""],
    ["status", "--job", ""],
    ["inspect", "--quantized", ""],
    ["verify", "--model", "", "--quantized", "x"],
    ["evaluate", "--tokens", "", "--model", "x"],
    ["export", "--output", "", "--quantized", "x"],
    ["keygen", "--output", ""],
]


@pytest.mark.parametrize("command", EMPTY_PATHS, ids=lambda command: command[0])
def test_an_empty_path_is_not_the_current_directory(programs: Programs, tmp_path: Path, command: list[str]) -> None:
    done = programs.run(*command, cwd=tmp_path)
    assert done.returncode == 64
    line = only_line(done)
    assert command[1] in line and line.endswith("expected a path, got nothing"), line


def test_a_slash_at_the_end_of_the_output_means_nothing(programs: Programs, small: Inputs, tmp_path: Path) -> None:
    done = programs.run("launch", *small.options(), "--output", f"{tmp_path}/out/", *LOCAL, "1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.job" / "job.sqlite").exists()


def test_what_was_in_a_directory_before_stays_there(small: Inputs, make_job: MakeJob) -> None:
    """Also under names that a job uses itself."""
    job = make_job(small)
    (job.job / "artifacts").mkdir(parents=True)
    (job.job / "artifacts" / "mine").write_text("mine")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = job.run(*LOCAL, "1", "--bind", f"tcp://127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 74
    assert [path.relative_to(job.job) for path in sorted(job.job.rglob("*"))] == [Path("artifacts"), Path("artifacts/mine")]


def test_a_job_without_a_worker_program_leaves_nothing(
    binaries: Path, small: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(binaries / "crvq-coord", alone)
    monkeypatch.setenv("PATH", "/nowhere")
    job = Job(Programs(alone, tmp_path), small, tmp_path / "directory")
    job.directory.mkdir()
    done = job.run(*LOCAL, "1")
    assert done.returncode == 64
    assert "crvq-worker" in only_line(done)
    assert list(job.directory.iterdir()) == []
