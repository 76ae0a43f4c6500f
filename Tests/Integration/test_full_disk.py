"""Disks that are full or cannot be written to: exit code 74, the file at fault by name, nothing under the final name.

What was done is kept.

Each test runs its commands where a small file system is mounted that nobody else sees and that goes with them.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from checkpoints import Shape, write_model, write_tokens
from jobs import LOCAL, Inputs, Job, assert_same_output
from processes import PATIENCE, Arguments, Programs, Run, json_object, last_line, only_line, succeeded
from safetensors.numpy import save_file

MakeJob = Callable[..., Job]
# Embeddings of half a megabyte are more than the small disk takes; a job directory or a cache is more too.
SHAPE = Shape(vocabulary=4096)
SMALL_DISK, LARGE_DISK = "320k", "64m"
NO_SPACE = "No space left on device"

UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--user", "--map-root-user"]


class Disk:
    """A small file system at `path`, as long as one shell script runs."""

    def __init__(self, programs: Programs, path: Path) -> None:
        self.programs, self.path = programs, path
        path.mkdir()

    def run(self, *lines: str, size: str = SMALL_DISK) -> Run[str]:
        mount = f"mount -t tmpfs -o size={size} none {self.path} || exit 99"
        return subprocess.run(
            [*UNSHARE, "sh", "-c", "\n".join([mount, *lines])],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            env=self.programs.environment,
            stdin=subprocess.DEVNULL,
        )

    def save_listing(self, listing: Path) -> str:
        """A line of the script that keeps the last exit code and the names on the disk."""
        return f"code=$?; ls -A {self.path} > {listing}"


def command(*parts: Arguments) -> str:
    return shlex.join(str(part) for part in parts)


@pytest.fixture
def disk(programs: Programs, tmp_path: Path) -> Disk:
    disk = Disk(programs, tmp_path / "disk")
    try:
        tried = disk.run("exit 0")
    except FileNotFoundError:
        pytest.skip("no unshare on this machine")
    if tried.returncode != 0:
        pytest.skip(f"this machine does not let us mount a file system: {tried.stderr.strip()}")
    return disk


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    directory = tmp_path_factory.mktemp("wide")
    return Inputs(write_model(directory / "model", SHAPE), write_tokens(directory / "tokens.safetensors"))


@pytest.fixture
def expected(wide: Inputs, make_job: MakeJob) -> Job:
    job = make_job(wide)
    succeeded(job.run(*LOCAL, "2"))
    return job


def launch(programs: Programs, inputs: Inputs, output: Path, job: Path) -> str:
    places = ["--output", output, "--job", job]
    return command(programs.coordinator, "launch", *inputs.options(), *places, *LOCAL, "2")


def test_no_room_for_the_output(disk: Disk, wide: Inputs, expected: Job, tmp_path: Path) -> None:
    """The job is resumed when there is room."""
    output, job, listing, saved = disk.path / "out", tmp_path / "job", tmp_path / "listing", tmp_path / "saved"
    resume = command(disk.programs.coordinator, "resume", "--job", job, *LOCAL, "1")
    status = command(disk.programs.coordinator, "status", "--job", job, "--json")
    done = disk.run(
        launch(disk.programs, wide, output, job),
        disk.save_listing(listing),
        f"{status} > {tmp_path / 'status'}",
        f"test $code = 74 || exit $code; mount -o remount,size={LARGE_DISK} {disk.path}",
        f"{resume} 2> {tmp_path / 'resumed'}",
        f"code=$?; cp -r {output} {saved}; exit $code",
    )
    line = last_line(done)
    assert done.returncode == 0, done.stderr
    assert line.startswith(f"crvq-coord: {output}.incomplete/model-00001-of-00001.safetensors: "), line
    assert f"{NO_SPACE}; go on with: crvq-coord resume --job " in line, line
    # It has not failed: it can go on.
    assert json.loads((tmp_path / "status").read_text())["state"] == "interrupted"
    assert "out" not in listing.read_text().split()
    assert_same_output(expected.output, saved)


def test_no_room_for_the_job_directory(disk: Disk, wide: Inputs, tmp_path: Path) -> None:
    output, job = tmp_path / "out", disk.path / "job"
    done = disk.run(launch(disk.programs, wide, output, job))
    assert done.returncode == 74
    line = last_line(done)
    assert line.startswith(f"crvq-coord: {job}"), line
    assert "space" in line, line
    assert not output.exists()


def test_no_room_in_a_workers_cache(disk: Disk, wide: Inputs, tmp_path: Path) -> None:
    """Temporary directories of workers lie where TMPDIR says. Others could do better, so the job can be resumed."""
    output, job = tmp_path / "out", tmp_path / "job"
    done = disk.run(f"TMPDIR={disk.path} {launch(disk.programs, wide, output, job)}")
    assert done.returncode == 75
    line = last_line(done)
    assert "failed too often" in line and "space" in line, line
    assert not output.exists()
    resumed = disk.programs.run("resume", "--job", job, *LOCAL, "1")
    succeeded(resumed)
    assert output.exists()


def test_copies_in_a_workers_cache_make_room(disk: Disk, long: Inputs, make_job: MakeJob) -> None:
    """The tasks need 17 MB on the disk. What is fetched and kept for later ones would come to 50."""
    tuned = ("--tune-epochs", "1")
    expected, job = make_job(long, *tuned), make_job(long, *tuned)
    succeeded(expected.run(*LOCAL, "2"))
    launched = command(job.programs.coordinator, *job.arguments(), *LOCAL, "2")
    succeeded(disk.run(f"TMPDIR={disk.path} {launched}", size="24m"))
    assert_same_output(expected.output, job.output)


def test_no_room_for_an_export(disk: Disk, expected: Job, tmp_path: Path) -> None:
    plain, listing = disk.path / "plain", tmp_path / "listing"
    done = disk.run(
        command(disk.programs.coordinator, "export", "--quantized", expected.output, "--output", plain),
        disk.save_listing(listing),
        "exit $code",
    )
    assert done.returncode == 74
    line = only_line(done)
    assert line.startswith(f"crvq-coord: {plain}") and line.endswith(NO_SPACE), line
    assert "plain" not in listing.read_text().split()


def test_no_room_for_a_fit(disk: Disk, wide: Inputs, tmp_path: Path) -> None:
    """W and its Gram are one and the same square matrix; only the place of the result matters."""
    inputs, output, listing = tmp_path / "in.safetensors", disk.path / "fit.safetensors", tmp_path / "listing"
    save_file({"W": np.eye(64, dtype=np.float32)}, inputs)
    fit = ["fit", "--input", inputs, "--weight", "W", "--gram", "W", "--output", output, "--json"]
    done = disk.run(
        f"head -c 1m /dev/zero > {disk.path / 'full'} 2> /dev/null",
        command(disk.programs.coordinator, *fit),
        disk.save_listing(listing),
        "exit $code",
    )
    assert done.returncode == 74
    assert done.stdout == ""
    line = only_line(done)
    assert line == f"crvq-coord: {output}: cannot write: {NO_SPACE}"
    assert listing.read_text() == "full\n"


def test_an_export_where_nothing_can_be_made(small_result: Job) -> None:
    done = small_result.programs.run("export", "--quantized", small_result.output, "--output", "/proc/plain")
    assert done.returncode == 74
    assert only_line(done).startswith("crvq-coord: /proc/plain: cannot make the output directory: ")


def test_a_cache_that_cannot_be_made(programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = programs.run_worker("--connect", "tcp://127.0.0.1:1", "--cache", tmp_path / "file")
    assert done.returncode == 74
    line = only_line(done)
    assert line.startswith(f"crvq-worker: {tmp_path / 'file'}/"), line
    assert line.endswith(": cannot make the cache directory: Not a directory"), line


def test_status_of_a_job_that_one_may_only_look_at(disk: Disk, small_result: Job) -> None:
    """SQLite writes beside a database in order to read it."""
    copy = disk.path / "job"
    done = disk.run(
        f"mkdir {copy} && cp {small_result.job}/job.sqlite* {small_result.job}/lock {copy} || exit 98",
        f"mount -o remount,ro {disk.path} || exit 99",
        command(disk.programs.coordinator, "status", "--job", copy, "--json"),
    )
    assert json_object(succeeded(done))["state"] == "finished"


def test_a_directory_that_cannot_be_made(small: Inputs, make_job: MakeJob) -> None:
    """A file stands where a directory is to be."""
    job = make_job(small)
    (job.directory / "job").write_text("mine")
    done = job.run(*LOCAL, "1")
    assert done.returncode == 74
    assert only_line(done).startswith(f"crvq-coord: {job.job}: ")
    assert (job.directory / "job").read_text() == "mine"
    assert not job.output.exists()
