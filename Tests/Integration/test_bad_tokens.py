"""Token files that are not what they should be: one line that names the file, exit code 65, and nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from checkpoints import change_config, write_tokens
from jobs import LOCAL, MANUAL, Evaluation, Inputs, Job
from processes import last_line, only_line, wait_until
from safetensors.numpy import save_file

MakeJob = Callable[..., Job]


def write(path: Path, tokens: np.ndarray, name: str = "input_ids") -> None:
    save_file({name: tokens}, path)


def with_id(path: Path, value: int, kind: type = np.int32) -> None:
    tokens = np.zeros((4, 16), kind)
    tokens[2, 5] = value
    write(path, tokens)


BAD: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "missing": (lambda path: path.unlink(), ["no such file"]),
    "empty": (lambda path: path.write_bytes(b""), ["scripts/tokenize"]),
    "text": (lambda path: path.write_text("It was a bright cold day in April. " * 40), ["scripts/tokenize"]),
    "another tensor": (lambda path: write(path, np.zeros((4, 16), np.int32), "tokens"), ["input_ids", "tokens"]),
    "floats": (lambda path: write(path, np.zeros((4, 16), np.float32)), ["input_ids", "I32", "I64", "F32"]),
    "one dimension": (lambda path: write(path, np.zeros(64, np.int32)), ["[sequences, length]", "[64]"]),
    "no sequence": (lambda path: write(path, np.zeros((0, 16), np.int32)), ["too short", "[0, 16]"]),
    "sequences of one token": (lambda path: write(path, np.zeros((16, 1), np.int32)), ["too short", "[16, 1]"]),
    "a single sequence": (lambda path: write(path, np.zeros((1, 64), np.int32)), ["1 sequence", "at least 2"]),
    "an id beyond the vocabulary": (lambda path: with_id(path, 128), ["0..<128", "128", "position 5 of sequence 2"]),
    "a negative id": (lambda path: with_id(path, -1), ["0..<128", "-1", "position 5 of sequence 2"]),
    "an id beyond 32 bits": (lambda path: with_id(path, 1 << 32, np.int64), ["0..<128", str(1 << 32)]),
}


@pytest.mark.parametrize("kind", BAD)
def test_launch_refuses(copies: Inputs, make_job: MakeJob, kind: str) -> None:
    spoil, fragments = BAD[kind]
    spoil(copies.tokens)
    job = make_job(copies)
    done = job.run(*LOCAL, "1")
    assert done.returncode == 65
    line = only_line(done)
    assert line.startswith(f"crvq-coord: {copies.tokens}: "), line
    for fragment in fragments:
        assert fragment in line, line
    assert list(job.directory.iterdir()) == []


def test_evaluate_refuses_ids_beyond_the_vocabulary(copies: Inputs, make_job: MakeJob) -> None:
    with_id(copies.tokens, 128)
    done = make_job(copies).programs.run("evaluate", "--model", copies.model, "--tokens", copies.tokens)
    assert done.returncode == 65
    assert only_line(done).startswith(f"crvq-coord: {copies.tokens}: ")


def test_sequences_longer_than_the_models_attention_reaches(copies: Inputs, make_job: MakeJob) -> None:
    change_config(copies.model, architectures=["MistralForCausalLM"], model_type="mistral", sliding_window=32)
    job = make_job(copies)
    bound = "of 64 tokens, expected at most 32, the model's sliding_window"
    for options in ([], ["--dry-run"]):
        done = job.run(*LOCAL, "1", *options)
        assert done.returncode == 65
        said = f"sequences {bound}; make shorter ones with scripts/tokenize --length 32"
        assert only_line(done) == f"crvq-coord: {copies.tokens}: {said}"
        assert list(job.directory.iterdir()) == []
    evaluation = Evaluation(job.programs, copies.model, copies.tokens, window=2048)
    for workers in ((), (*LOCAL, "1")):
        done = evaluation.run(*workers)
        assert done.returncode == 65
        assert only_line(done) == f"crvq-coord: {copies.tokens}: windows {bound}; use --window 32"
    assert Evaluation(job.programs, copies.model, copies.tokens, window=32).measure()[1] == 16 * 2 * 31


def test_more_sequences_are_asked_for_than_there_are(copies: Inputs, make_job: MakeJob) -> None:
    done = make_job(copies).run(*LOCAL, "1", "--sequences", "17")
    assert done.returncode == 65
    line = only_line(done)
    assert f"{copies.tokens}: --sequences asks for 17 sequences, the file has 16" in line


def test_a_worker_that_finds_other_tokens_in_their_place(copies: Inputs, make_job: MakeJob) -> None:
    """As many, and as long: a machine with an older copy of the file. The coordinator has the one that the job began with."""
    job = make_job(copies)
    coordinator = job.start(*MANUAL)
    job.programs.endpoint(job.job)
    copies.tokens.unlink()
    write_tokens(copies.tokens, seed=12)
    worker = job.worker("one")
    coordinator.succeed()
    assert f"{copies.tokens}: not the tokens of this job; the coordinator serves them" in worker.succeed().stderr


def test_tokens_that_are_overwritten_while_a_job_runs(copies: Inputs, make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(copies)
    coordinator = job.start(*MANUAL)
    job.programs.endpoint(job.job)
    copies.tokens.write_bytes(write_tokens(tmp_path / "others.safetensors", seed=12).read_bytes())
    done = job.worker("one").wait()
    assert done.returncode == 74
    assert f"{copies.tokens}: not the tokens of this job; the coordinator serves them" in done.stderr
    # Which has none but these.
    assert f"{copies.tokens}: " in last_line(done) and "sent bytes of digest" in last_line(done)
    said = (f"{copies.tokens}: ", "sent bytes of digest")
    wait_until(lambda: all(text in coordinator.stderr for text in said), "the coordinator has been told")
