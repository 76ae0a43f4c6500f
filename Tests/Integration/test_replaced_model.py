"""A model's directory that is another one before the job that began with it is done."""

from __future__ import annotations

from typing import Callable

from checkpoints import write_model
from jobs import MANUAL, REPORT, Inputs, Job
from protocol import FIT
from relays import Gate

MakeJob = Callable[..., Job]


def test_the_output_is_of_the_model_that_the_job_began_with(
    copies: Inputs, small_result: Job, make_job: MakeJob, make_gate: Callable[..., Gate]
) -> None:
    job = make_job(copies)
    gate = make_gate(job, lambda task: (task.kind, task.block) == (FIT, 1))
    coordinator = job.start(*MANUAL)
    worker = gate.worker("one")
    gate.wait_until_it_holds()
    copies.model.rename(copies.model.with_name("first"))
    write_model(copies.model, seed=8)
    gate.open()
    coordinator.succeed()
    worker.succeed()
    for path in small_result.output.iterdir():
        if path.name != REPORT:
            assert (job.output / path.name).read_bytes() == path.read_bytes(), path.name
