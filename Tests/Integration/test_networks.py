"""Workers on machines of their own: cables that are pulled, and connections of which one end does not know that it is over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from checkpoints import LASTING, Shape, write_model, write_tokens
from conftest import finished, is_full_run
from jobs import Inputs, Job, assert_no_lease_ran_out_twice, assert_same_output, longest_silence
from namespaces import HUB_ADDRESS, Network, inside, why_not
from processes import Process, succeeded, wait_until

MakeJob = Callable[..., Job]
MACHINES = 3
# After so much of it, seconds, a worker is given up: SchedulerPolicy.heartbeatTimeout.
SILENCE = 10
PULLED = 30 if is_full_run() else SILENCE + 3
SHAPE = Shape(hidden=256, mlp=704, heads=8, key_heads=2, head=32, blocks=12) if is_full_run() else LASTING
FITS = SHAPE.blocks * len(SHAPE.linears)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    if reason := why_not():
        pytest.skip(f"this machine does not let us make network namespaces: {reason}")
    with Network(MACHINES) as network:
        yield network


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    directory = tmp_path_factory.mktemp("networks")
    return Inputs(write_model(directory / "model", SHAPE), write_tokens(directory / "tokens.safetensors"))


@pytest.fixture(scope="module")
def expected(binaries: Path, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return finished(binaries, inputs, tmp_path_factory.mktemp("networks-result"))


def start(job: Job, network: Network) -> tuple[Process, list[Process]]:
    options = ("--launcher", "none", "--bind", f"tcp://{HUB_ADDRESS}:7711", "--insecure")
    coordinator = job.start(*options, prefix=inside(network.hub))
    job.programs.endpoint(job.job)
    return coordinator, [start_worker(job, network, number) for number in range(MACHINES)]


def start_worker(job: Job, network: Network, number: int) -> Process:
    prefix = inside(network.machine(number))
    endpoint = f"tcp://{HUB_ADDRESS}:7711"
    return job.programs.worker(endpoint, f"machine-{number}", "--insecure", prefix=prefix)


def assert_ends_well(job: Job, coordinator: Process, workers: list[Process], expected: Job) -> None:
    succeeded(coordinator.wait())
    for worker in workers:
        worker.succeed()
    print(f"longest silence {longest_silence(job):.1f} s")
    assert_same_output(expected.output, job.output)
    assert_no_lease_ran_out_twice(job)


def test_a_cable_is_pulled_and_plugged_in_again(
    network: Network, inputs: Inputs, expected: Job, make_job: MakeJob
) -> None:
    """First that of one machine, then those of all. What they held is made again, or fetched when they are back."""
    job = make_job(inputs)
    coordinator, workers = start(job, network)
    job.wait_until_fitted(FITS // 8)
    network.pull_cable(0)
    # Without what machine-0 has in hand the others do not get to the end. When it is given to them they stand still, for a
    # shorter time than it takes to be missed.
    time.sleep(SILENCE / 2)
    with workers[1].standing_still(), workers[2].standing_still():
        wait_until(lambda: "worker machine-0 is no longer part of the job" in coordinator.stderr, "the silence is noticed")
        for number in range(MACHINES):
            network.pull_cable(number)
    assert len(job.stored_fits()) < FITS
    time.sleep(PULLED)
    for number in range(MACHINES):
        network.plug_in(number)
    assert_ends_well(job, coordinator, workers, expected)


def test_a_connection_of_which_one_end_is_gone(
    network: Network, inputs: Inputs, expected: Job, make_job: MakeJob
) -> None:
    """A worker dies while its cable is pulled, so that nothing tells the others; another takes its name and address."""
    job = make_job(inputs)
    coordinator, workers = start(job, network)
    job.wait_until_fitted(FITS // 8)
    network.pull_cable(1)
    workers[1].kill()
    assert len(job.stored_fits()) < FITS
    network.plug_in(1)
    workers[1] = start_worker(job, network, 1)
    assert_ends_well(job, coordinator, workers, expected)
