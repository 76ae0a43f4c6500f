"""`--launcher slurm` against a real Slurm: the same bytes as local workers make, lost nodes and requeues included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from jobs import Inputs, Job, assert_same_output, report
from processes import Programs, json_object, last_line, only_line, query, succeeded, wait_until
from slurm_cluster import Slurm, running, why_not

MakeJob = Callable[..., Job]

if reason := why_not():
    pytest.skip(reason, allow_module_level=True)

ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
SBATCH = Path(__file__).parents[2] / "cluster" / "slurm" / "crvq.sbatch"
LOOPBACK = ("--bind", "tcp://127.0.0.1:*")


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with running(3) as slurm:
        yield slurm


@pytest.fixture
def on_slurm(slurm: Slurm, programs: Programs) -> Slurm:
    programs.environment.update(SLURM_CONF=str(slurm.config), PATH=slurm.environment["PATH"])
    return slurm


def cluster(job: Job, *lines: str) -> Path:
    path = job.directory / "cluster.yaml"
    path.write_text("\n".join(["engine: slurm", "partition: cpu", "threads: 1", *lines]) + "\n")
    return path


@pytest.mark.parametrize("line", ["threads: 512", "partition: nonsense", "memory: 900G"])
def test_a_plan_that_slurm_would_never_start(small: Inputs, make_job: MakeJob, on_slurm: Slurm, line: str) -> None:
    job = make_job(small)
    file = job.directory / "cluster.yaml"
    lines = {"engine": "slurm", "partition": "cpu", "threads": "1", "nodes": "2"}
    lines.update([line.split(": ")])
    file.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
    done = job.run("--cluster", file, "--dry-run", "--measure-seconds", "0.5")
    assert done.returncode == 64
    said = only_line(done)
    assert said.startswith("crvq-coord: slurm: ") and "; cpu has nodes of " in said, said
    assert not job.job.exists()


def test_a_dry_run_measures_the_nodes(small: Inputs, make_job: MakeJob, on_slurm: Slurm) -> None:
    job = make_job(small)
    file = cluster(job, "nodes: 2", f"program: {job.programs.worker_program}")
    done = succeeded(job.run("--cluster", file, "--dry-run", "--measure-seconds", "0.5", "--json"))
    (place,) = json_object(done)["places"]
    assert place["workers"] == 2 and place["gigaflops_per_thread"] > 0
    assert done.stderr == ""


def test_a_job_array_makes_the_same_bytes(
    small: Inputs, small_result: Job, make_job: MakeJob, on_slurm: Slurm
) -> None:
    job = make_job(small)
    file = cluster(job, "nodes: 2", "time: 10", "environment: {CRVQ_PLACE: 'over ''there'}", "options: [--comment=crvq]")
    succeeded(job.run("--launcher", "slurm", "--cluster", file, *LOOPBACK))
    assert_same_output(small_result.output, job.output)
    assert {entry["worker"] for entry in report(job.output)["linears"]} <= {"slurm-0", "slurm-1"}
    wait_until(lambda: on_slurm.run("squeue", "-h", "-o", "%F|").strip() == "", "no task is left in the queue")


def test_a_lost_node_and_a_requeue(
    lasting: Inputs, lasting_result: Job, make_job: MakeJob, on_slurm: Slurm
) -> None:
    """The only worker is lost with its node; Slurm starts it again on another. Then it is preempted there."""
    job = make_job(lasting)
    file = cluster(job, "nodes: 1", "options: [--no-kill=off]")
    coordinator = job.start("--cluster", file, *LOOPBACK)
    task = f"{on_slurm.array()}_0"
    job.wait_until_fitted(2)
    first = on_slurm.node(task)
    on_slurm.lose(first)
    second = wait_until(lambda: (node := on_slurm.running_on(task)) != first and node, "the task runs elsewhere")
    assert second != first
    job.wait_until_fitted(20)
    on_slurm.run("scontrol", "requeue", task)
    done = coordinator.succeed()
    assert_same_output(lasting_result.output, job.output)
    # Whether it was seen to wait in between is Slurm's doing.
    taken = f"worker slurm-0 on {first} was taken back by Slurm and "
    assert any(taken + end in done.stderr for end in ("waits in its queue", f"runs again on {second}"))
    workers = query(job.job, "SELECT name FROM worker")
    assert len(workers) >= 3 and set(workers) == {("slurm-0",)}


def test_a_drained_node_is_given_nothing_more(
    lasting: Inputs, lasting_result: Job, make_job: MakeJob, on_slurm: Slurm
) -> None:
    """The administrator takes the worker's node out of service and has its task start elsewhere."""
    job = make_job(lasting)
    coordinator = job.start("--cluster", cluster(job, "nodes: 1"), *LOOPBACK)
    task = f"{on_slurm.array()}_0"
    job.wait_until_fitted(2)
    first = on_slurm.node(task)
    with on_slurm.drained(first):
        on_slurm.control("requeue", task)
        second = wait_until(lambda: on_slurm.running_on(task), "the task runs again")
        assert second != first
        coordinator.succeed()
    assert_same_output(lasting_result.output, job.output)


def submit_all(job: Job, slurm: Slurm, programs: Path, nodes: int) -> tuple[str, Path]:
    """All of a job in one allocation, with the programs of a directory; its number and its log."""
    log = job.directory / "slurm.log"
    number = slurm.submit(
        "--partition=cpu", f"--nodes={nodes}", f"--output={log}", SBATCH, *job.inputs.options(), "--output", job.output,
        environment={**slurm.environment, "PATH": f"{programs}:{slurm.environment['PATH']}"},
    )  # fmt: skip
    return number, log


def assert_completed(slurm: Slurm, number: str, log: Path) -> None:
    state = wait_until(lambda: (state := slurm.state(number)) in ENDED and state, "the job has ended")
    assert state == "COMPLETED", log.read_text()


def test_a_whole_job_in_one_allocation(
    lasting: Inputs, lasting_result: Job, make_job: MakeJob, on_slurm: Slurm
) -> None:
    """crvq.sbatch: coordinator and two workers in one job of Slurm, which is requeued on the way."""
    job = make_job(lasting)
    number, log = submit_all(job, on_slurm, job.programs.coordinator.parent, nodes=2)
    directory = Path(f"{job.output}.job")

    def pids() -> set[int]:
        return {pid for (pid,) in query(directory, "SELECT pid FROM worker")}

    wait_until(lambda: job.programs.status(directory).get("fits", 0) >= 2 and len(pids()) == 2, "two workers are at it")
    before = pids()
    on_slurm.run("scontrol", "requeue", number)
    assert_completed(on_slurm, number, log)
    assert "Restarts=1" in on_slurm.run("scontrol", "show", "job", number)
    assert_same_output(lasting_result.output, job.output)
    assert pids() - before, "other workers after the requeue"


def test_workers_in_the_allocation_wait_for_a_coordinator_that_is_slow(
    small: Inputs, small_result: Job, make_job: MakeJob, on_slurm: Slurm, tmp_path: Path
) -> None:
    """It reads its model before it listens, which may take longer than a worker waits."""
    job = make_job(small)
    for name, script in {
        "crvq-coord": f'[ "$1" = launch ] && sleep 8; exec {job.programs.coordinator} "$@"',
        "crvq-worker": f'echo begin >&2; exec {job.programs.worker_program} "$@" --patience 2',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    number, log = submit_all(job, on_slurm, tmp_path, nodes=1)
    assert_completed(on_slurm, number, log)
    assert log.read_text().count("begin\n") > 1
    assert_same_output(small_result.output, job.output)


def test_a_coordinator_that_is_killed_leaves_no_array_behind(
    long: Inputs, long_result: Job, make_job: MakeJob, on_slurm: Slurm
) -> None:
    job = make_job(long)
    file = cluster(job, "nodes: 1")
    coordinator = job.start("--cluster", file, *LOOPBACK)
    first = on_slurm.array()
    job.wait_until_fitted(2)
    coordinator.kill()
    assert (job.job / "slurm-array").read_text() == first
    succeeded(job.resume("--cluster", file, *LOOPBACK))
    assert_same_output(long_result.output, job.output)
    states = on_slurm.run("squeue", "-h", "-t", "all", "-j", first, "-o", "%T").split()
    assert "RUNNING" not in states and "PENDING" not in states
    assert not (job.job / "slurm-array").exists()


def test_an_evaluation_has_its_directory_where_the_nodes_find_it(
    small_result: Job, programs: Programs, on_slurm: Slurm, tmp_path: Path
) -> None:
    """Beside the user's own files, for as long as it lasts."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "cluster.yaml").write_text("engine: slurm\npartition: cpu\nthreads: 1\nnodes: 2\n")
    tokens = ["--tokens", small_result.inputs.tokens, "--window", "25"]
    arguments = ["evaluate", "--model", small_result.output, *tokens, "--json"]
    done = succeeded(programs.run(*arguments, "--cluster", "cluster.yaml", *LOOPBACK, cwd=here))
    (array,) = re.findall(r"^Slurm job array (\d+): 2 workers", done.stderr, re.MULTILINE)
    assert f"StdOut={here}/crvq-evaluate-" in on_slurm.run("scontrol", "show", "job", array)
    assert [path.name for path in here.iterdir()] == ["cluster.yaml"]
    alone = json_object(programs.succeed(*arguments))
    assert {**json_object(done), "seconds": 0} == {**alone, "seconds": 0}


def test_what_slurm_refuses_is_one_line(small: Inputs, make_job: MakeJob, on_slurm: Slurm) -> None:
    job = make_job(small)
    path = cluster(job)
    path.write_text(path.read_text().replace("cpu", "gpu"))
    done = job.run("--cluster", path, *LOOPBACK)
    assert done.returncode == 74
    assert last_line(done).startswith("crvq-coord: sbatch: ") and "partition" in last_line(done)
