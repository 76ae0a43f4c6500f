"""A job whose every process may die or stand still at any time. It ends, with the bytes of a quiet day, what is stored is not made
twice, and little of what lies in the caches of workers is.

`scripts/test` runs a short form. `scripts/test --full`: each second one of six workers is killed and started again, or stopped
for up to a minute, and the coordinator is killed ten times.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import pytest
from checkpoints import LONG, Shape, write_model, write_tokens
from conftest import finished, is_full_run
from jobs import Inputs, Job, assert_same_output, by_hand
from processes import Process, query, random_seed

MakeJob = Callable[..., Job]


@dataclass(frozen=True)
class Weather:
    shape: Shape
    sequences: int
    length: int
    # Seconds between two strikes at workers.
    period: float
    # Bounds of how long a worker stands still, seconds.
    stop: tuple[float, float]
    coordinator_kills: int
    # The share of the fits after which it is killed for the last time.
    last_kill: float
    # The longest that the job may take, seconds.
    patience: float
    workers: int = 6


ALL = Weather(
    Shape(hidden=256, mlp=704, heads=8, key_heads=4, head=32, blocks=12), 32, 128, 1, (1, 60), 10, 0.8, 3600
)
# Its last kill is early: a job so short is soon at its end.
SHORT = Weather(LONG, 16, 64, 2, (0.5, 12), 3, 0.3, 300)


@pytest.fixture(scope="module")
def weather() -> Weather:
    return ALL if is_full_run() else SHORT


@pytest.fixture(scope="module")
def inputs(weather: Weather, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    directory = tmp_path_factory.mktemp("chaos")
    tokens = write_tokens(directory / "tokens.safetensors", weather.sequences, weather.length)
    return Inputs(write_model(directory / "model", weather.shape), tokens)


@pytest.fixture(scope="module")
def quiet(binaries: Path, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return finished(binaries, inputs, tmp_path_factory.mktemp("quiet"))


@dataclass
class Cluster:
    """Six workers and a coordinator, and what is done to them."""

    job: Job
    weather: Weather
    chance: random.Random
    # How all coordinators start: where the first listens the others listen too.
    manual: tuple[str, ...] = field(default_factory=by_hand)
    workers: dict[str, Process] = field(default_factory=dict)
    # When each worker that stands still goes on.
    stopped: dict[str, float] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)

    def start_worker(self, name: str) -> None:
        self.stopped.pop(name, None)
        self.workers[name] = self.job.programs.worker(self.manual[-1], name)

    def resume(self) -> Process:
        return self.job.programs.start("resume", "--job", self.job.job, *self.manual)

    def strike(self) -> None:
        name = self.chance.choice(sorted(self.workers))
        if self.chance.random() < 0.5:
            self.workers[name].kill()
            self.events["workers killed"] += 1
            self.start_worker(name)
        elif name not in self.stopped and self.workers[name].is_running:
            self.workers[name].send(signal.SIGSTOP)
            self.events["workers stopped"] += 1
            self.stopped[name] = time.monotonic() + self.chance.uniform(*self.weather.stop)

    def heal(self) -> None:
        """Lets workers go on whose time is up, and starts those again that have given up."""
        for name, end in list(self.stopped.items()):
            if time.monotonic() >= end:
                self.workers[name].send(signal.SIGCONT)
                del self.stopped[name]
        for name, worker in self.workers.items():
            if not worker.is_running:
                self.events["workers that ended"] += 1
                self.start_worker(name)

    def end(self) -> None:
        for worker in self.workers.values():
            worker.kill()


def fitted(job: Job) -> int:
    return len(job.stored_fits()) if (job.job / "job.sqlite").exists() else 0


def run(cluster: Cluster) -> None:
    """Returns when a coordinator says that the job is done."""
    weather, total = cluster.weather, cluster.weather.shape.blocks * len(cluster.weather.shape.linears)
    coordinator = cluster.job.start(*cluster.manual)
    cluster.job.programs.endpoint(cluster.job.job)
    for number in range(weather.workers):
        cluster.start_worker(f"w{number}")
    begun = next_strike = time.monotonic()
    kills = 0
    while time.monotonic() < begun + weather.patience:
        if not coordinator.is_running:
            done = coordinator.wait()
            if done.returncode == 0:
                cluster.events["seconds"] = round(time.monotonic() - begun)
                assert kills == weather.coordinator_kills
                return
            # Tasks that three workers died with are set aside: the job ends for now.
            assert done.returncode == 75, done.stderr[-2000:]
            cluster.events["quarantines"] += 1
            coordinator = cluster.resume()
        mark = total * weather.last_kill * (kills + 1) / weather.coordinator_kills
        if kills < weather.coordinator_kills and fitted(cluster.job) > mark:
            coordinator.kill()
            kills += 1
            cluster.events["coordinators killed"] += 1
            coordinator = cluster.resume()
        if time.monotonic() >= next_strike:
            next_strike += weather.period
            cluster.strike()
        cluster.heal()
        time.sleep(0.05)
    raise AssertionError(f"{weather.patience:.0f} s were not enough; {coordinator.stderr[-2000:]}")


def seconds_a_task(quiet: Job) -> dict[str, float]:
    """By kind, on a quiet day."""
    rows = query(quiet.job, "SELECT kind, (julianday(ended_at) - julianday(started_at)) * 86400 FROM attempt")
    kinds = {kind for kind, _ in rows}
    return {kind: statistics.median(seconds for other, seconds in rows if other == kind) for kind in kinds}


# What these make is stored, and then done for ever. What a pass over a shard makes lies in the cache of one worker, and cannot be
# had while that stands still.
STORED = ("fit", "tune", "verify")


def attempts(job: Job) -> dict[str, tuple[int, int, int]]:
    """By kind: tasks, attempts that came to a result, all attempts. What a killed coordinator had not yet written down, of the
    last quarter of a second, is missing."""
    sql = "SELECT kind, COUNT(DISTINCT block * 1000000 + part), SUM(outcome = 'done'), COUNT(*) FROM attempt GROUP BY kind"
    return {kind: (tasks, done or 0, given) for kind, tasks, done, given in query(job.job, sql)}


def done_twice(counts: dict[str, tuple[int, int, int]], weights: dict[str, float]) -> float:
    """Results beyond one for each task, as a share of the tasks, each counted as long as its kind takes."""
    needed = sum(weights[kind] * tasks for kind, (tasks, _, _) in counts.items())
    return sum(weights[kind] * max(0, done - tasks) for kind, (tasks, done, _) in counts.items()) / needed


def test_a_job_in_bad_weather(inputs: Inputs, quiet: Job, make_job: MakeJob, weather: Weather) -> None:
    seed = random_seed()
    cluster = Cluster(make_job(inputs), weather, random.Random(seed))
    try:
        run(cluster)
    finally:
        cluster.end()
    assert_same_output(quiet.output, cluster.job.output)
    counts, weights = attempts(cluster.job), seconds_a_task(quiet)
    twice = done_twice({kind: count for kind, count in counts.items() if kind in STORED}, weights)
    with_passes = done_twice(counts, weights)
    figures = {
        "seed": seed,
        "stored results made twice": round(twice, 3),
        "with passes over shards": round(with_passes, 3),
        **cluster.events,
        "tasks, results, attempts": counts,
    }
    print(json.dumps(figures))
    if path := os.environ.get("CRVQ_FIGURES"):
        with open(path, "a") as file:
            print(json.dumps(figures), file=file)
    assert twice <= 0.25, figures
    # In a short job a single worker that stands still at a bad time is a large share.
    if is_full_run():
        assert with_passes <= 0.25, figures
