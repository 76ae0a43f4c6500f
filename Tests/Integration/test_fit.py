"""The command fit: one weight matrix and its Gram, from a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from checkpoints import SMALL
from jobs import Inputs
from processes import Programs, only_line, succeeded
from safetensors.numpy import load_file, save_file

FIT = ("--weight", "W", "--gram", "H")


def write_inputs(path: Path, gram: np.ndarray) -> Path:
    """W is random."""
    weight = np.random.default_rng(6).standard_normal((64, len(gram))).astype(np.float32)
    save_file({"W": weight, "H": gram.astype(np.float32)}, path)
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    return write_inputs(tmp_path / "inputs.safetensors", np.eye(16))


def test_fit(programs: Programs, small: Inputs, tmp_path: Path) -> None:
    """A weight of the model under a Gram of random activations; the packed file holds the tensors of the format."""
    random = np.random.default_rng(5)
    activations = random.standard_normal((500, SMALL.hidden)).astype(np.float32)
    weight = load_file(small.model / "model.safetensors")["model.layers.0.mlp.up_proj.weight"]
    inputs = tmp_path / "inputs.safetensors"
    save_file({"up.weight": weight, "H": activations.T @ activations / 500}, inputs)
    arguments = ["--input", inputs, "--weight", "up.weight", "--gram", "H", "--critical-ratio", "0.25"]
    result = programs.json("fit", *arguments, "--output", tmp_path / "up.safetensors")
    assert 0 < result["relative_error"] < 1
    assert result["rounds"] >= 1
    names = {"codes", "critical_codes", "codebooks", "scales", "channel_order"}
    assert set(load_file(tmp_path / "up.safetensors")) == {f"up.{name}" for name in names}


def test_fit_writes_where_a_symbolic_link_leads(programs: Programs, inputs: Path, tmp_path: Path) -> None:
    """/dev/stdout is a link, and everybody's."""
    link, target = tmp_path / "link", tmp_path / "target"
    target.write_text("old")
    link.symlink_to("target")
    programs.succeed("fit", "--input", inputs, *FIT, "--output", link)
    assert link.is_symlink()
    assert "W.codes" in load_file(target)
    target.unlink()
    done = programs.run("fit", "--input", inputs, *FIT, "--output", link)
    assert done.returncode == 74
    assert only_line(done).startswith(f"crvq-coord: {link}: cannot follow the symbolic link")


def test_fit_names_what_is_not_there(programs: Programs, small: Inputs) -> None:
    weights = small.model / "model.safetensors"
    done = programs.run("fit", "--input", weights, "--weight", "nothing", "--gram", "H")
    assert done.returncode == 65
    assert only_line(done).startswith(f"crvq-coord: {weights}: no tensor nothing")


def test_fit_refuses_a_gram_of_another_size(programs: Programs, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.safetensors"
    save_file({"W": np.ones((8, 16), np.float32), "H": np.eye(24, dtype=np.float32)}, inputs)
    done = programs.run("fit", "--input", inputs, "--weight", "W", "--gram", "H")
    assert done.returncode == 65
    line = only_line(done)
    assert "16" in line and "24" in line, line


def with_entries(value: float, *places: tuple[int, int]) -> np.ndarray:
    gram = np.eye(16)
    for place in places:
        gram[place] = value
    return gram


@pytest.mark.parametrize(
    ("gram", "message"),
    [
        (-np.eye(16), "Gram matrix[0, 0] is -1.0"),
        (with_entries(-0.5, (3, 3)), "Gram matrix[3, 3] is -0.5"),
        (with_entries(-2, (1, 2), (2, 1)), "Gram matrix[2, 1] is -2.0"),
        (1.9 * np.eye(16) - 0.9, "not positive semidefinite"),
    ],
    ids=["negative", "one negative entry", "beyond the diagonal", "indefinite"],
)
def test_what_is_no_gram_is_refused(programs: Programs, tmp_path: Path, gram: np.ndarray, message: str) -> None:
    inputs = write_inputs(tmp_path / "inputs.safetensors", gram)
    done = programs.run("fit", "--input", inputs, *FIT, "--json")
    assert done.returncode == 65
    assert message in only_line(done)


def test_a_gram_of_zeros_is_taken_for_the_identity(programs: Programs, tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path / "inputs.safetensors", np.zeros((16, 16)))
    result = programs.json("fit", "--input", inputs, *FIT, "--codebook-bits", "4")
    assert 0 < result["frobenius_error"] < 1
    assert result["relative_error"] == pytest.approx(result["frobenius_error"], rel=1e-3)


def test_an_output_of_one_letter(programs: Programs, inputs: Path) -> None:
    succeeded(programs.run("fit", "--input", inputs, *FIT, "--output", "x", cwd=inputs.parent))
    assert "W.codes" in load_file(inputs.parent / "x")


@pytest.mark.parametrize("option", ["--input", "--output"])
def test_an_empty_path_is_refused(programs: Programs, inputs: Path, option: str) -> None:
    options = {"--input": inputs, "--output": inputs.parent / "packed", option: ""}
    done = programs.run("fit", *FIT, *(part for pair in options.items() for part in pair))
    assert done.returncode == 64
    line = only_line(done)
    assert option in line and line.endswith("expected a path, got nothing"), line


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        (lambda inputs: inputs.parent, 64, "{output}: exists, and is no file"),
        (lambda inputs: inputs.parent / "pipe", 64, "{output}: exists, and is no file"),
        (lambda inputs: inputs, 64, "{output}: is the file of --input"),
        (lambda inputs: inputs.parent / "link", 64, "{output}: is the file of --input"),
        (lambda inputs: inputs.parent / "none" / "x", 74, "{output.parent}: no such directory; make it first"),
    ],
    ids=["directory", "pipe", "input", "link to the input", "missing directory"],
)
def test_an_output_that_cannot_be_is_found_before_the_fit(
    programs: Programs, inputs: Path, place: Callable[[Path], object], code: int, message: str
) -> None:
    (inputs.parent / "link").symlink_to(inputs)
    os.mkfifo(inputs.parent / "pipe")
    before, names = inputs.read_bytes(), sorted(path.name for path in inputs.parent.iterdir())
    output = place(inputs)
    # Without --json a fit says something after each round.
    done = programs.run("fit", "--input", inputs, *FIT, "--output", output)
    assert done.returncode == code
    assert only_line(done).startswith("crvq-coord: " + message.format(output=output))
    assert inputs.read_bytes() == before
    assert sorted(path.name for path in inputs.parent.iterdir()) == names
