"""Jobs that distill: what it changes, what it must not depend on, and what killed processes must not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoints import LONG, write_model, write_tokens
from conftest import finished
from jobs import LOCAL, Inputs, Job, assert_same_output, report
from processes import query, succeeded, wait_until
from protocol import DISTILL, VERIFY, Task
from relays import Gate
from safetensors.numpy import load_file

MakeJob = Callable[..., Job]
MakeGate = Callable[..., Gate]
EPOCHS = 2
# Of a model of random weights one bit a weight leaves too little to go by.
PACKED = ("--group-size", "4")
DISTILLED = (*PACKED, "--distill-epochs", str(EPOCHS))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Sequences of which five make a micro-batch; of fewer, what blocks of random weights learn is not sure to serve others."""
    directory = tmp_path_factory.mktemp("inputs")
    tokens = write_tokens(directory / "tokens.safetensors", sequences=32, length=200)
    return Inputs(write_model(directory / "model", LONG), tokens)


@pytest.fixture(scope="module")
def undistilled(binaries: Path, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return finished(binaries, inputs, tmp_path_factory.mktemp("undistilled"), *PACKED)


@pytest.fixture(scope="module")
def plain(binaries: Path, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A distilled job that nothing happened to."""
    return finished(binaries, inputs, tmp_path_factory.mktemp("plain"), *DISTILLED)


@pytest.fixture(scope="module")
def behind_tunes(binaries: Path, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The same behind tunes, on the packed model's own stream."""
    options = (*DISTILLED, "--propagation", "student", "--tune-epochs", "1")
    return finished(binaries, inputs, tmp_path_factory.mktemp("behind-tunes"), *options)


@pytest.fixture(params=["plain", "behind_tunes"])
def distilled(request: pytest.FixtureRequest) -> Job:
    return request.getfixturevalue(request.param)


def again(distilled: Job, make_job: MakeJob) -> Job:
    """The same job once more, not started."""
    return make_job(distilled.inputs, *distilled.options)


def steps(job: Job) -> int:
    return query(job.job, "SELECT COUNT(*) FROM result WHERE kind = 'update'")[0][0]


def tensors(output: Path) -> dict[str, object]:
    return {name: value for path in output.glob("*.safetensors") for name, value in load_file(path).items()}


def test_a_distillation_brings_the_model_closer_and_keeps_the_codes(distilled: Job, undistilled: Job) -> None:
    outcome = report(distilled.output)["distillation"]
    assert outcome["loss_after"] < outcome["loss_before"]
    assert 1 <= outcome["best_epoch"] <= outcome["epochs"] == EPOCHS
    if "--tune-epochs" in distilled.options:
        return
    before, after = tensors(undistilled.output), tensors(distilled.output)
    assert before.keys() == after.keys()
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert {name.rsplit(".", 1)[1] for name in changed} == {"codebooks", "scales", "weight"}
    norms = {name for name in changed if name.endswith(".weight")}
    assert norms and all(name.endswith("layernorm.weight") for name in norms)


def test_it_is_shared_out_among_workers(distilled: Job) -> None:
    """Every micro-batch of every step once, by both workers."""
    attempts = query(distilled.job, "SELECT block, part, worker, outcome FROM attempt WHERE kind = 'distill'")
    done = [(step, batch) for step, batch, _, outcome in attempts if outcome == "done"]
    assert len(done) == len(set(done)) > EPOCHS
    assert len({worker for _, _, worker, _ in attempts}) == 2
    assert steps(distilled) == len({step for step, _ in done})


def test_verify_finds_what_the_report_says(distilled: Job) -> None:
    """Errors are those of the distilled model, not of the packed blocks it began with."""
    done = distilled.programs.run(
        "verify", "--model", distilled.inputs.model, "--quantized", distilled.output, "--calibration",
        distilled.inputs.tokens,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_one_worker_gives_the_bytes_of_two(plain: Job, make_job: MakeJob) -> None:
    job = again(plain, make_job)
    succeeded(job.run(*LOCAL, "1"))
    assert_same_output(plain.output, job.output)


def is_of_step(task: Task, first: int) -> bool:
    """Whether the task is one of distilling in that step or later."""
    return task.kind == DISTILL and task.step >= first


def test_a_worker_killed_while_it_distills_changes_no_byte(
    plain: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """In two steps, one after the other."""
    job = again(plain, make_job)
    gate = make_gate(job, lambda task: is_of_step(task, 1))
    coordinator = job.start(*gate.local(2))
    job.kill_worker_of(gate.wait_until_it_holds())
    gate.hold(lambda task: is_of_step(task, 2))
    wait_until(lambda: steps(job) == 2, "two steps are stored")
    job.kill_worker_of(gate.wait_until_it_holds())
    gate.open()
    coordinator.succeed()
    assert_same_output(plain.output, job.output)


def interrupted(job: Job, make_gate: MakeGate) -> set[tuple[int, str]]:
    """Starts the job, kills it after two steps, and returns those that are stored."""
    coordinator = job.start(*make_gate(job, lambda task: is_of_step(task, 2)).local(2))
    job.wait_until_fitted(1)
    wait_until(lambda: steps(job) >= 2, "two steps are stored")
    job.kill(coordinator)
    assert not job.output.exists()
    stored = set(query(job.job, "SELECT part, digest FROM result WHERE kind = 'update'"))
    assert len(stored) >= 2
    return stored


def test_a_coordinator_killed_between_steps_is_resumed(
    plain: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    job = again(plain, make_job)
    stored = interrupted(job, make_gate)
    succeeded(job.resume(*LOCAL, "1"))
    assert_same_output(plain.output, job.output)
    assert stored <= set(query(job.job, "SELECT part, digest FROM result WHERE kind = 'update'"))


def test_a_step_that_is_damaged_makes_the_distillation_begin_again(
    plain: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    job = again(plain, make_job)
    _, digest = max(interrupted(job, make_gate))
    path = job.job / "artifacts" / digest
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    resumed = job.resume(*LOCAL, "1")
    succeeded(resumed)
    assert "the distillation begins again" in resumed.stderr
    assert_same_output(plain.output, job.output)


def test_a_block_that_is_lost_behind_the_last_step_is_distilled_anew(
    behind_tunes: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """As a student a block made again must not see what the distillation made of those before it."""
    job = again(behind_tunes, make_job)
    coordinator = job.start(*make_gate(job, lambda task: task.kind == VERIFY).local(2))
    job.wait_until_fitted(1)
    last = "SELECT COUNT(*) FROM result WHERE kind = 'update' AND json_extract(record, '$.isLast')"
    wait_until(lambda: query(job.job, last)[0][0] == 1, "the distillation is over")
    job.kill(coordinator)
    assert not job.output.exists()
    digest = query(job.job, "SELECT digest FROM result WHERE kind = 'tune' AND block = 3")[0][0]
    (job.job / "artifacts" / digest).write_bytes(b"")
    resumed = job.resume(*LOCAL, "2")
    succeeded(resumed)
    assert "the distillation begins again: a block is made again" in resumed.stderr
    assert_same_output(behind_tunes.output, job.output)


def test_it_ends_when_nothing_gets_better(inputs: Inputs, make_job: MakeJob) -> None:
    """Steps that are left over are left out."""
    # Fitted to a bit a weight, this model's packed words have nothing to do with the original's.
    job = make_job(inputs, "--distill-epochs", "50")
    done = job.run(*LOCAL, "2")
    succeeded(done)
    outcome = report(job.output)["distillation"]
    assert outcome["epochs"] == outcome["best_epoch"] + 3 < 50
    assert steps(job) == query(job.job, "SELECT COUNT(DISTINCT block) FROM attempt WHERE kind = 'distill'")[0][0] < 50
    assert "nats a position" in done.stdout and "distilling: epoch 1: " in done.stderr
    if outcome["best_epoch"] == 0:
        assert outcome["loss_after"] == outcome["loss_before"]


def test_only_the_last_step_takes_space(distilled: Job) -> None:
    """Steps are as large as all codebooks four times over; those that others have followed are gone."""
    stored = {digest for (digest,) in query(distilled.job, "SELECT digest FROM result WHERE kind = 'update'")}
    last = query(distilled.job, "SELECT digest FROM result WHERE kind = 'update' ORDER BY part DESC LIMIT 1")[0][0]
    kept = {path.name for path in (distilled.job / "artifacts").iterdir()}
    assert stored & kept == {last}
