"""Perplexity measured by workers: that of one process, whoever takes which window, and nothing stays behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from checkpoints import LONG, Shape, change_config, change_tensor, write_model, write_tokens
from jobs import LOCAL, MANUAL, WINDOW, WINDOWS_UNDER_WAY, Evaluation, Inputs, Job, measured
from keys import Keys
from processes import Programs, is_alive, last_line, local_workers, only_line, query, succeeded, wait_until
from protocol import EVALUATE
from relays import Gate


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A model and a text that two workers need a few seconds for."""
    directory = tmp_path_factory.mktemp("text")
    model = write_model(directory / "model", LONG)
    return Inputs(model, write_tokens(directory / "tokens.safetensors", sequences=24, length=1024))


@pytest.fixture
def long_evaluation(programs: Programs, text: Inputs) -> Evaluation:
    return Evaluation(programs, text.model, text.tokens, window=1024)


@pytest.mark.parametrize("kind", ["original", "packed"])
def test_the_number_of_workers_changes_no_bit(programs: Programs, small_result: Job, kind: str) -> None:
    model = small_result.inputs.model if kind == "original" else small_result.output
    evaluation = Evaluation(programs, model, small_result.inputs.tokens)
    alone = evaluation.measure()
    assert alone[1] == 32 * (WINDOW - 1)
    assert evaluation.measure("--threads", "3") == alone
    for workers in ("1", "3"):
        assert evaluation.measure(*LOCAL, workers) == alone
    some = evaluation.measure("--max-windows", "7")
    assert some[1] == 7 * (WINDOW - 1)
    assert evaluation.measure("--max-windows", "7", "--workers", "2") == some
    evaluation.assert_nothing_stays()


def test_windows_are_no_longer_than_sequences(programs: Programs, small: Inputs) -> None:
    evaluation = Evaluation(programs, small.model, small.tokens, window=2048)
    alone = evaluation.measure()
    assert alone[1] == 16 * 63
    assert evaluation.measure(*LOCAL, "1") == alone


def test_a_cluster_file_says_how(programs: Programs, small_result: Job, tmp_path: Path) -> None:
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text("engine: local\nworkers: 2\nthreads: 2\nslots: 2\nmemory: 1G\n")
    evaluation = Evaluation(programs, small_result.output, small_result.inputs.tokens)
    done = evaluation.run("--cluster", cluster)
    succeeded(done)
    perplexity, tokens = evaluation.measure()
    assert done.stdout.startswith(f"perplexity {perplexity:.3f} over {tokens} tokens, ")


def test_workers_by_hand_with_keys(
    programs: Programs, small_result: Job, make_gate: Callable[..., Gate], tmp_path: Path
) -> None:
    """What the first has measured is held back until the second is there too."""
    keys = Keys.make(programs, tmp_path / "keys")
    evaluation = Evaluation(programs, small_result.output, small_result.inputs.tokens)
    coordinator = evaluation.start(*MANUAL, *keys.options, "--json")
    endpoint = programs.endpoint(evaluation.wait_for_directory())
    line = f"waiting for workers: crvq-worker --connect {endpoint} --keys {keys.directory}"
    wait_until(lambda: line in coordinator.stderr, "the coordinator says how workers are started")
    gate = make_gate(evaluation, lambda task: task.kind == EVALUATE, keys)
    workers = [gate.worker("one", *keys.options)]
    gate.wait_until_it_holds()
    workers.append(programs.worker(endpoint, "two", *keys.options))
    wait_until(lambda: query(evaluation.job, "SELECT 1 FROM worker WHERE name = 'two'"), "the second worker has joined")
    gate.open()
    assert measured(coordinator.wait()) == evaluation.measure()
    for worker in workers:
        worker.succeed()
    evaluation.assert_nothing_stays()


@pytest.fixture
def gate(long_evaluation: Evaluation, make_gate: Callable[..., Gate]) -> Gate:
    """Keeps back all windows but those that are waited for."""
    gate = make_gate(long_evaluation)
    gate.let_pass(EVALUATE, WINDOWS_UNDER_WAY)
    return gate


def both_workers(directory: Path) -> list[int]:
    return wait_until(lambda: len(pids := local_workers(directory)) == 2 and pids, "both workers are part of it")


def test_a_worker_killed_in_the_middle_changes_nothing(long_evaluation: Evaluation, gate: Gate) -> None:
    coordinator = long_evaluation.start(*gate.local(2), "--json")
    directory = long_evaluation.wait_until_under_way()
    os.kill(both_workers(directory)[0], signal.SIGKILL)
    status = long_evaluation.programs.status(directory)
    assert (status["evaluated_windows"], status["windows"]) == (WINDOWS_UNDER_WAY, 24)
    assert (status["state"], status["model"]) == ("running", str(long_evaluation.model))
    assert not {"output", "fits", "merged_blocks", "verified_blocks"} & set(status)
    gate.open()
    done = coordinator.wait()
    assert "was killed by signal 9, Killed; starting it again" in done.stderr
    assert measured(done) == long_evaluation.measure()
    assert long_evaluation.places == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_an_evaluation_told_to_end_leaves_nothing(
    long_evaluation: Evaluation, gate: Gate, number: signal.Signals
) -> None:
    coordinator = long_evaluation.start(*gate.local(2), "--json")
    workers = both_workers(long_evaluation.wait_until_under_way())
    coordinator.send(number)
    done = coordinator.wait()
    assert done.returncode == 75
    assert done.stdout == ""
    assert last_line(done) == f"crvq-coord: stopped by {number.name}"
    assert not [pid for pid in workers if is_alive(pid)]
    long_evaluation.assert_nothing_stays()


def test_a_killed_evaluation_is_not_resumed(long_evaluation: Evaluation, gate: Gate) -> None:
    coordinator = long_evaluation.start(*gate.local(1))
    directory = long_evaluation.wait_until_under_way()
    coordinator.kill()
    programs = long_evaluation.programs
    assert programs.status(directory)["state"] == "interrupted"
    text = programs.succeed("status", "--job", directory).stdout
    assert text.startswith("interrupted: ") and re.search(r"^evaluated \d+/24 windows", text, re.MULTILINE), text
    refused = programs.run("resume", "--job", directory)
    assert refused.returncode == 64
    assert only_line(refused) == f"crvq-coord: {directory}: is an evaluation, of which nothing is kept; start it again"


def test_a_model_whose_configuration_changes_meanwhile(
    programs: Programs, small_result: Job, tmp_path: Path
) -> None:
    """What counts is what it was when the evaluation began."""
    packed = Path(shutil.copytree(small_result.output, tmp_path / "packed"))
    evaluation = Evaluation(programs, packed, small_result.inputs.tokens)
    expected = evaluation.measure(*LOCAL, "1")
    coordinator = evaluation.start(*MANUAL, "--json")
    endpoint = programs.endpoint(evaluation.wait_for_directory())
    change_config(packed, rope_theta=20_000.0)
    programs.worker(endpoint, "other")
    assert measured(coordinator.succeed()) == expected
    assert evaluation.measure(*LOCAL, "1") != expected


def test_workers_that_give_up_leave_no_log_to_look_for(programs: Programs, small: Inputs, tmp_path: Path) -> None:
    """Their last line is told; the log goes with the directory."""
    cluster = tmp_path / "cluster.yaml"
    (tmp_path / "worker").write_text("#!/bin/sh\necho no such thing here >&2\nexit 64\n")
    (tmp_path / "worker").chmod(0o755)
    cluster.write_text(f"engine: local\nworkers: 1\nprogram: {tmp_path / 'worker'}\n")
    evaluation = Evaluation(programs, small.model, small.tokens)
    done = evaluation.run("--cluster", cluster)
    assert done.returncode == 75
    line = last_line(done)
    assert line.endswith(": no such thing here; it is not started again"), line
    evaluation.assert_nothing_stays()


def test_a_weight_that_is_not_a_number_is_named(programs: Programs, copies: Inputs) -> None:
    name = "model.layers.1.mlp.up_proj.weight"

    def spoil(weight: np.ndarray) -> np.ndarray:
        weight[3, 5] = np.nan
        return weight

    change_tensor(copies.model, name, spoil)
    evaluation = Evaluation(programs, copies.model, copies.tokens)
    for options in ((), (*LOCAL, "2")):
        done = evaluation.run(*options)
        assert done.returncode == 65
        assert name in last_line(done) and "[3, 5]" in last_line(done)
    evaluation.assert_nothing_stays()


def test_tokens_of_another_model_are_refused(programs: Programs, small: Inputs, tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path / "tokens.safetensors", vocabulary=2 * Shape().vocabulary)
    done = Evaluation(programs, small.model, tokens).run(*LOCAL, "1")
    assert done.returncode == 65
    assert only_line(done).startswith(f"crvq-coord: {tokens}: ")


def test_a_damaged_packed_model_is_refused(programs: Programs, small_result: Job, tmp_path: Path) -> None:
    packed = Path(shutil.copytree(small_result.output, tmp_path / "packed"))
    (weights,) = packed.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-8])
    evaluation = Evaluation(programs, packed, small_result.inputs.tokens)
    done = evaluation.run(*LOCAL, "1")
    assert done.returncode == 65
    assert only_line(done).startswith(f"crvq-coord: {weights}: ")
    evaluation.assert_nothing_stays()


def test_more_windows_than_workers_are_given(programs: Programs, small: Inputs, tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path / "tokens.safetensors", sequences=300, length=128)
    done = Evaluation(programs, small.model, tokens, window=2).run(*LOCAL, "1")
    assert done.returncode == 64
    line = only_line(done)
    assert line.startswith(f"crvq-coord: {tokens}: 19200 windows of 2 tokens") and "--max-windows" in line, line


OPTIONS = {
    "threads of workers": (["--threads", "2", "--workers", "2"], ["--threads", "without workers"]),
    "no worker": (["--workers", "0"], ["--workers", "at least 1"]),
    "workers of a launcher that starts none": (["--launcher", "none", "--workers", "2"], ["--workers", "local"]),
    "ssh to nowhere": (["--launcher", "ssh"], ["--launcher ssh", "--cluster FILE.yaml"]),
    "a dry run": (["--workers", "1", "--dry-run"], ["--dry-run"]),
    "a dashboard of no job": (["--dashboard", "0"], ["--dashboard", "--workers 2"]),
    "window": (["--workers", "1", "--window", "1"], ["--window", "at least 2"]),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_that_make_no_sense(programs: Programs, small: Inputs, case: str) -> None:
    options, fragments = OPTIONS[case]
    evaluation = Evaluation(programs, small.model, small.tokens)
    done = evaluation.run(*options)
    assert done.returncode == 64
    for fragment in fragments:
        assert fragment in only_line(done)
    evaluation.assert_nothing_stays()
