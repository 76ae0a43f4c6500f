"""What the integration tests share: the built commands, small inputs, and the outputs that others must equal."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NoReturn

import pytest
from checkpoints import LASTING, LONG, TINY, write_model, write_tokens
from faulty_disk import FaultyDisk
from jobs import LOCAL, Evaluation, Inputs, Job
from keys import Keys
from native import compile_library
from processes import Arguments, Programs, succeeded
from protocol import FIT, Task
from relays import Gate, Holds
from zeromq import load_library

ROOT = Path(__file__).resolve().parents[2]

# Programs that sshd and Slurm start have none of these, and are to add in the same order as those started here.
for name in [name for name in os.environ if name.startswith("OPENBLAS_")]:
    del os.environ[name]


def is_full_run() -> bool:
    """Whether `scripts/test --full` asked for everything."""
    return bool(os.environ.get("CRVQ_FULL"))


def report_missing(reason: str) -> NoReturn:
    """Something that `scripts/test`, which says where the commands are, has made or installed: there it is a failure."""
    if "CRVQ_BIN" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def binaries() -> Path:
    """The directory of the built crvq-coord and crvq-worker."""
    directory = Path(os.environ.get("CRVQ_BIN", ROOT / ".build" / "release"))
    if not ((directory / "crvq-coord").is_file() and (directory / "crvq-worker").is_file()):
        report_missing(f"crvq-coord and crvq-worker are not built in {directory} (CRVQ_BIN)")
    return directory


@pytest.fixture
def programs(binaries: Path, tmp_path: Path) -> Iterator[Programs]:
    """The commands; what a test leaves running is killed at its end."""
    programs = Programs(binaries, tmp_path)
    yield programs
    programs.kill_all()


@pytest.fixture(scope="session")
def libzmq() -> Any:
    library = load_library()
    if library is None:
        report_missing("libzmq is not installed")
    return library


def preloaded(name: str, directory: Path) -> Path:
    """A library of native/, to be loaded into the programs under test."""
    library = compile_library(name, directory)
    if library is None:
        report_missing("there is no C compiler")
    return library


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> FaultyDisk:
    return FaultyDisk(preloaded("faulty_disk", tmp_path_factory.mktemp("faulty-disk")))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A job of two blocks that takes half a second. Tests only read it."""
    directory = tmp_path_factory.mktemp("small")
    return Inputs(write_model(directory / "model"), write_tokens(directory / "tokens.safetensors"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A job that changes its files a few hundred times. Tests only read it."""
    directory = tmp_path_factory.mktemp("tiny")
    tokens = write_tokens(directory / "tokens.safetensors", sequences=3, length=16, vocabulary=TINY.vocabulary)
    return Inputs(write_model(directory / "model", TINY), tokens)


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A job that lasts long enough to be interrupted. Tests only read it."""
    directory = tmp_path_factory.mktemp("long")
    return Inputs(write_model(directory / "model", LONG), write_tokens(directory / "tokens.safetensors"))


@pytest.fixture(scope="session")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A job that lasts long enough to be interrupted where no gate can keep it from its end. Tests only read it."""
    directory = tmp_path_factory.mktemp("lasting")
    return Inputs(write_model(directory / "model", LASTING), write_tokens(directory / "tokens.safetensors"))


@pytest.fixture
def copies(tmp_path: Path) -> Inputs:
    """Inputs like `small` that a test may damage."""
    return Inputs(write_model(tmp_path / "model"), write_tokens(tmp_path / "tokens.safetensors"))


@pytest.fixture
def make_job(programs: Programs, tmp_path: Path) -> Callable[..., Job]:
    """Makes a job in a directory of its own."""

    def make(inputs: Inputs, *options: Arguments) -> Job:
        return Job(programs, inputs, Path(tempfile.mkdtemp(prefix="job-", dir=tmp_path)), options)

    return make


def is_fit_of_last_block(task: Task) -> bool:
    return task.kind == FIT and task.block == LONG.blocks - 1


@pytest.fixture
def make_gate(libzmq: Any) -> Iterator[Callable[..., Gate]]:
    """Makes a gate before a job; unless told otherwise, it holds the fits of the last block of `long`."""
    with contextlib.ExitStack() as gates:

        def make(job: Job | Evaluation, holds: Holds = is_fit_of_last_block, keys: Keys | None = None) -> Gate:
            return gates.enter_context(contextlib.closing(Gate(libzmq, job, holds, keys)))

        yield make


def finished(binaries: Path, inputs: Inputs, directory: Path, *options: Arguments) -> Job:
    """A job that two local workers did without a disturbance."""
    programs = Programs(binaries, directory)
    job = Job(programs, inputs, directory, options)
    try:
        succeeded(job.run(*LOCAL, "2"))
    finally:
        programs.kill_all()
    return job


@pytest.fixture(scope="session")
def small_result(binaries: Path, small: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return finished(binaries, small, tmp_path_factory.mktemp("small-result"))


@pytest.fixture(scope="session")
def long_result(binaries: Path, long: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return finished(binaries, long, tmp_path_factory.mktemp("long-result"))


@pytest.fixture(scope="session")
def lasting_result(binaries: Path, lasting: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return finished(binaries, lasting, tmp_path_factory.mktemp("lasting-result"))
