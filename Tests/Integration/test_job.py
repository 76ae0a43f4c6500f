"""Jobs that nothing disturbs: what lies in the output, and that it does not depend on who made it."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from checkpoints import SMALL, Shape, write_large_model, write_model, write_tokens
from jobs import LOCAL, MANUAL, REPORT, Inputs, Job, assert_same_output, report
from processes import is_alive, json_object, query, succeeded, wait_until
from protocol import FIT
from relays import Gate
from safetensors.numpy import save_file

MakeJob = Callable[..., Job]


def bits_per_weight(rows: int, columns: int, bits: list[int], ratio: float, group: int = 8) -> tuple[float, float]:
    """With and without the channel order, by the formula of PackedFormat.md."""
    groups = -(-columns // group)
    critical = int(ratio * columns / group + 1e-9)
    stored = bits if critical else bits[:1]
    codes = rows * (groups * bits[0] + critical * sum(stored[1:]))
    codebooks = 16 * group * sum(2**e for e in stored)
    total = codes + codebooks + 16 * rows
    return (total + 16 * columns) / (rows * columns), total / (rows * columns)


@pytest.mark.parametrize("ratio", [0.02, 0.25])
def test_two_local_workers_finish_and_report(small: Inputs, make_job: MakeJob, ratio: float) -> None:
    job = make_job(small, "--critical-ratio", ratio)
    printed = json_object(succeeded(job.run(*LOCAL, "2", "--json")))
    written = report(job.output)
    assert printed == written
    linears = written["linears"]
    assert [(entry["block"], entry["name"]) for entry in linears] == [
        (block, name) for block in range(SMALL.blocks) for name in SMALL.linears
    ]
    assert {entry["worker"] for entry in linears} <= {"local-1", "local-2"}
    for entry in linears:
        rows, columns = entry["shape"]
        assert (rows, columns) == SMALL.linears[entry["name"]]
        expected = bits_per_weight(rows, columns, [8, 8, 8, 8], ratio)
        assert entry["bits_per_weight"] == pytest.approx(expected[0], rel=1e-12)
        assert entry["bits_per_weight_without_order"] == pytest.approx(expected[1], rel=1e-12)
        assert 0 < entry["relative_error"] < 1
        # Sequences that no fit has seen: another number than that of the fit.
        assert 0 < entry["held_out_error"] < 1
        assert entry["held_out_error"] != entry["relative_error"]
        assert entry["seconds"] > 0
    assert [block["block"] for block in written["blocks"]] == list(range(SMALL.blocks))
    assert all(0 < block["output_error"] < 1 for block in written["blocks"])
    assert set(written["digests"]["files"]) == {path.name for path in job.output.iterdir()} - {REPORT}
    status = job.status()
    assert (status["state"], status["fits"], status["verified_blocks"]) == ("finished", 14, 2)
    assert status["attempts"]["fit"] == {"done": 14}


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_makes_the_same_bytes(
    small: Inputs, small_result: Job, make_job: MakeJob, workers: int
) -> None:
    job = make_job(small)
    succeeded(job.run(*LOCAL, workers))
    assert_same_output(small_result.output, job.output)


def test_a_student_sees_the_quantized_blocks(small: Inputs, small_result: Job, make_job: MakeJob) -> None:
    jobs = [make_job(small, "--propagation", "student") for _ in range(2)]
    for job, workers in zip(jobs, ("1", "3")):
        succeeded(job.run(*LOCAL, workers))
    assert_same_output(jobs[0].output, jobs[1].output)
    teacher, student = report(small_result.output)["linears"], report(jobs[0].output)["linears"]
    errors = [[entry["relative_error"] for entry in linears] for linears in (teacher, student)]
    # Both see the embeddings in block 0, and different activations from there on.
    assert errors[0][:7] == errors[1][:7]
    assert errors[0][7:] != errors[1][7:]


def test_several_slots_make_the_same_bytes(long: Inputs, long_result: Job, make_job: MakeJob) -> None:
    job = make_job(long)
    coordinator = job.start(*MANUAL)
    worker = job.worker("alone", "--threads", "3", "--slots", "3")
    coordinator.succeed()
    worker.succeed()
    assert_same_output(long_result.output, job.output)
    assert {entry["worker"] for entry in report(job.output)["linears"]} == {"alone"}


def test_workers_by_hand_one_of_them_late(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: Callable[..., Gate]
) -> None:
    """Most of what the first has fitted is held back until the other has fitted something."""
    job = make_job(long)
    gate = make_gate(job)
    gate.let_pass(FIT, 3)
    coordinator = job.start(*MANUAL)
    workers = [gate.worker("early")]
    said = f"crvq-worker --connect {job.programs.endpoint(job.job)}"
    wait_until(lambda: said in coordinator.stderr, "the coordinator says how workers are started")
    job.wait_until_fitted(3)
    workers.append(job.worker("late"))
    fit = "SELECT 1 FROM result WHERE kind = 'fit' AND worker = 'late'"
    wait_until(lambda: query(job.job, fit), "the late one has fitted something")
    gate.open()
    coordinator.succeed()
    for worker in workers:
        worker.succeed()
    assert_same_output(long_result.output, job.output)
    assert {entry["worker"] for entry in report(job.output)["linears"]} == {"early", "late"}


def test_a_sharded_checkpoint_makes_the_same_tensors(
    small: Inputs, small_result: Job, make_job: MakeJob, tmp_path: Path
) -> None:
    sharded = Inputs(write_model(tmp_path / "sharded", shards=3), small.tokens)
    job = make_job(sharded)
    succeeded(job.run(*LOCAL, "2"))
    weights = "model-00001-of-00001.safetensors"
    assert (job.output / weights).read_bytes() == (small_result.output / weights).read_bytes()


def test_what_goes_with_the_weights_is_in_the_output_and_its_export(
    copies: Inputs, make_job: MakeJob, tmp_path: Path
) -> None:
    """Byte for byte. What is no part of the model stays behind."""
    companions = {
        "tokenizer.json": b'{"version": "1.0"}',
        "merges.txt": "#version: 0.2\n\u0120 t\n".encode(),
        "generation_config.json": b'{ "eos_token_id":2 }\r\n',
    }
    for name, data in {**companions, "README.md": b"A model."}.items():
        (copies.model / name).write_bytes(data)
    job, plain = make_job(copies), tmp_path / "plain"
    succeeded(job.run(*LOCAL, "2"))
    job.programs.succeed("export", "--quantized", job.output, "--output", plain)
    for directory in (job.output, plain):
        assert {name: (directory / name).read_bytes() for name in companions} == companions
        assert not (directory / "README.md").exists()
    assert set(companions) <= set(report(job.output)["digests"]["files"])


@pytest.mark.parametrize("propagation", ["teacher", "student"])
def test_the_same_sequence_again_and_again(small: Inputs, make_job: MakeJob, tmp_path: Path, propagation: str) -> None:
    """Shards that are equal make equal hidden states and Grams, which are one artifact; none is lost with another."""
    tokens = np.tile(np.random.default_rng(1).integers(0, SMALL.vocabulary, 64, np.int32), (12, 1))
    save_file({"input_ids": tokens}, tmp_path / "same.safetensors")
    job = make_job(Inputs(small.model, tmp_path / "same.safetensors"), "--propagation", propagation)
    succeeded(job.run(*LOCAL, "2"))
    attempts = job.status()["attempts"]
    assert {kind: set(outcomes) for kind, outcomes in attempts.items()} == {
        kind: {"done"} for kind in ("collect", "recollect", "fit", "verify")
    }


def test_the_verifier_is_not_the_fitter(
    small: Inputs, small_result: Job, make_job: MakeJob, make_gate: Callable[..., Gate]
) -> None:
    """The second worker comes when the first has fitted all of a block, and the last of that is not known yet."""
    job = make_job(small)
    gate = make_gate(job, lambda task: (task.kind, task.block, task.linear) == (FIT, 0, "mlp.down_proj"))
    coordinator = job.start(*MANUAL)
    workers = [gate.worker("fitter")]
    gate.wait_until_it_holds()
    workers.append(job.worker("other"))
    wait_until(lambda: job.has_work("other"), "the other is part of the job")
    gate.open()
    coordinator.succeed()
    for worker in workers:
        worker.succeed()
    block = "SELECT DISTINCT worker FROM result WHERE block = 0 AND kind = ?"
    assert query(job.job, block, "fit") == [("fitter",)]
    assert query(job.job, block, "verify") == [("other",)]
    assert_same_output(small_result.output, job.output)


def test_the_coordinator_stays_small_whatever_the_model(make_job: MakeJob, tmp_path: Path) -> None:
    """600 MB of embeddings and head are digested and copied; the bound for the whole process is 300 MB."""
    shape = Shape(vocabulary=2_400_000)
    model = write_large_model(tmp_path / "large", shape, used=128)
    assert (model / "model.safetensors").stat().st_size > 600_000_000
    job = make_job(Inputs(model, write_tokens(tmp_path / "tokens.safetensors")))
    done, peak = job.start(*LOCAL, "2").wait_for_memory()
    succeeded(done)
    assert 0 < peak < 300_000_000
    for path in (*job.output.glob("*.safetensors"), *model.glob("*.safetensors")):
        path.unlink()


def test_a_finished_job_leaves_no_process(small: Inputs, make_job: MakeJob) -> None:
    job = make_job(small)
    succeeded(job.run(*LOCAL, "2"))
    for (pid,) in query(job.job, "SELECT pid FROM worker"):
        wait_until(lambda pid=pid: not is_alive(pid), f"worker {pid} has ended")
    assert list((job.programs.directory / "tmp").glob("crvq-worker*")) == []
