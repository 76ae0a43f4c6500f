"""Cluster files and --dry-run: what would run where, whether it fits, and what is said of a file with a mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from checkpoints import Shape, write_tokens
from jobs import LOCAL, Inputs, Job, assert_same_output, report
from processes import Programs, json_object, only_line, succeeded

MakeJob = Callable[..., Job]


DRY_RUN = ("--dry-run", "--measure-seconds", "0.5")


def cluster(directory: Path, text: str) -> Path:
    path = directory / "cluster.yaml"
    path.write_text(text)
    return path


def plan(job: Job, *options: Any) -> dict[str, Any]:
    value = json_object(succeeded(job.run(*DRY_RUN, "--json", *options)))
    assert sorted(path.name for path in job.directory.iterdir()) in ([], ["cluster.yaml"])
    return value


def test_a_dry_run_starts_nothing(small: Inputs, make_job: MakeJob) -> None:
    job = make_job(small)
    value = plan(job, *LOCAL, "3")
    assert (value["engine"], value["workers"]) == ("local", 3)
    (place,) = value["places"]
    # The program itself, and next to nothing for a model this small.
    assert 96 << 20 < place["need_bytes"] < 128 << 20
    assert value["estimated_seconds"] > 0 and value["gigaflops_per_thread"] == place["gigaflops_per_thread"] > 0
    text = succeeded(job.run(*DRY_RUN, *LOCAL, "3")).stdout
    assert text.startswith("engine local, 3 workers\n") and "fit of mlp.down_proj, 64 × 100" in text


def test_a_plan_for_slurm_asks_for_the_memory_of_its_shapes(make_job: MakeJob, tmp_path: Path) -> None:
    """Only configuration and headers are read, so the files may be sparse and large."""
    inputs = Inputs(sparse_model(tmp_path / "model"), write_tokens(tmp_path / "tokens.safetensors"))
    job = make_job(inputs)
    file = cluster(job.directory, "engine: slurm\nnodes: 4\nthreads: 8\n")
    (place,) = plan(job, "--cluster", file)["places"]
    assert place["largest_task"] == "fit of mlp.down_proj, 2048 × 8192"
    assert place["need_bytes"] < place["memory_bytes"] < 2 * place["need_bytes"]
    file.write_text("engine: slurm\nnodes: 4\nthreads: 8\nmemory: 512M\n")
    line = only_line(job.run("--dry-run", "--cluster", file))
    assert "fit of mlp.down_proj, 2048 × 8192" in line and line.endswith("for a worker of one slot"), line


def sparse_model(directory: Path) -> Path:
    """A model of 2048 × 8192 that takes no space."""
    import json
    import struct

    shape = Shape(hidden=2048, mlp=8192, heads=16, key_heads=4, head=128, blocks=2)
    header: dict[str, Any] = {}
    end = 0

    def add(name: str, *sizes: int) -> None:
        nonlocal end
        count = 2
        for size in sizes:
            count *= size
        header[name] = {"dtype": "F16", "shape": list(sizes), "data_offsets": [end, end + count]}
        end += count

    add("model.embed_tokens.weight", shape.vocabulary, shape.hidden)
    add("model.norm.weight", shape.hidden)
    for block in range(shape.blocks):
        prefix = f"model.layers.{block}"
        add(f"{prefix}.input_layernorm.weight", shape.hidden)
        add(f"{prefix}.post_attention_layernorm.weight", shape.hidden)
        for name, (rows, columns) in shape.linears.items():
            add(f"{prefix}.{name}.weight", rows, columns)
    directory.mkdir()
    with (directory / "model.safetensors").open("wb") as file:
        text = json.dumps(header).encode()
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    (directory / "config.json").write_text(json.dumps(shape.config()))
    return directory


def test_a_local_cluster_file_makes_the_same_bytes(small: Inputs, small_result: Job, make_job: MakeJob) -> None:
    job = make_job(small)
    scratch = job.directory / "scratch"
    text = f"engine: local\nworkers: 2\nthreads: 2\nslots: 2\nmemory: 1G\nscratch: {scratch}\n"
    file = cluster(job.directory, text + "environment: {CRVQ_TEST: yes}\n")
    succeeded(job.run("--cluster", file))
    assert_same_output(small_result.output, job.output)
    assert {entry["worker"] for entry in report(job.output)["linears"]} <= {"local-1", "local-2"}
    assert list(scratch.iterdir()) == []


MISTAKES = {
    "a key that is none": ("engine: local\nworker: 3\n", [":2:1: 'worker' is no key of a cluster file"]),
    "a key of another engine": ("engine: local\npartition: cpu\n", [":2:1: partition: expected with engine slurm"]),
    "no YAML": ("engine: {\n", [":2:1: no YAML"]),
    "no host": ("engine: ssh\nhosts: []\n", [":2:8: hosts: expected at least one host"]),
    "more workers than can be": (
        "engine: ssh\nworkers: 4096\nhosts: [a, b]\n",
        [":3:8: hosts: expected at most 4096 workers in all, got 8192"],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(small: Inputs, make_job: MakeJob, case: str) -> None:
    text, fragments = MISTAKES[case]
    job = make_job(small)
    file = cluster(job.directory, text)
    done = job.run("--cluster", file)
    assert done.returncode == 65
    line = only_line(done)
    assert line.startswith(f"crvq-coord: {file}:")
    for fragment in fragments:
        assert fragment in line, line
    assert [path.name for path in job.directory.iterdir()] == ["cluster.yaml"]


# With a file as it should be: further options, and what is said.
UNSUITED = {
    "open to all machines": (
        "engine: local\n",
        ["--bind", "tcp://0.0.0.0:1"],
        ["--bind tcp://0.0.0.0:1: ", "--keys DIR", "--insecure"],
    ),
    "no such program": ("engine: local\nprogram: /nowhere/it\n", [], ["program: /nowhere/it: not there, or not a"]),
    "no program": ("engine: local\nprogram: /usr/bin\n", [], ["program: /usr/bin: not there, or not a program"]),
    "more workers on nodes than can be": (
        "engine: slurm\nthreads: 1\nnodes: 4096\n",
        ["--workers", "4096"],
        ["--workers is 4096: 16777216 workers in all, expected at most 4096"],
    ),
    "more workers on hosts than can be": (
        "engine: ssh\nhosts: [a, b]\n",
        ["--workers", "2049"],
        ["--workers is 2049: 4098 workers in all, expected at most 4096"],
    ),
}


@pytest.mark.parametrize("dry_run", [(), DRY_RUN], ids=["launch", "dry run"])
@pytest.mark.parametrize("case", UNSUITED)
def test_what_cannot_be_started_is_refused_first(
    small: Inputs, make_job: MakeJob, case: str, dry_run: tuple[str, ...]
) -> None:
    text, options, fragments = UNSUITED[case]
    job = make_job(small)
    done = job.run("--cluster", cluster(job.directory, text), *options, *dry_run)
    assert done.returncode == 64
    for fragment in fragments:
        assert fragment in only_line(done)
    assert [path.name for path in job.directory.iterdir()] == ["cluster.yaml"]


def test_a_file_of_another_engine(small: Inputs, make_job: MakeJob) -> None:
    job = make_job(small)
    done = job.run("--launcher", "ssh", "--cluster", cluster(job.directory, "engine: local\n"))
    assert done.returncode == 64
    assert "--launcher is ssh" in only_line(done)


def test_a_file_that_is_not_there(programs: Programs, small: Inputs, make_job: MakeJob) -> None:
    job = make_job(small)
    done = job.run("--cluster", job.directory / "none.yaml")
    assert done.returncode == 65
    assert "none.yaml" in only_line(done)
