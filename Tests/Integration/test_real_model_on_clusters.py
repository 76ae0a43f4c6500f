"""The quickstart's model on a real Slurm and over ssh, a machine lost in the middle: the same bytes as local workers make."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import namespaces
import pytest
import slurm_cluster
import ssh_hosts
from conftest import ROOT, is_full_run
from jobs import LOCAL, Inputs, Job, assert_same_output, report
from namespaces import HUB_ADDRESS, Network, inside
from processes import Programs, query, wait_until
from slurm_cluster import Slurm
from ssh_hosts import in_namespaces

MakeJob = Callable[..., Job]

MODEL = ROOT / "models" / "SmolLM2-135M-Instruct"
TOKENS = ROOT / "data" / "quickstart-64.safetensors"
OPTIONS = ("--sequences", "8")
LINEARS = 210
# For all of a job; smaller machines than a developer's may be busy besides.
PATIENCE = 3600.0

if not is_full_run():
    pytest.skip("takes many minutes: only with scripts/test --full", allow_module_level=True)
for path in (MODEL, TOKENS):
    if not path.exists():
        pytest.skip(f"{path.relative_to(ROOT)} is not there: scripts/quickstart makes it", allow_module_level=True)


@pytest.fixture(scope="module")
def real() -> Inputs:
    return Inputs(MODEL, TOKENS)


@pytest.fixture(scope="module")
def expected(binaries: Path, real: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of two local workers that nothing disturbed."""
    directory = tmp_path_factory.mktemp("real-result")
    programs = Programs(binaries, directory)
    job = Job(programs, real, directory, OPTIONS)
    try:
        job.start(*LOCAL, "2").succeed(PATIENCE)
    finally:
        programs.kill_all()
    return job.output


@pytest.fixture
def slurm(programs: Programs) -> Iterator[Slurm]:
    if reason := slurm_cluster.why_not():
        pytest.skip(reason)
    with slurm_cluster.running(2) as slurm:
        programs.environment.update(SLURM_CONF=str(slurm.config), PATH=slurm.environment["PATH"])
        yield slurm


def cluster(job: Job, *lines: str) -> Path:
    path = job.directory / "cluster.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def workers(job: Job, name: str) -> int:
    """How many times a worker of that name has joined."""
    return len(query(job.job, "SELECT pid FROM worker WHERE name = ?", name))


def wait_until_fitted(job: Job, count: int) -> None:
    """Reads the database, which costs the job less than many runs of `status`."""
    wait_until(lambda: len(job.stored_fits()) >= count, f"{count} linears are fitted", PATIENCE)


def test_a_node_of_slurm_is_lost_and_comes_back(
    real: Inputs, expected: Path, make_job: MakeJob, slurm: Slurm
) -> None:
    """A worker takes all cores of a node, so that what the lost node ran waits until the node is there again."""
    job = make_job(real, *OPTIONS)
    file = cluster(job, "engine: slurm", "partition: cpu", "nodes: 2", "threads: 2")
    coordinator = job.start("--launcher", "slurm", "--cluster", file, "--bind", "tcp://127.0.0.1:*")
    array = slurm.array()
    node = slurm.node(f"{array}_1")
    job.programs.endpoint(job.job)
    wait_until(lambda: workers(job, "slurm-1"), "the second worker has joined")
    wait_until_fitted(job, LINEARS // 3)
    slurm.lose(node)
    lost = f"worker slurm-1 on {node} was taken back by Slurm and waits in its queue"
    wait_until(lambda: lost in coordinator.stderr, "the loss is noticed")
    wait_until_fitted(job, LINEARS // 2)
    assert not slurm.running_on(f"{array}_1")
    slurm.start_node(node)
    wait_until(lambda: workers(job, "slurm-1") == 2, "the lost worker has joined again")
    assert slurm.running_on(f"{array}_1") == node
    coordinator.succeed(PATIENCE)
    assert_same_output(expected, job.output)
    assert {entry["worker"] for entry in report(job.output)["linears"]} == {"slurm-0", "slurm-1"}


def test_one_of_three_hosts_of_ssh_dies(real: Inputs, expected: Path, make_job: MakeJob, tmp_path: Path) -> None:
    """Without a word, and for good: its cable is pulled, and then all that runs there is killed."""
    for reason in (ssh_hosts.why_not(), namespaces.why_not()):
        if reason:
            pytest.skip(reason)
    (tmp_path / "ssh").mkdir()
    names = ["node0-1", "node1-1", "node2-1"]
    with Network(3) as network, in_namespaces(network, tmp_path / "ssh") as machines:
        job = make_job(real, *OPTIONS)
        lines = ["engine: ssh", "hosts: [node0, node1, node2]", "threads: 1", f"interface: {HUB_ADDRESS}"]
        file = cluster(job, *lines, f'options: ["-F", "{machines.config}"]')
        coordinator = job.start("--launcher", "ssh", "--cluster", file, prefix=inside(network.hub))
        job.programs.endpoint(job.job)
        wait_until(lambda: all(workers(job, name) for name in names), "all three have joined")
        wait_until_fitted(job, LINEARS // 2)
        network.pull_cable(1)
        machines.hosts[1].kill()
        done = coordinator.succeed(PATIENCE)
        assert "worker node1-1 is no longer part of the job" in done.stderr
        assert workers(job, "node1-1") == 1
    assert_same_output(expected, job.output)
    assert {entry["worker"] for entry in report(job.output)["linears"]} == set(names)
