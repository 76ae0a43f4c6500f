"""Workers on machines that do not have the model or the tokens where the coordinator has them, or have others there."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from checkpoints import change_config, change_tensor, write_tokens
from interruption import assert_under_way
from jobs import LOCAL, MANUAL, Evaluation, Inputs, Job, assert_same_output, by_hand, measured
from keys import Keys
from processes import Programs, last_line, succeeded
from relays import Gate

MakeJob = Callable[..., Job]
MakeGate = Callable[..., Gate]


def on_another_machine(*mounts: Sequence[Path | str]) -> list[Any]:
    """What a command starts with to see other files than we do: each mount is what `mount` is told."""
    script = "".join(f"mount {' '.join(str(word) for word in mount)} && " for mount in mounts)
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{script} exec "$@"', "sh"]


def without(directory: Path) -> Sequence[Path | str]:
    return ("-t", "tmpfs", "none", directory)


def instead(directory: Path, other: Path) -> Sequence[Path | str]:
    return ("--bind", other, directory)


@pytest.fixture(scope="module", autouse=True)
def mounts(tmp_path_factory: pytest.TempPathFactory) -> None:
    command = [*on_another_machine(without(tmp_path_factory.mktemp("probe"))), "true"]
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare command (package util-linux)")
    if done.returncode != 0:
        pytest.skip(f"this machine does not let us mount: {done.stderr.strip()}")


@pytest.mark.parametrize("has_keys", [False, True])
def test_the_coordinator_serves_what_a_machine_does_not_have(
    long: Inputs, long_result: Job, make_job: MakeJob, tmp_path: Path, has_keys: bool
) -> None:
    job = make_job(long)
    options = Keys.make(job.programs, tmp_path / "keys").options if has_keys else ()
    coordinator = job.start(*MANUAL, *options)
    endpoint = job.programs.endpoint(job.job)
    assert long.model.parent == long.tokens.parent
    elsewhere = on_another_machine(without(long.model.parent))
    near = job.programs.worker(endpoint, "near", *options)
    far = [job.programs.worker(endpoint, f"far-{number}", *options, prefix=elsewhere) for number in (1, 2)]
    coordinator.succeed()
    for worker in far:
        assert "its model comes from the coordinator" in worker.succeed().stderr
    assert "its model is here" in near.succeed().stderr
    assert_same_output(long_result.output, job.output)
    # Nothing stays of what was fetched.
    assert list(job.programs.temporary.iterdir()) == []


def test_a_machine_without_the_model_outlives_the_coordinator(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """Whose successor serves the model at another port."""
    job = make_job(long)
    gate = make_gate(job)
    manual = by_hand()
    coordinator = job.start(*manual)
    elsewhere = on_another_machine(without(long.model.parent))
    far = job.programs.worker(gate.endpoint, "far", "--slots", "2", "--threads", "2", prefix=elsewhere)
    job.wait_until_fitted(1)
    coordinator.kill()
    assert_under_way(job, fits=1)
    gate.open()
    succeeded(job.resume(*manual))
    far.succeed()
    assert_same_output(long_result.output, job.output)


def test_a_worker_that_may_be_needed_again_says_so(long: Inputs, make_job: MakeJob, make_gate: MakeGate) -> None:
    """What started it, systemd or Kubernetes, is to start it again."""
    job = make_job(long)
    coordinator = job.start(*MANUAL)
    worker = make_gate(job).worker("one")
    job.wait_until_fitted(1)
    coordinator.send(signal.SIGTERM)
    assert coordinator.wait().returncode == 75
    done = worker.wait()
    assert done.returncode == 75
    assert last_line(done).endswith("has ended, its job has not")


def test_a_machine_with_other_weights_in_the_models_place(
    small: Inputs, small_result: Job, make_job: MakeJob, tmp_path: Path
) -> None:
    """A fine-tuned model of the same name, say: the same headers, and one block that differs."""
    other = Path(shutil.copytree(small.model, tmp_path / "other"))
    change_tensor(other, "model.layers.1.mlp.up_proj.weight", lambda weight: weight * np.float16(1.5))
    job = make_job(small)
    coordinator = job.start(*MANUAL)
    elsewhere = on_another_machine(instead(small.model, other))
    worker = job.programs.worker(job.programs.endpoint(job.job), "far", prefix=elsewhere)
    coordinator.succeed()
    log = worker.succeed().stderr
    assert f"{small.model} (block 1): not the job's; the coordinator serves it" in log
    assert "(block 0)" not in log
    assert_same_output(small_result.output, job.output)


def test_a_machine_with_another_model_and_other_tokens(
    small: Inputs, small_result: Job, make_job: MakeJob, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(small.model.parent, tmp_path / "other"))
    change_config(other / "model", rope_theta=20_000.0)
    (other / "model" / "model.safetensors").write_bytes(b"no model")
    write_tokens(other / "tokens.safetensors", seed=12)
    job = make_job(small)
    coordinator = job.start(*MANUAL)
    elsewhere = on_another_machine(instead(small.model.parent, other))
    worker = job.programs.worker(job.programs.endpoint(job.job), "far", prefix=elsewhere)
    coordinator.succeed()
    log = worker.succeed().stderr
    assert "; the coordinator serves the model" in log
    assert f"{small.tokens}: not the tokens of this job; the coordinator serves them" in log
    assert_same_output(small_result.output, job.output)


def test_an_evaluation_on_machines_without_the_model(programs: Programs, small_result: Job) -> None:
    evaluation = Evaluation(programs, small_result.output, small_result.inputs.tokens)
    expected = evaluation.measure(*LOCAL, "1")
    coordinator = evaluation.start(*MANUAL, "--json")
    endpoint = programs.endpoint(evaluation.wait_for_directory())
    elsewhere = on_another_machine(without(small_result.output), without(small_result.inputs.tokens.parent))
    worker = programs.worker(endpoint, "far", prefix=elsewhere)
    assert measured(coordinator.succeed()) == expected
    assert "its model comes from the coordinator" in worker.succeed().stderr


def test_a_model_that_changes_under_the_coordinator(copies: Inputs, make_job: MakeJob) -> None:
    """What it serves is no longer what the job was started with: nobody uses it, and the job says so."""
    job = make_job(copies)
    coordinator = job.start(*MANUAL)
    endpoint = job.programs.endpoint(job.job)
    change_tensor(copies.model, "model.layers.0.mlp.up_proj.weight", lambda weight: weight * np.float16(1.5))
    elsewhere = on_another_machine(without(copies.model.parent))
    for number in range(4):
        job.programs.worker(endpoint, f"far-{number}", prefix=elsewhere)
    done = coordinator.wait()
    assert done.returncode == 75
    assert f"{copies.model} (block 0): " in done.stderr and "sent bytes of digest" in done.stderr
    assert f"crvq-coord resume --job {job.job}" in done.stderr
    resumed = job.resume(*LOCAL, "1")
    assert resumed.returncode == 65
    assert f"the model {copies.model} differs" in last_line(resumed)
