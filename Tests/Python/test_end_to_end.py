"""The built commands on a small random model, their output read by the numpy decoder."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Run, run
from crvq.packed import Checkpoint, PackedModel
from safetensors.numpy import save_file
from small_model import LINEARS, write_model, write_tokens

OPTIONS = {
    "defaults": [],
    "critical channels": ["--critical-ratio", "0.25"],
    "plain vector quantization": ["--codebook-bits", "8"],
    "codes of other lengths": ["--codebook-bits", "6,5,3", "--critical-ratio", "0.5"],
    "groups of four": ["--group-size", "4", "--codebook-bits", "5,5", "--critical-ratio", "0.2"],
}


def succeed(*command: str | Path) -> Run[str]:
    done = run(*command)
    assert done.returncode == 0, f"{done.args} exited with {done.returncode}\n{done.stderr[-4000:]}"
    return done


def compare(quantized: Path, exported: Path) -> str:
    return succeed(sys.executable, ROOT / "python" / "compare_export.py", quantized, exported).stdout


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("inputs")
    write_model(directory / "model")
    write_tokens(directory / "tokens.safetensors", sequences=12, length=48)
    write_tokens(directory / "test.safetensors", sequences=1, length=200, seed=12)
    return directory


@pytest.fixture(scope="module", params=OPTIONS)
def packed(
    request: pytest.FixtureRequest, binaries: Path, inputs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A packed model made by two worker processes."""
    directory = tmp_path_factory.mktemp("job")
    job = ["--job", directory / "job", "--launcher", "local", "--workers", "2", "--shards", "3"]
    files = ["--model", inputs / "model", "--calibration", inputs / "tokens.safetensors", "--output", directory / "out"]
    done = succeed(binaries / "crvq-coord", "launch", *files, *job, *OPTIONS[request.param], "--json")
    json.loads(done.stdout)
    return directory / "out"


def test_every_linear_decodes_to_what_export_writes(packed: Path, binaries: Path, tmp_path: Path) -> None:
    succeed(binaries / "crvq-coord", "export", "--quantized", packed, "--output", tmp_path / "plain")
    assert compare(packed, tmp_path / "plain") == f"{LINEARS} of {LINEARS} linears are equal bit for bit\n"
    assert "quantization_config" not in Checkpoint(tmp_path / "plain").config


def test_what_is_not_packed_is_the_original(packed: Path, inputs: Path) -> None:
    model, original = PackedModel(packed), Checkpoint(inputs / "model")
    assert set(model.plain_tensors) == {name for name in original.files if name[: -len(".weight")] not in model.linears}
    for name in model.plain_tensors:
        assert np.array_equal(model.tensor(name), original.tensor(name)), name


def test_the_report_is_about_these_weights(packed: Path, inputs: Path) -> None:
    """frobenius_error is |W - Ŵ|² / |W|², and nothing but the weights is needed to see it."""
    report = json.loads((packed / "crvq_report.json").read_text())
    model, original = PackedModel(packed), Checkpoint(inputs / "model")
    entries = {f"model.layers.{entry['block']}.{short_name(entry)}": entry for entry in report["linears"]}
    assert sorted(entries) == sorted(model.linears)
    for name, entry in entries.items():
        weight = original.tensor(f"{name}.weight").astype(np.float64)
        error = np.square(weight - model.decode(name)).sum() / np.square(weight).sum()
        assert entry["frobenius_error"] == pytest.approx(error, rel=1e-3), name
        assert entry["shape"] == list(weight.shape)
        assert 0 <= entry["relative_error"] < 1


def short_name(entry: dict[str, Any]) -> str:
    """`self_attn.q_proj`, whether or not the report's names carry the block."""
    return entry["name"].removeprefix(f"model.layers.{entry['block']}.")


def test_verify_agrees(packed: Path, binaries: Path, inputs: Path) -> None:
    succeed(binaries / "crvq-coord", "verify", "--model", inputs / "model", "--quantized", packed, "--json")


def test_export_has_the_perplexity_of_the_packed_model(
    packed: Path, binaries: Path, inputs: Path, tmp_path: Path
) -> None:
    succeed(binaries / "crvq-coord", "export", "--quantized", packed, "--output", tmp_path / "plain")
    measured = []
    for model in (packed, tmp_path / "plain"):
        tokens = ["--tokens", inputs / "test.safetensors", "--window", "64"]
        measured.append(
            json.loads(succeed(binaries / "crvq-coord", "evaluate", "--model", model, *tokens, "--json").stdout)
        )
    assert measured[0]["tokens"] == measured[1]["tokens"] > 0
    assert measured[0]["perplexity"] == pytest.approx(measured[1]["perplexity"], rel=1e-6)


@pytest.mark.skipif(not os.environ.get("CRVQ_FULL"), reason="takes minutes: only with scripts/test --full")
def test_the_real_model(model: Path, binaries: Path, tmp_path: Path) -> None:
    """All 210 linears of a real model, from 8 short sequences."""
    random = np.random.default_rng(1)
    save_file({"input_ids": random.integers(17, 49_152, (8, 256)).astype(np.int32)}, tmp_path / "tokens.safetensors")
    files = ["--model", model, "--calibration", tmp_path / "tokens.safetensors", "--output", tmp_path / "out"]
    job = ["--job", tmp_path / "job", "--launcher", "local", "--workers", "2"]
    done = run(binaries / "crvq-coord", "launch", *files, *job, timeout=3600)
    assert done.returncode == 0, done.stderr[-4000:]
    succeed(binaries / "crvq-coord", "export", "--quantized", tmp_path / "out", "--output", tmp_path / "plain")
    assert compare(tmp_path / "out", tmp_path / "plain") == "210 of 210 linears are equal bit for bit\n"
