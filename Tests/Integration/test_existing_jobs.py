"""Job directories that exist: what is refused by name, what is taken up again, and what has been damaged since."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable

import pytest
from checkpoints import EMBEDDINGS, change_config, change_tensor, write_tokens
from jobs import LOCAL, MANUAL, Inputs, Job, assert_same_output
from processes import Programs, json_object, only_line, query, succeeded

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


def test_a_finished_job_has_nothing_to_resume(small_result: Job) -> None:
    done = small_result.resume(*LOCAL, "1")
    assert done.returncode == 64
    line = only_line(done)
    assert line == f"crvq-coord: {small_result.job}: the job is finished; its output is {small_result.output}"


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


def flip_last_byte(path: Path) -> None:
    bytes_ = bytearray(path.read_bytes())
    bytes_[-1] ^= 1
    path.write_bytes(bytes_)


def test_results_that_were_damaged_or_lost_are_made_again(small: Inputs, small_result: Job, make_job: MakeJob) -> None:
    """Output and a merged block are gone, one fit has a flipped byte, one is lost: two fits are made again, no more."""
    job = make_job(small)
    succeeded(job.run(*LOCAL, "2"))
    shutil.rmtree(job.output)
    artifacts = job.job / "artifacts"
    (merged,) = query(job.job, "SELECT digest FROM result WHERE kind = 'merge' AND block = 1")[0]
    fits = dict(query(job.job, "SELECT part, digest FROM result WHERE kind = 'fit' AND block = 1"))
    (artifacts / merged).unlink()
    flip_last_byte(artifacts / fits[2])
    (artifacts / fits[5]).unlink()
    lease = job.last_lease()
    done = succeeded(job.resume(*LOCAL, "2"))
    assert done.stderr.count("fit of block 1 is made again") == 2
    assert sorted(job.fit_attempts(after_lease=lease)) == [(1, 2), (1, 5)]
    assert_same_output(small_result.output, job.output)


def test_a_fit_that_was_merged_may_be_lost(small: Inputs, small_result: Job, make_job: MakeJob) -> None:
    job = make_job(small)
    succeeded(job.run(*LOCAL, "2"))
    shutil.rmtree(job.output)
    fits = dict(query(job.job, "SELECT part, digest FROM result WHERE kind = 'fit' AND block = 1"))
    flip_last_byte(job.job / "artifacts" / fits[2])
    (job.job / "artifacts" / fits[5]).unlink()
    lease = job.last_lease()
    succeeded(job.resume(*LOCAL, "2"))
    assert job.fit_attempts(after_lease=lease) == []
    assert_same_output(small_result.output, job.output)


def test_a_port_in_use_leaves_a_job_that_can_be_resumed(small: Inputs, small_result: Job, make_job: MakeJob) -> None:
    busy, job = make_job(small), make_job(small)
    holder = busy.start(*MANUAL)
    endpoint = busy.programs.endpoint(busy.job)
    done = job.run("--launcher", "none", "--bind", endpoint)
    assert done.returncode == 74
    assert endpoint in only_line(done)
    holder.kill()
    succeeded(job.resume(*LOCAL, "2"))
    assert_same_output(small_result.output, job.output)


def test_status_of_a_finished_job(small_result: Job) -> None:
    status = json_object(small_result.programs.run("status", "--job", small_result.job, "--json"))
    assert status["state"] == "finished"
    assert (status["model"], status["output"]) == (str(small_result.inputs.model), str(small_result.output))
    text = small_result.programs.succeed("status", "--job", small_result.job, "--watch").stdout
    assert text.startswith("finished: 14 linears fitted, 2 blocks merged, 2 verified")
