"""Whole jobs of models that are not of Llama's architecture, and what is made of their outputs."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from checkpoints import (
    EMBEDDINGS,
    WEIGHTS,
    Shape,
    change_config,
    model_tensors,
    save_bfloat16,
    write_model,
    write_tokens,
)
from conftest import ROOT
from jobs import LOCAL, Evaluation, Inputs, Job, report
from processes import succeeded

MakeJob = Callable[..., Job]


def inputs(directory: Path, shape: Shape) -> Inputs:
    return Inputs(write_model(directory / "model", shape), write_tokens(directory / "tokens.safetensors"))


def header(model: Path) -> dict[str, dict]:
    """Types, shapes and places of the tensors in a model of one file, by name."""
    (path,) = model.glob("*.safetensors")
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    return {name: entry for name, entry in json.loads(data[8 : 8 + length]).items() if name != "__metadata__"}


def biases(model: Path) -> dict[str, list[int]]:
    """Their shapes by name."""
    return {name: entry["shape"] for name, entry in header(model).items() if name.endswith(".bias")}


def assert_verified(job: Job) -> None:
    what = ["--model", job.inputs.model, "--quantized", job.output, "--calibration", job.inputs.tokens]
    assert job.programs.json("verify", *what)["faults"] == []


def test_qwen2_in_bfloat16_is_tuned_and_distilled(make_job: MakeJob, tmp_path: Path) -> None:
    """Its query, key and value have biases, of which nothing is lost on the way to the export."""
    shape = Shape(architecture="Qwen2", dtype="bfloat16")
    job = make_job(inputs(tmp_path, shape), "--group-size", "4", "--tune-epochs", "1", "--distill-epochs", "1")
    succeeded(job.run(*LOCAL, "2"))
    outcome = report(job.output)
    assert outcome["distillation"]["loss_after"] <= outcome["distillation"]["loss_before"]
    assert_verified(job)
    plain = tmp_path / "plain"
    job.programs.succeed("export", "--quantized", job.output, "--output", plain)
    assert len(biases(job.inputs.model)) == 3 * shape.blocks
    assert biases(job.inputs.model) == biases(job.output) == biases(plain)
    assert {entry["dtype"] for entry in header(plain).values()} == {"F16"}
    assert json.loads((plain / "config.json").read_text())["torch_dtype"] == "float16"
    command = [sys.executable, ROOT / "python" / "compare_export.py", job.output, plain]
    done = succeeded(subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False))
    assert done.stdout == "14 of 14 linears are equal bit for bit\n"
    packed, exported = (Evaluation(job.programs, model, job.inputs.tokens).measure() for model in (job.output, plain))
    assert packed == (pytest.approx(exported[0], rel=1e-6), exported[1])


def test_a_tied_head_that_is_stored_as_well(make_job: MakeJob, tmp_path: Path) -> None:
    """Embeddings and head are the same in the export too, although float16 rounds these."""
    shape = Shape(dtype="bfloat16")
    job = make_job(inputs(tmp_path, shape))
    tensors = model_tensors(shape, seed=7)
    tensors[EMBEDDINGS] = tensors["lm_head.weight"] = tensors[EMBEDDINGS].astype(np.float32) / 10_000
    save_bfloat16(tensors, job.inputs.model / WEIGHTS)
    succeeded(job.run(*LOCAL, "2"))
    plain = tmp_path / "plain"
    job.programs.succeed("export", "--quantized", job.output, "--output", plain)
    assert {entry["dtype"] for entry in header(plain).values()} == {"F16"}
    assert Evaluation(job.programs, plain, job.inputs.tokens).measure()[0] > 1


def test_mistral(make_job: MakeJob, tmp_path: Path) -> None:
    """Its sequences are no longer than its window."""
    job = make_job(inputs(tmp_path, Shape(architecture="Mistral")))
    change_config(job.inputs.model, sliding_window=64)
    succeeded(job.run(*LOCAL, "2"))
    assert_verified(job)
    assert job.programs.json("inspect", "--quantized", job.output)["architecture"] == "MistralForCausalLM"
    assert Evaluation(job.programs, job.output, job.inputs.tokens).measure(*LOCAL, "1")[0] > 1
