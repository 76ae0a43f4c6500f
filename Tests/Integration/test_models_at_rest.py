"""The commands that need no worker: verify, inspect, export, evaluate."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from checkpoints import EMBEDDINGS, SMALL, change_tensor, write_model, write_tokens
from conftest import ROOT
from jobs import LOCAL, REPORT, Inputs, Job, report
from processes import Programs, only_line, succeeded

MakeJob = Callable[..., Job]


@pytest.fixture
def packed(small_result: Job, tmp_path: Path) -> Path:
    """A packed model that a test may damage."""
    return Path(shutil.copytree(small_result.output, tmp_path / "packed"))


def flip(path: Path, position: int) -> None:
    bytes_ = bytearray(path.read_bytes())
    bytes_[position] ^= 1
    path.write_bytes(bytes_)


def test_verify_finds_no_fault(programs: Programs, small: Inputs, packed: Path) -> None:
    result = programs.json("verify", "--model", small.model, "--quantized", packed, "--calibration", small.tokens)
    assert result["faults"] == []
    assert result["files_checked"] == 3
    reported = {(entry["block"], entry["name"]): entry for entry in report(packed)["linears"]}
    for linear in result["linears"]:
        entry = reported[linear["block"], linear["name"]]
        assert linear["frobenius_error"] == pytest.approx(entry["frobenius_error"], rel=1e-3)
        # Measured on the sequences that the job held out.
        assert linear["relative_error"] == pytest.approx(entry["held_out_error"], rel=1e-3)
    assert result["output_errors"] == pytest.approx(
        [block["output_error"] for block in report(packed)["blocks"]], rel=1e-3
    )


@pytest.mark.parametrize("file", ["model-00001-of-00001.safetensors", "model.safetensors.index.json", "config.json"])
def test_verify_finds_a_flipped_byte(programs: Programs, small: Inputs, packed: Path, file: str) -> None:
    """In the last byte of the weights, and in the white space at the end of the JSON files."""
    path = packed / file
    if file.endswith(".json"):
        assert path.read_bytes().endswith(b"\n")
        path.write_bytes(path.read_bytes()[:-1] + b" ")
    else:
        flip(path, -1)
    done = programs.run("verify", "--model", small.model, "--quantized", packed, "--json")
    assert done.returncode == 65
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"crvq-coord: verification failed: {path}: digest "), last


def test_verify_says_that_tokens_are_not_the_jobs(
    programs: Programs, small: Inputs, packed: Path, tmp_path: Path
) -> None:
    other = write_tokens(tmp_path / "other.safetensors", seed=99)
    done = succeeded(
        programs.run(
            "verify", "--model", small.model, "--quantized", packed, "--calibration", other, "--json",
        )  # fmt: skip
    )
    assert f"{other}: not the tokens of the job" in done.stderr
    assert json.loads(done.stdout)["compared_with_report"] is False


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("held_out", -1),
        ("held_out", 0),
        ("held_out", 99),
        ("propagation", "x"),
        ("shape", [1 << 40, 1 << 40]),
        ("shape", []),
    ],
)
def test_a_report_that_cannot_be_is_refused_by_name(
    programs: Programs, small: Inputs, packed: Path, place: str, value: object
) -> None:
    path = packed / REPORT
    written = json.loads(path.read_text())
    (written["linears"][0] if place == "shape" else written["options"])[place] = value
    path.write_text(json.dumps(written))
    done = programs.run("verify", "--model", small.model, "--quantized", packed, "--calibration", small.tokens)
    assert done.returncode == 65
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"crvq-coord: {path}: ") and place in last, done.stderr


def test_a_damaged_report_is_named(programs: Programs, packed: Path) -> None:
    path = packed / REPORT
    written = json.loads(path.read_text())
    del written["totals"]["mean_relative_error"]
    path.write_text(json.dumps(written))
    done = programs.run("inspect", "--quantized", packed)
    assert done.returncode == 65
    assert only_line(done) == f"crvq-coord: {path}: not a report that this release reads: totals.mean_relative_error: is missing"


def test_a_report_of_more_weights_than_can_be_counted(programs: Programs, packed: Path) -> None:
    path = packed / REPORT
    written = json.loads(path.read_text())
    written["linears"] = [{**written["linears"][0], "shape": [1 << 24, 1 << 24]}] * (1 << 15)
    path.write_text(json.dumps(written))
    done = programs.run("inspect", "--quantized", packed)
    assert done.returncode == 65
    assert only_line(done).startswith(f"crvq-coord: {path}: linears: 32768 shapes")


def test_a_report_of_files_elsewhere(programs: Programs, small: Inputs, packed: Path) -> None:
    path = packed / REPORT
    written = json.loads(path.read_text())
    written["digests"]["files"]["../config.json"] = "0"
    path.write_text(json.dumps(written))
    done = programs.run("verify", "--model", small.model, "--quantized", packed)
    assert done.returncode == 65
    assert only_line(done).startswith(f"crvq-coord: {path}: digests.files: '../config.json'")


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (lambda path: path.write_bytes(b" " * ((1 << 24) + 1)), 65, "expected at most 16777216 bytes, got more"),
        (lambda path: path.mkdir(), 65, "expected a regular file"),
        (lambda path: os.mkfifo(path), 65, "expected a regular file"),
        (lambda path: path.symlink_to(path), 74, "cannot open: Too many levels of symbolic links"),
    ],
    ids=["too long", "directory", "pipe", "loop"],
)
def test_a_report_that_cannot_be_read(
    programs: Programs, small: Inputs, packed: Path, make: Callable[[Path], object], code: int, message: str
) -> None:
    path = packed / REPORT
    path.unlink()
    make(path)
    done = programs.run("verify", "--model", small.model, "--quantized", packed)
    assert done.returncode == code
    assert only_line(done).startswith(f"crvq-coord: {path}: {message}")


def test_verify_finds_a_flipped_byte_anywhere_in_the_weights(
    programs: Programs, small: Inputs, small_result: Job, tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    for number in range(8):
        copy = Path(shutil.copytree(small_result.output, tmp_path / str(number)))
        (weights,) = copy.glob("*.safetensors")
        position = int(random.integers(weights.stat().st_size))
        flip(weights, position)
        done = programs.run("verify", "--model", small.model, "--quantized", copy)
        # In the header it may no longer be a file of this format at all; the code is the same.
        assert done.returncode == 65, f"byte {position}"
        assert str(weights) in done.stderr.splitlines()[-1], f"byte {position}: {done.stderr}"


def test_verify_finds_another_original(programs: Programs, packed: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", seed=8)
    done = programs.run("verify", "--model", other, "--quantized", packed)
    assert done.returncode == 65
    assert "block 0 self_attn.q_proj" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("value", ["bits_per_weight", "mean_relative_error", "worst_relative_error"])
def test_verify_adds_the_reports_totals_up(programs: Programs, small: Inputs, packed: Path, value: str) -> None:
    path = packed / REPORT
    written = json.loads(path.read_text())
    written["totals"][value] *= 1.01
    path.write_text(json.dumps(written))
    done = programs.run("verify", "--model", small.model, "--quantized", packed)
    assert done.returncode == 65
    assert done.stderr.splitlines()[-1].startswith("crvq-coord: verification failed: totals: ")


@pytest.mark.parametrize("value", ["bits_per_weight", "frobenius_error", "held_out_error", "output_error"])
def test_verify_recomputes_what_the_report_says(programs: Programs, small: Inputs, packed: Path, value: str) -> None:
    path = packed / REPORT
    written = json.loads(path.read_text())
    entry = written["blocks" if value == "output_error" else "linears"][1]
    entry[value] *= 1.01
    path.write_text(json.dumps(written))
    done = programs.run("verify", "--model", small.model, "--quantized", packed, "--calibration", small.tokens)
    assert done.returncode == 65
    last = done.stderr.splitlines()[-1]
    where = "block 1: output error" if value == "output_error" else f"block 0 {entry['name']}: "
    assert last.startswith(f"crvq-coord: verification failed: {where}"), last


def test_verify_finds_files_that_do_not_belong_there(programs: Programs, small: Inputs, packed: Path) -> None:
    (packed / "model-00002-of-00002.safetensors").write_bytes(b"more")
    done = programs.run("verify", "--model", small.model, "--quantized", packed)
    assert done.returncode == 65
    assert "model-00002-of-00002.safetensors: not in the report" in done.stderr.splitlines()[-1]


def test_verify_finds_an_original_that_has_changed_elsewhere(programs: Programs, copies: Inputs, packed: Path) -> None:
    """In its embeddings, which are not packed: no error of a linear tells."""
    change_tensor(copies.model, EMBEDDINGS, lambda weight: -weight)
    done = programs.run("verify", "--model", copies.model, "--quantized", packed)
    assert done.returncode == 65
    assert f"{copies.model}: digest " in done.stderr.splitlines()[-1]


def test_verify_wants_the_report(programs: Programs, small: Inputs, packed: Path) -> None:
    (packed / "crvq_report.json").unlink()
    done = programs.run("verify", "--model", small.model, "--quantized", packed)
    assert done.returncode == 65
    assert str(packed / "crvq_report.json") in only_line(done)


def test_verify_fails_above_a_bound(programs: Programs, small: Inputs, packed: Path) -> None:
    worst = max(report(packed)["linears"], key=lambda entry: entry["relative_error"])
    bound = worst["relative_error"] * 0.999
    done = programs.run("verify", "--model", small.model, "--quantized", packed, "--max-relative-error", bound)
    assert done.returncode == 65
    last = done.stderr.splitlines()[-1]
    assert f"block {worst['block']} {worst['name']}" in last and "is above" in last, last


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "JSON"])
def test_a_job_with_a_bound_keeps_its_output(small: Inputs, make_job: MakeJob, form: tuple[str, ...]) -> None:
    job = make_job(small, "--max-relative-error", "0.001", *form)
    done = job.run(*LOCAL, "2")
    assert done.returncode == 65
    last = done.stderr.splitlines()[-1]
    assert "--max-relative-error" in last and str(job.output) in last, last
    assert (job.output / "crvq_report.json").exists()


def test_inspect(programs: Programs, packed: Path) -> None:
    found = programs.json("inspect", "--quantized", packed)
    assert (found["architecture"], found["blocks"], found["packed_linears"]) == ("LlamaForCausalLM", 2, 14)
    assert found["packed_weights"] == 2 * sum(rows * columns for rows, columns in SMALL.linears.values())
    assert found["bits_per_weight"] == pytest.approx(report(packed)["totals"]["bits_per_weight"], rel=1e-12)
    assert found["mean_relative_error"] == report(packed)["totals"]["mean_relative_error"]


def test_export_is_what_the_python_decoder_decodes(programs: Programs, packed: Path, tmp_path: Path) -> None:
    programs.succeed("export", "--quantized", packed, "--output", tmp_path / "plain")
    command = [sys.executable, ROOT / "python" / "compare_export.py", packed, tmp_path / "plain"]
    done = succeeded(subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False))
    assert done.stdout == "14 of 14 linears are equal bit for bit\n"


def test_export_refuses_what_is_there(programs: Programs, packed: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    done = programs.run("export", "--quantized", packed, "--output", tmp_path / "plain")
    assert done.returncode == 64
    assert only_line(done).startswith(f"crvq-coord: {tmp_path / 'plain'}: exists")


def test_an_export_does_not_go_into_the_packed_model(programs: Programs, small: Inputs, packed: Path) -> None:
    done = programs.run("export", "--quantized", packed, "--output", packed / "plain")
    assert done.returncode == 64
    assert only_line(done).startswith(f"crvq-coord: {packed / 'plain'}: lies in --quantized {packed}")
    programs.succeed("verify", "--model", small.model, "--quantized", packed)


@pytest.mark.parametrize("command", ["inspect", "evaluate"])
def test_a_file_is_no_model(programs: Programs, small: Inputs, command: str) -> None:
    option = "--quantized" if command == "inspect" else "--model"
    more = [] if command == "inspect" else ["--tokens", small.tokens]
    done = programs.run(command, option, small.tokens, *more)
    assert done.returncode == 65
    assert only_line(done) == f"crvq-coord: {small.tokens}: expected a model directory, got a file"


def test_one_process_at_a_time_writes_an_output(programs: Programs, packed: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    begun = tmp_path / "plain.incomplete"
    begun.mkdir()
    lock = tmp_path / "plain.incomplete.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = programs.run("export", "--quantized", packed, "--output", plain)
        assert done.returncode == 75
        assert only_line(done).startswith(f"crvq-coord: {begun}: another process is writing it")
        assert begun.exists() and not plain.exists()
    # Of a process that is gone only the lock's file is left, and what it wrote.
    programs.succeed("export", "--quantized", packed, "--output", plain)
    assert plain.exists() and not begun.exists() and not lock.exists()


@pytest.mark.parametrize("command", ["inspect", "export"])
def test_an_original_is_not_packed(programs: Programs, small: Inputs, tmp_path: Path, command: str) -> None:
    output = ["--output", tmp_path / "plain"] if command == "export" else []
    done = programs.run(command, "--quantized", small.model, *output)
    assert done.returncode == 65
    assert only_line(done).startswith(f"crvq-coord: {small.model}: not a packed model")


def test_evaluate_takes_originals_and_packed_models(programs: Programs, small: Inputs, packed: Path) -> None:
    arguments = ["--tokens", small.tokens, "--window", "32", "--max-windows", "8"]
    for model in (small.model, packed):
        result = programs.json("evaluate", "--model", model, *arguments)
        assert result["tokens"] == 8 * 31
        assert result["perplexity"] > 1
