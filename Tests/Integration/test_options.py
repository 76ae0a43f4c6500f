"""Options that decide what a job makes: each is in its report, and does what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import finished
from jobs import LOCAL, Inputs, Job, report
from processes import succeeded
from safetensors.numpy import load_file, save_file

MakeJob = Callable[..., Job]
# So that linears this small have critical channels.
CRITICAL = ("--critical-ratio", "0.25")
OPTIONS = {
    "rounds": (["--rounds", "1"], ("fit", "maximum_rounds"), 1),
    "tolerance": (["--tolerance", "0.5"], ("fit", "tolerance"), 0.5),
    "no tolerance": (["--tolerance", "0"], ("fit", "tolerance"), 0),
    "importance by weight": (["--importance", "weight"], ("fit", "importance"), "weight"),
    "importance at random": (["--importance", "random"], ("fit", "importance"), "random"),
    "beam": (["--beam", "1"], ("fit", "beam_width"), 1),
    "seed": (["--seed", "5"], ("fit", "seed"), 5),
    "no repair": (["--no-repair"], ("repair",), False),
}


def packed(job: Job) -> bytes:
    """All tensors of the output."""
    (path,) = job.output.glob("*.safetensors")
    return path.read_bytes()


def ran(job: Job) -> Job:
    succeeded(job.run(*LOCAL, "2"))
    return job


@pytest.fixture(scope="module")
def usual(binaries: Path, small: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return finished(binaries, small, tmp_path_factory.mktemp("usual"), *CRITICAL)


@pytest.mark.parametrize("case", OPTIONS)
def test_an_option_changes_the_output_and_is_in_the_report(usual: Job, make_job: MakeJob, case: str) -> None:
    options, place, value = OPTIONS[case]
    job = ran(make_job(usual.inputs, *CRITICAL, *options))

    def noted(job: Job) -> Any:
        found = report(job.output)["options"]
        for key in place:
            found = found[key]
        return found

    assert noted(job) == value != noted(usual)
    assert packed(job) != packed(usual)
    assert ("recollect" in job.status()["attempts"]) == (case != "no repair")


def with_tokens(inputs: Inputs, change: Callable[[Any], Any]) -> Inputs:
    """The inputs with other sequences in place of theirs."""
    save_file({"input_ids": change(load_file(inputs.tokens)["input_ids"])}, inputs.tokens)
    return inputs


def test_held_out_sequences_change_no_tensor(copies: Inputs, small_result: Job, make_job: MakeJob) -> None:
    held_out = report(small_result.output)["options"]["held_out"]

    def change(tokens: Any) -> Any:
        tokens[-held_out:] = tokens[-held_out:, ::-1].copy()
        return tokens

    job = ran(make_job(with_tokens(copies, change)))
    assert packed(job) == packed(small_result)
    got, expected = report(job.output)["linears"], report(small_result.output)["linears"]
    # They are what it is measured on.
    for one, other in zip(got, expected, strict=True):
        assert one["relative_error"] == other["relative_error"]
        assert one["held_out_error"] != other["held_out_error"]


def test_the_first_sequences_are_as_good_as_a_file_of_them(small: Inputs, copies: Inputs, make_job: MakeJob) -> None:
    some = ran(make_job(small, "--sequences", "6"))
    all_ = ran(make_job(with_tokens(copies, lambda tokens: tokens[:6])))
    assert packed(some) == packed(all_)
    assert report(some.output)["options"]["sequences"] == 6
