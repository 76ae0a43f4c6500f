"""Job directories that exist: what is refused by name, what is taken up again, and what has been damaged since."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Callable

import pytest
from checkpoints import EMBEDDINGS, SMALL, change_config, change_tensor, write_tokens
from jobs import LOCAL, MANUAL, REPORT, Inputs, Job, assert_same_output, report
from processes import Programs, json_object, last_line, only_line, succeeded, wait_until
from protocol import FIT
from relays import Gate

MakeJob = Callable[..., Job]


def stopped(job: Job) -> Job:
    """A job that was begun, and interrupted before any worker came."""
    coordinator = job.start(*MANUAL)
    job.programs.endpoint(job.job)
    coordinator.kill()
    assert job.status()["state"] == "interrupted"
    return job


def retokenize(inputs: Inputs) -> None:
    write_tokens(inputs.tokens, seed=99)


def reweigh(inputs: Inputs) -> None:
    change_tensor(inputs.model, EMBEDDINGS, lambda weight: -weight)


CHANGES: dict[str, tuple[Callable[[Inputs], None], str]] = {
    "model": (reweigh, "the model {model} differs"),
    "config": (lambda inputs: change_config(inputs.model, rms_norm_eps=1e-6), "the model {model} differs"),
    "tokens": (retokenize, "the tokens {tokens} differ"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("command", ["launch", "resume"])
def test_changed_inputs_are_refused(copies: Inputs, make_job: MakeJob, command: str, change: str) -> None:
    job = stopped(make_job(copies))
    apply, message = CHANGES[change]
    apply(copies)
    done = job.run(*LOCAL, "1") if command == "launch" else job.resume(*LOCAL, "1")
    assert done.returncode == 65
    line = only_line(done)
    assert line.startswith(f"crvq-coord: {job.job}: "), line
    assert message.format(model=copies.model, tokens=copies.tokens) in line
    assert not job.output.exists()


OPTIONS = {
    "seed": (["--seed", "5"], "fit.seed was 0, now 5"),
    "critical ratio": (["--critical-ratio", "0.1"], "fit.format.criticalRatio was 0.02, now 0.1"),
    "propagation": (["--propagation", "student"], "propagation was teacher, now student"),
    "shards": (["--shards", "4"], "shards was 16, now 4"),
    "held-out": (["--held-out", "4"], "heldOut was 2, now 4"),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_changed_options_are_refused(small: Inputs, make_job: MakeJob, option: str) -> None:
    job = stopped(make_job(small))
    options, change = OPTIONS[option]
    done = job.run(*LOCAL, "1", *options)
    assert done.returncode == 65
    line = only_line(done)
    assert f"{job.job}: holds another job" in line and change in line, line


def test_the_same_job_is_resumed_not_launched_again(small: Inputs, small_result: Job, make_job: MakeJob) -> None:
    job = stopped(make_job(small))
    done = job.run(*LOCAL, "1")
    assert done.returncode == 64
    assert only_line(done) == (
        f"crvq-coord: {job.job}: holds this job already; go on with it: crvq-coord resume --job {job.job}"
    )
    succeeded(job.resume(*LOCAL, "2"))
    assert_same_output(small_result.output, job.output)


def test_a_finished_job_that_is_resumed_prints_its_result_again(small_result: Job) -> None:
    """Whoever starts it again after it was killed at the last moment need not look at how far it was."""
    done = small_result.resume(*LOCAL, "1", "--json")
    assert json.loads(succeeded(done).stdout) == report(small_result.output)
    assert done.stderr == f"{small_result.job}: the job is finished\n"
    assert f"output: {small_result.output}" in succeeded(small_result.resume()).stdout


@pytest.mark.parametrize("command", ["resume", "status"])
@pytest.mark.parametrize("there", [True, False], ids=["empty directory", "no directory"])
def test_a_directory_without_a_job(programs: Programs, tmp_path: Path, command: str, there: bool) -> None:
    directory = tmp_path / "job"
    if there:
        directory.mkdir()
    done = programs.run(command, "--job", directory)
    assert done.returncode == 65
    assert only_line(done) == f"crvq-coord: {directory}: holds no job; start one with crvq-coord launch"
    assert directory.exists() == there


@pytest.mark.parametrize("command", ["resume", "status"])
def test_a_damaged_database(small: Inputs, make_job: MakeJob, command: str) -> None:
    job = stopped(make_job(small))
    database = job.job / "job.sqlite"
    for path in job.job.glob("job.sqlite-*"):
        path.unlink()
    database.write_bytes(b"no database at all" * 300)
    done = job.programs.run(command, "--job", job.job)
    assert done.returncode == 65
    line = only_line(done)
    assert str(database) in line and "damaged" in line, line


def test_an_output_that_was_removed_is_written_again(small: Inputs, small_result: Job, make_job: MakeJob) -> None:
    """From the packed blocks, which the job keeps; nothing is fitted."""
    job = make_job(small)
    succeeded(job.run(*LOCAL, "2"))
    shutil.rmtree(job.output)
    lease = job.last_lease()
    succeeded(job.resume(*LOCAL, "2"))
    assert job.fit_attempts(after_lease=lease) == []
    assert_same_output(small_result.output, job.output)


def test_a_port_in_use_leaves_nothing_new_and_nothing_spoilt(
    small: Inputs, small_result: Job, make_job: MakeJob
) -> None:
    """A launch takes back what it made, a directory of the user's stays, and an interrupted job stays as it was."""
    busy, fresh, given, begun = (make_job(small) for _ in range(4))
    holder = busy.start(*MANUAL)
    endpoint = busy.programs.endpoint(busy.job)
    taken = ("--launcher", "none", "--bind", endpoint)
    given.job.mkdir()
    stopped(begun)
    for done in (fresh.run(*taken), given.run(*taken), begun.resume(*taken)):
        assert done.returncode == 74
        assert only_line(done) == f"crvq-coord: {endpoint}: address already in use; choose another port, or * for any"
    assert list(fresh.directory.iterdir()) == []
    assert list(given.job.iterdir()) == []
    holder.kill()
    for job, done in ((fresh, fresh.run(*LOCAL, "2")), (begun, begun.resume(*LOCAL, "2"))):
        succeeded(done)
        assert_same_output(small_result.output, job.output)


def test_of_coordinators_that_start_together_one_gets_the_job(
    small: Inputs, small_result: Job, make_job: MakeJob
) -> None:
    """Launches race for a directory that is not there yet. Those that lose say why, and do not disturb the one that wins."""
    job = make_job(small)
    racers = [job.start(*LOCAL, "1") for _ in range(5)]
    ends = [racer.wait() for racer in racers]
    winners = [done for done in ends if done.returncode == 0]
    assert len(winners) == 1, [done.stderr for done in ends]
    for done in ends:
        if done is winners[0]:
            continue
        line = only_line(done)
        assert done.returncode in (64, 75), line
        # Which process it is is written once the lock is taken.
        reasons = ("another coordinator (process ", "another coordinator is running this job", "holds this job already", f"{job.output}: exists")
        assert any(reason in line for reason in reasons), line
    assert_same_output(small_result.output, job.output)


def test_status_does_not_keep_a_coordinator_out(small: Inputs, make_job: MakeJob) -> None:
    """Whoever asks whether there is a coordinator looks at its lock, and does not take it."""
    job = stopped(make_job(small))
    watch = f"while :; do {job.programs.coordinator} status --job {job.job} > {os.devnull}; done"
    watchers = [subprocess.Popen(["sh", "-c", watch]) for _ in range(2)]
    try:
        for _ in range(5):
            coordinator = job.programs.start("resume", "--job", job.job, *MANUAL)
            job.programs.endpoint(job.job)
            coordinator.kill()
            assert "another coordinator" not in coordinator.stderr
    finally:
        for watcher in watchers:
            watcher.kill()
            watcher.wait()


def test_an_output_that_somebody_else_made_is_not_taken_for_the_jobs(
    small: Inputs, small_result: Job, make_job: MakeJob
) -> None:
    job = stopped(make_job(small))
    shutil.copytree(small_result.output, job.output)
    done = job.resume(*LOCAL, "1")
    assert done.returncode == 64
    line = f"crvq-coord: {job.output}: exists, and is not what this job made; remove it and resume"
    assert only_line(done) == line
    shutil.rmtree(job.output)
    succeeded(job.resume(*LOCAL, "1"))
    assert_same_output(small_result.output, job.output)


def test_an_output_that_appears_meanwhile_is_not_written_over(
    small: Inputs, small_result: Job, make_job: MakeJob
) -> None:
    """`resume` takes no other --output, so the job goes on when it is gone."""
    job = make_job(small)
    coordinator = job.start(*MANUAL)
    endpoint = job.programs.endpoint(job.job)
    job.output.mkdir()
    job.programs.worker(endpoint, "one")
    done = coordinator.wait()
    assert done.returncode == 75
    said = f"crvq-coord: {job.output}: exists, and is not what this job made; remove it and resume; go on with: "
    assert last_line(done).startswith(said), done.stderr
    assert job.status()["state"] == "interrupted"
    job.output.rmdir()
    succeeded(job.resume(*LOCAL, "1"))
    assert_same_output(small_result.output, job.output)


def test_status_of_a_finished_job(small_result: Job) -> None:
    status = json_object(small_result.programs.run("status", "--job", small_result.job, "--json"))
    assert status["state"] == "finished"
    assert (status["model"], status["output"]) == (str(small_result.inputs.model), str(small_result.output))
    assert (status["phase"], status["progress"], status["retries"]) == ("done", 1, 0)
    assert "remaining_seconds" not in status
    # All that took part, with what each has done, over the time of the job. One may have been too late for anything.
    workers = status["workers"]
    assert {worker["name"] for worker in workers} <= {"local-1", "local-2"}
    assert all(worker["tasks"] == [] for worker in workers)
    done = sum(outcomes["done"] for outcomes in status["attempts"].values())
    assert done > 0
    assert sum(worker["done"] for worker in workers) == done
    assert status["tasks_per_minute"] == pytest.approx(60 * done / status["seconds"])
    text = small_result.programs.succeed("status", "--job", small_result.job, "--watch").stdout
    assert text.startswith("finished: 100 % done, "), text
    counts = "\ncollected 2/2  fitted 14/14 linears  merged 2/2\nverified 2/2 blocks  0 retries\n"
    assert counts in text, text


def test_watching_a_job_until_it_ends(small: Inputs, make_job: MakeJob, make_gate: Callable[..., Gate]) -> None:
    job = make_job(small)
    gate = make_gate(job, lambda task: task.kind == FIT and task.block == 1)
    coordinator = job.start(*gate.local(1))

    def is_noted() -> bool:
        status = job.status()
        return status.get("progress", 0) > 0 and status["tasks_per_minute"] > 0 and bool(job.workers_with_results())

    # The coordinator notes its pace every two seconds.
    wait_until(is_noted, "the pace is noted")
    watch = job.programs.start("status", "--job", job.job, "--watch", "--json")
    text = job.programs.succeed("status", "--job", job.job).stdout
    wait_until(lambda: "\n" in watch.stdout, "it is shown")
    gate.open()
    coordinator.succeed()
    lines = [json.loads(line) for line in watch.succeed().stdout.splitlines()]
    assert [line["state"] for line in lines] == ["running"] * (len(lines) - 1) + ["finished"]
    first, last = lines[0], lines[-1]
    (worker,) = first["workers"]
    assert worker["name"] == "local-1" and worker["threads"] >= 1
    assert worker["done"] >= worker["tasks_per_minute"] > 0
    assert (last["blocks"], last["linears"]) == (SMALL.blocks, SMALL.blocks * len(SMALL.linears))
    assert first["phase"] == "running" and 0 < first["progress"] < 1 and first["tasks_per_minute"] > 0
    assert (last["phase"], last["progress"]) == ("done", 1)
    (worker,) = last["workers"]
    assert (worker["name"], worker["tasks"]) == ("local-1", []) and worker["done"] > first["workers"][0]["done"]
    assert re.match(r"running: \d+ % done, \d+ tasks/min, ", text), text
    assert re.search(r"^  local-1 +\S+ +\d+/min  ", text, re.M), text


def of_another_release(job: Job) -> None:
    """As if a release before had begun the job: one that gave other bytes for the same options."""
    with sqlite3.connect(job.job / "job.sqlite") as database:
        options = json.loads(database.execute("SELECT options FROM job").fetchone()[0])
        options["method"] -= 1
        database.execute("UPDATE job SET options = ?, row_check = NULL", (json.dumps(options),))
    database.close()


def test_a_job_that_another_release_began_is_shown_and_not_gone_on_with(make_job: MakeJob, small: Inputs) -> None:
    job = stopped(make_job(small))
    of_another_release(job)
    assert job.status()["state"] == "interrupted"
    done = job.resume(*LOCAL, "1")
    assert done.returncode == 65
    assert only_line(done).endswith("the job was made by another release of crvq; start a new job")


def test_a_job_that_another_release_finished_is_done(make_job: MakeJob, small: Inputs) -> None:
    job = make_job(small)
    succeeded(job.run(*LOCAL, "1"))
    of_another_release(job)
    found = report(job.output)
    found["options"]["method"] -= 1
    (job.output / REPORT).write_text(json.dumps(found))
    assert job.status()["state"] == "finished"
    succeeded(job.resume(*LOCAL, "1"))
