"""A model file that is overwritten or cut short where it lies, while a job has it open."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from checkpoints import WEIGHTS, add_tensor, change_tensor
from jobs import LOCAL, MANUAL, Inputs, Job, assert_same_output
from processes import only_line, succeeded

MakeJob = Callable[..., Job]
NORM = "model.norm.weight"
# Nothing of a job but its end reads the last tensor, which has pages of its own.
EXTRA = "unused"
EXTRA_BYTES = 1 << 20


@pytest.fixture
def inputs(small: Inputs, tmp_path: Path) -> Inputs:
    model = Path(shutil.copytree(small.model, tmp_path / "model"))
    add_tensor(model, EXTRA, lambda _: np.ones(EXTRA_BYTES // 2, np.float16))
    return Inputs(model, small.tokens)


@pytest.fixture
def expected(inputs: Inputs, make_job: MakeJob) -> Job:
    job = make_job(inputs)
    succeeded(job.run(*LOCAL, "1"))
    return job


def test_what_is_copied_at_the_end_has_been_overwritten(inputs: Inputs, expected: Job, make_job: MakeJob) -> None:
    whole = (inputs.model / WEIGHTS).read_bytes()
    job = make_job(inputs)
    coordinator = job.start(*MANUAL)
    job.programs.endpoint(job.job)
    change_tensor(inputs.model, NORM, lambda norm: norm * np.float16(2))
    job.worker("one")
    done = coordinator.wait()
    assert done.returncode == 75
    said = f"crvq-coord: {inputs.model} ({NORM}): is not what the job was started with any more; restore it; go on with: "
    assert said in done.stderr
    assert not job.output.exists()
    (inputs.model / WEIGHTS).write_bytes(whole)
    succeeded(job.resume(*LOCAL, "1"))
    assert_same_output(expected.output, job.output)


def test_what_is_copied_at_the_end_has_been_cut_off(inputs: Inputs, expected: Job, make_job: MakeJob) -> None:
    """The system then ends whoever reads it where it was mapped."""
    weights = inputs.model / WEIGHTS
    whole = weights.read_bytes()
    assert whole.endswith(bytes(np.ones(EXTRA_BYTES // 2, np.float16)))
    job = make_job(inputs)
    coordinator = job.start(*MANUAL)
    job.programs.endpoint(job.job)
    os.truncate(weights, len(whole) - EXTRA_BYTES // 2)
    job.worker("one")
    done = coordinator.wait()
    assert done.returncode == 74
    said = f"{weights}: was cut short, or its disk failed, while it was in use; restore it and try again"
    assert done.stderr.splitlines()[-1] == f"crvq-coord: {said}"
    assert not job.output.exists()
    weights.write_bytes(whole)
    succeeded(job.resume(*LOCAL, "1"))
    assert_same_output(expected.output, job.output)


def test_a_tensor_has_been_cut_off_before_an_evaluation(inputs: Inputs, make_job: MakeJob) -> None:
    """Found when the file is opened."""
    weights = inputs.model / WEIGHTS
    os.truncate(weights, weights.stat().st_size - EXTRA_BYTES // 2)
    done = make_job(inputs).programs.run("evaluate", "--model", inputs.model, "--tokens", inputs.tokens)
    assert done.returncode == 65
    assert only_line(done).startswith(f"crvq-coord: {weights}: ")
