"""Files that somebody removes, or has where a program wants its own: caches, locks, databases, places of outputs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Callable

import pytest
from checkpoints import INDEX, WEIGHTS, change_header
from jobs import LOCAL, MANUAL, Inputs, Job, assert_same_output
from processes import Arguments, Programs, last_line, only_line, succeeded, wait_until
from protocol import FIT, Task
from relays import Gate

MakeJob = Callable[..., Job]
MakeGate = Callable[..., Gate]
# The longest name that leaves room for ".incomplete.lock".
NAME_MAX = 255 - 16
# Tensors that an export copies: a while's work if nobody stops it.
EXTRA_TENSORS, EXTRA_BYTES = 128, 8 << 20


def is_fit_of_second_block(task: Task) -> bool:
    return (task.kind, task.block) == (FIT, 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_local_worker_whose_cache_is_removed_is_started_again(
    small: Inputs, small_result: Job, make_job: MakeJob, make_gate: MakeGate, workers: int
) -> None:
    """As those do that clean the place for temporary files."""
    job = make_job(small)
    gate = make_gate(job, is_fit_of_second_block)
    coordinator = job.start(*gate.local(workers))
    job.wait_until_fitted(1)
    gate.wait_until_it_holds()
    for number in range(1, workers + 1):
        wait_until(lambda name=f"local-{number}": job.has_joined(name), f"local-{number} has its cache")
    shutil.rmtree(job.programs.temporary / f"crvq-workers-{os.geteuid()}", ignore_errors=True)
    for number in range(1, workers + 1):
        said = f"worker local-{number} ended with status 74, input or output"
        wait_until(lambda said=said: said in coordinator.stderr, f"local-{number} ends")
    gate.open()
    done = coordinator.succeed()
    assert "worker local-1 left: its cache was removed" in done.stderr
    assert_same_output(small_result.output, job.output)


def test_a_worker_started_by_hand_says_that_its_cache_is_gone(
    small: Inputs, small_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    job = make_job(small)
    gate = make_gate(job, is_fit_of_second_block)
    coordinator = job.start(*MANUAL)
    cache = job.directory / "cache"
    first = gate.worker("first", "--cache", cache)
    job.wait_until_fitted(1)
    gate.wait_until_it_holds()
    shutil.rmtree(cache, ignore_errors=True)
    done = first.wait()
    assert done.returncode == 74
    line = last_line(done)
    assert line.startswith(f"crvq-worker: {cache}/"), line
    assert line.endswith(": somebody has removed this worker's files in it; start the worker again"), line
    gate.open()
    second = gate.worker("second", "--cache", cache)
    coordinator.succeed()
    second.succeed()
    assert_same_output(small_result.output, job.output)


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    shutil.copy(path, path.with_name("other"))
    path.with_name("other").rename(path)


def last_words_without(job: Job, lose: Callable[[], object]) -> str:
    """What a coordinator ends with that has lost something under way."""
    coordinator = job.start(*MANUAL)
    job.programs.endpoint(job.job)
    lose()
    done = coordinator.wait()
    assert done.returncode == 74
    return last_line(done)


@pytest.mark.parametrize("lose", [remove, replace])
def test_a_coordinator_without_its_lock_ends(
    small: Inputs, small_result: Job, make_job: MakeJob, lose: Callable[[Path], None]
) -> None:
    """Nothing would keep another from running the job."""
    job = make_job(small)
    line = last_words_without(job, lambda: lose(job.job / "lock"))
    assert line.startswith(f"crvq-coord: {job.job}/lock: was removed or replaced while the job ran"), line
    assert f"; go on with: crvq-coord resume --job {job.job}" in line, line
    succeeded(job.resume(*LOCAL, "1"))
    assert_same_output(small_result.output, job.output)


def test_of_two_coordinators_the_one_that_has_the_lock_goes_on(
    small: Inputs, small_result: Job, make_job: MakeJob
) -> None:
    job = make_job(small)
    first = job.start(*MANUAL)
    job.programs.endpoint(job.job)
    remove(job.job / "lock")
    second = job.programs.start("resume", "--job", job.job, *LOCAL, "1")
    assert first.wait().returncode == 74
    second.succeed()
    assert job.status()["state"] == "finished"
    assert_same_output(small_result.output, job.output)


@pytest.mark.parametrize("lose", [remove, replace])
def test_a_coordinator_without_its_database_ends(
    small: Inputs, make_job: MakeJob, lose: Callable[[Path], None]
) -> None:
    job = make_job(small)
    line = last_words_without(job, lambda: lose(job.job / "job.sqlite"))
    assert line.startswith(f"crvq-coord: {job.job}/job.sqlite: was removed, moved or replaced while the job ran"), line
    # What is there is not this job.
    assert "go on with" not in line, line


def test_what_is_missed_first_in_a_moved_directory_is_not_what_is_said(long: Inputs, make_job: MakeJob) -> None:
    """Results that come in find it gone before anybody looks at it."""
    job = make_job(long)
    coordinator = job.start(*LOCAL, "2")
    job.wait_until_fitted(2)
    job.job.rename(job.directory / "elsewhere")
    done = coordinator.wait()
    assert done.returncode == 74
    line = last_line(done)
    assert line.startswith(f"crvq-coord: {job.job}/job.sqlite: was removed, moved or replaced while the job ran"), line


def test_a_job_directory_that_is_moved_can_be_moved_back(
    small: Inputs, small_result: Job, make_job: MakeJob
) -> None:
    job = make_job(small)
    elsewhere = job.directory / "elsewhere"
    line = last_words_without(job, lambda: job.job.rename(elsewhere))
    assert "go on with" not in line, line
    elsewhere.rename(job.job)
    succeeded(job.resume(*LOCAL, "1"))
    assert_same_output(small_result.output, job.output)


def test_a_finished_job_has_no_staging_directory(small_result: Job) -> None:
    assert list((small_result.job / "artifacts").glob(".staging-*")) == []


def launch(programs: Programs, inputs: Inputs, output: Path) -> list[Arguments]:
    return ["launch", *inputs.options(), "--output", output, "--job", programs.directory / "job", *LOCAL, "1"]


def export(packed: Path, output: Path) -> list[Arguments]:
    return ["export", "--quantized", packed, "--output", output]


def test_an_output_name_without_room_for_its_lock_is_refused_at_once(
    programs: Programs, small: Inputs, small_result: Job, tmp_path: Path
) -> None:
    output = tmp_path / ("o" * (NAME_MAX + 1))
    for command in (launch(programs, small, output), export(small_result.output, output)):
        done = programs.run(*command)
        assert done.returncode == 74
        assert only_line(done) == f"crvq-coord: {output}: cannot make the output directory: File name too long"
    assert not (tmp_path / "job").exists()
    longest = tmp_path / ("o" * NAME_MAX)
    programs.succeed(*export(small_result.output, longest))
    assert longest.is_dir()


def make_directory(path: Path) -> None:
    path.mkdir()
    (path / "thesis").write_text("precious")


def make_file(path: Path) -> None:
    path.write_text("precious")


def make_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("name", ["out.incomplete", "out.incomplete.lock"])
@pytest.mark.parametrize("make", [make_directory, make_file, make_link])
def test_what_a_user_has_in_the_place_of_an_output_stays(
    programs: Programs, small: Inputs, small_result: Job, tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    output, place = tmp_path / "out", tmp_path / name
    make(place)
    before = sorted(tmp_path.rglob("out*"))
    for command in (launch(programs, small, output), export(small_result.output, output)):
        done = programs.run(*command)
        assert done.returncode == 64
        assert only_line(done).startswith(f"crvq-coord: {place}: is in the way, and not what crvq-coord has left")
    assert sorted(tmp_path.rglob("out*")) == before
    if make is make_directory:
        assert (place / "thesis").read_text() == "precious"
    if make is make_file:
        assert place.read_text() == "precious"
    assert not (tmp_path / "job").exists()


def test_what_a_user_puts_in_the_place_of_an_output_meanwhile_stays(
    small: Inputs, small_result: Job, make_job: MakeJob
) -> None:
    """The job goes on when it is gone."""
    job = make_job(small)
    coordinator = job.start(*MANUAL)
    job.programs.endpoint(job.job)
    place = job.output.with_name("out.incomplete")
    make_directory(place)
    job.worker("one")
    done = coordinator.wait()
    assert done.returncode == 75
    line = last_line(done)
    assert line.startswith(f"crvq-coord: {place}: is in the way") and "; go on with: " in line, line
    assert (place / "thesis").read_text() == "precious"
    assert job.status()["state"] == "interrupted"
    shutil.rmtree(place)
    succeeded(job.resume(*LOCAL, "1"))
    assert_same_output(small_result.output, job.output)


def test_what_a_killed_process_left_is_replaced(programs: Programs, small_result: Job, tmp_path: Path) -> None:
    left = tmp_path / "plain.incomplete"
    make_directory(left)
    left.with_name("plain.incomplete.lock").touch()
    programs.succeed(*export(small_result.output, tmp_path / "plain"))
    assert not (tmp_path / "plain" / "thesis").exists()
    assert [path.name for path in tmp_path.glob("plain*")] == ["plain"]


def enlarge(packed: Path) -> None:
    """Adds tensors to a packed model, of which the file has no more than the sizes, and no index."""
    (packed / INDEX).unlink()
    (path,) = packed.glob("*.safetensors")
    path = path.rename(packed / WEIGHTS)

    def declare(text: str) -> str:
        tensors = json.loads(text)
        end = max(tensor["data_offsets"][1] for name, tensor in tensors.items() if name != "__metadata__")
        for number in range(EXTRA_TENSORS):
            places = [end + number * EXTRA_BYTES, end + (number + 1) * EXTRA_BYTES]
            tensors[f"unused.{number}"] = {"dtype": "F16", "shape": [EXTRA_BYTES // 2], "data_offsets": places}
        return json.dumps(tensors)

    change_header(path, declare)
    os.truncate(path, path.stat().st_size + EXTRA_TENSORS * EXTRA_BYTES)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_an_export_that_is_stopped_leaves_nothing(
    programs: Programs, small_result: Job, tmp_path: Path, number: signal.Signals
) -> None:
    packed, plain = Path(shutil.copytree(small_result.output, tmp_path / "packed")), tmp_path / "plain"
    enlarge(packed)
    process = programs.start(*export(packed, plain))
    begun = tmp_path / "plain.incomplete"
    wait_until(lambda: begun.exists() or not process.is_running, "the export has begun")
    process.send(number)
    done = process.wait()
    assert done.returncode == 75, done.stderr
    assert only_line(done) == f"crvq-coord: stopped by {number.name}"
    assert list(tmp_path.glob("plain*")) == []


@pytest.mark.parametrize("is_worker", [False, True], ids=["coordinator", "worker"])
def test_a_process_that_is_told_to_quit_does_so_at_once(small: Inputs, make_job: MakeJob, is_worker: bool) -> None:
    job = make_job(small)
    # However the tests are run, the signal is not ignored, and nothing is left of it.
    prefix = ["sh", "-c", 'ulimit -c 0; exec env --default-signal=QUIT "$@"', "sh"]
    if is_worker:
        process = job.programs.worker("tcp://127.0.0.1:1", "one", prefix=prefix)
        wait_until(lambda: "connects to" in process.stderr, "the worker runs")
    else:
        process = job.start(*MANUAL, prefix=prefix)
        job.programs.endpoint(job.job)
    process.send(signal.SIGQUIT)
    done = process.wait(patience=10)
    assert done.returncode == -signal.SIGQUIT
    assert "crash" not in done.stderr, done.stderr


@pytest.mark.parametrize(("name", "code"), [("lock", 0), ("job.sqlite", 65)])
def test_the_status_does_not_wait_for_a_pipe(
    programs: Programs, small_result: Job, tmp_path: Path, name: str, code: int
) -> None:
    job = Path(shutil.copytree(small_result.job, tmp_path / "job"))
    (job / name).unlink()
    os.mkfifo(job / name)
    done = programs.run("status", "--job", job, timeout=30)
    assert done.returncode == code, done.stderr


@pytest.mark.parametrize("name", ["lock", "log/coordinator.log"])
def test_a_launch_does_not_wait_for_a_pipe(small: Inputs, make_job: MakeJob, name: str) -> None:
    job = make_job(small)
    pipe = job.job / name
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    done = job.run(*LOCAL, "1", timeout=30)
    assert done.returncode == 74
    assert only_line(done) == f"crvq-coord: {pipe}: expected a file, got something else; remove it"


def test_a_line_has_no_control_characters(programs: Programs, tmp_path: Path) -> None:
    """What a program says may quote what is in a file, or a file's name, and goes to a terminal."""
    done = programs.run("inspect", "--quantized", tmp_path / "a\x1b[31m\tb")
    assert done.returncode == 65
    assert re.search(r"/a\\u\{0*1B\}\[31m\\tb", only_line(done)), done.stderr
