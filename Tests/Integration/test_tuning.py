"""Jobs that tune: what a tune changes, what it must not depend on, and what killed processes must not change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import finished
from jobs import LOCAL, Inputs, Job, assert_same_output, report
from processes import query, succeeded, wait_until
from protocol import TUNE, Task
from relays import Gate
from safetensors.numpy import load_file

MakeJob = Callable[..., Job]
MakeGate = Callable[..., Gate]
TUNED = ("--tune-epochs", "3")


@pytest.fixture(scope="module", params=["teacher", "student"])
def tuned(
    request: pytest.FixtureRequest, binaries: Path, long: Inputs, tmp_path_factory: pytest.TempPathFactory
) -> Job:
    """A tuned job that nothing happened to, in each mode of propagation."""
    options = (*TUNED, "--propagation", request.param)
    return finished(binaries, long, tmp_path_factory.mktemp("tuned"), *options)


def again(tuned: Job, make_job: MakeJob) -> Job:
    """The same job once more, not started."""
    return make_job(tuned.inputs, *tuned.options)


def tunes(job: Job) -> int:
    return query(job.job, "SELECT COUNT(*) FROM result WHERE kind = 'tune'")[0][0]


def tensors(output: Path) -> dict[str, object]:
    return {name: value for path in output.glob("*.safetensors") for name, value in load_file(path).items()}


def test_a_tune_lowers_its_loss_and_keeps_the_codes(tuned: Job, long_result: Job) -> None:
    blocks = report(tuned.output)["blocks"]
    assert all(block["tune"]["loss_after"] <= block["tune"]["loss_before"] for block in blocks)
    assert all(block["tune"]["changed"] for block in blocks)
    if "teacher" not in tuned.options:
        return
    before, after = tensors(long_result.output), tensors(tuned.output)
    assert before.keys() == after.keys()
    # Later blocks are repaired on what the tuned ones before them make, so their last linears have other codes.
    before = {name: value for name, value in before.items() if ".layers.0." in name}
    changed = {name.rsplit(".", 1)[1] for name in before if (before[name] != after[name]).any()}
    assert changed == {"codebooks", "scales", "weight"}
    weights = {name for name in before if name.endswith(".weight") and (before[name] != after[name]).any()}
    assert weights and all(name.endswith("layernorm.weight") for name in weights)


@pytest.mark.parametrize("value", [None, "held_out_error", "output_error"])
def test_verify_measures_what_the_job_did(tuned: Job, tmp_path: Path, value: str | None) -> None:
    """Each block on the stream that the job ran: the original's, or the packed model's own."""
    output = Path(shutil.copytree(tuned.output, tmp_path / "out"))
    path = output / "crvq_report.json"
    changed = json.loads(path.read_text())
    if value:
        entry = (changed["linears"] if value == "held_out_error" else changed["blocks"])[-1]
        entry[value] *= 1.01
        path.write_text(json.dumps(changed))
    done = tuned.programs.run(
        "verify", "--model", tuned.inputs.model, "--quantized", output, "--calibration", tuned.inputs.tokens, "--json"
    )
    faults = json.loads(done.stdout)["faults"]
    assert (done.returncode, len(faults)) == ((65, 1) if value else (0, 0)), faults


def test_one_worker_gives_the_bytes_of_two(tuned: Job, make_job: MakeJob) -> None:
    job = again(tuned, make_job)
    succeeded(job.run(*LOCAL, "1"))
    assert_same_output(tuned.output, job.output)


def is_of_tune(task: Task, first: int) -> bool:
    """Whether the task is the tune of that block or a later one."""
    return task.kind == TUNE and task.block >= first


def test_a_worker_killed_while_it_tunes_changes_no_byte(tuned: Job, make_job: MakeJob, make_gate: MakeGate) -> None:
    job = again(tuned, make_job)
    gate = make_gate(job, lambda task: is_of_tune(task, 2))
    coordinator = job.start(*gate.local(2))
    job.wait_until_fitted(1)
    wait_until(lambda: tunes(job) == 2, "two blocks are tuned")
    job.kill_worker_of(gate.wait_until_it_holds())
    gate.open()
    coordinator.succeed()
    assert_same_output(tuned.output, job.output)


def test_a_coordinator_killed_between_tunes_is_resumed(tuned: Job, make_job: MakeJob, make_gate: MakeGate) -> None:
    job = again(tuned, make_job)
    coordinator = job.start(*make_gate(job, lambda task: is_of_tune(task, 3)).local(2))
    job.wait_until_fitted(1)
    wait_until(lambda: tunes(job) == 3, "three blocks are tuned")
    job.kill(coordinator)
    stored = set(query(job.job, "SELECT block, digest FROM result WHERE kind = 'tune'"))
    assert len(stored) == 3 and not job.output.exists()
    succeeded(job.resume(*LOCAL, "1"))
    assert_same_output(tuned.output, job.output)
    assert stored <= set(query(job.job, "SELECT block, digest FROM result WHERE kind = 'tune'"))
