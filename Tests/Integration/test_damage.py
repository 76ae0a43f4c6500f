"""Files that change under a job's hands: what is damaged is found before it is used, named, and fetched or made again."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Callable

import pytest
from checkpoints import LONG
from conftest import finished, is_full_run
from interruption import start_and_hold
from jobs import LOCAL, MANUAL, Inputs, Job, assert_same_output
from processes import Process, Programs, Run, last_line, only_line, query, random_seed, succeeded, wait_until
from protocol import FIT, Task
from relays import Gate

MakeJob = Callable[..., Job]
MakeGate = Callable[..., Gate]
FITS = LONG.blocks * len(LONG.linears)
DATABASE = ("job.sqlite", "job.sqlite-wal")


def flip_byte(path: Path, position: int, bit: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def is_last_fit_of_later_block(task: Task) -> bool:
    return task.kind == FIT and task.block >= 3 and task.linear == "mlp.down_proj"


def interrupt(job: Job, gate: Gate, fits: int) -> None:
    """Starts the job and kills its coordinator with so many fits stored, and more to come."""
    coordinator = job.start(*gate.local(2))
    job.wait_until_fitted(fits)
    coordinator.kill()
    assert fits <= len(job.stored_fits()) < FITS


def spoil_artifacts(directory: Path, chance: random.Random) -> int:
    """Flips a bit in every artifact there is at the moment, but those so new that their time of change stays the same."""
    count = 0
    for path in directory.rglob("*"):
        if len(path.name) == 64 and path.is_file():
            try:
                if time.time() - path.stat().st_mtime < 0.1:
                    continue
                flip_byte(path, chance.randrange(path.stat().st_size), chance.randrange(8))
                count += 1
            except FileNotFoundError:
                continue
    return count


def worker_logs(workers: list[Process]) -> str:
    return "".join(worker.stderr for worker in workers)


@pytest.mark.parametrize("owner", ["one worker", "both workers"])
def test_a_workers_cache_is_spoilt(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate, tmp_path: Path, owner: str
) -> None:
    """Grams and hidden states of which a bit is flipped: twice those of one worker, or once all there are."""
    chance = random.Random(random_seed())
    job = make_job(long)
    gate = make_gate(job)
    coordinator = job.start(*MANUAL)
    caches = [tmp_path / "cache-1", tmp_path / "cache-2"]
    workers = [gate.worker(cache.name, "--cache", cache) for cache in caches]
    job.programs.endpoint(job.job)
    wait_until(lambda: all(job.has_work(cache.name) for cache in caches), "both workers have work")
    spoilt = 0
    for fits in (FITS // 8, FITS // 2) if owner == "one worker" else (FITS // 4,):
        gate.let_pass(FIT, fits)
        job.wait_until_fitted(fits)
        gate.wait_until_it_holds()
        spoilt += sum(spoil_artifacts(cache, chance) for cache in (caches[:1] if owner == "one worker" else caches))
    assert spoilt > 0
    gate.open()
    done = coordinator.succeed()
    for worker in workers:
        worker.succeed()
    assert "corrupted and removed, its bytes have digest" in worker_logs(workers)
    assert_same_output(long_result.output, job.output)
    assert "is set aside" not in done.stderr, done.stderr


def test_artifacts_of_a_running_coordinator_are_spoilt(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """It names the file, and the next one has it made again."""
    job = make_job(long)
    gate = make_gate(job)
    coordinator = start_and_hold(job, gate, workers=2)
    assert spoil_artifacts(job.job / "artifacts", random.Random(1)) > 0
    gate.open()
    done = coordinator.wait()
    assert done.returncode == 75
    line = last_line(done)
    assert line.startswith(f"crvq-coord: {job.job}/artifacts/") and "corrupted and removed" in line, line
    assert f"; go on with: crvq-coord resume --job {job.job}" in line, line
    resumed = succeeded(job.resume(*LOCAL, "2"))
    assert "is made again" in resumed.stderr
    assert_same_output(long_result.output, job.output)


def test_artifacts_of_an_interrupted_job_are_damaged_or_lost(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """A fit and a merged block each: the fit alone is made again, and all of the block of which nothing else was kept."""
    job = make_job(long)
    # So that there are both: without its last linear a block is not merged.
    interrupt(job, make_gate(job, is_last_fit_of_later_block), FITS // 2)
    artifacts = job.job / "artifacts"
    merged = dict(query(job.job, "SELECT block, digest FROM result WHERE kind = 'merge'"))
    fits = query(job.job, "SELECT block, part, digest FROM result WHERE kind = 'fit'")
    loose = [(block, part, digest) for block, part, digest in fits if block not in merged]
    assert merged and loose
    (spoilt, digest), (block, part, lost) = min(merged.items()), loose[0]
    flip_byte(artifacts / digest, 1000)
    (artifacts / lost).unlink()
    lease = job.last_lease()
    done = succeeded(job.resume(*LOCAL, "2"))
    assert f"{artifacts / digest}: corrupted and removed" in done.stderr
    again = set(job.fit_attempts(after_lease=lease))
    kept = {(b, p) for b, p, _ in fits} - {(block, part)} - {(spoilt, p) for p in range(len(LONG.linears))}
    assert again == {(b, p) for b in range(LONG.blocks) for p in range(len(LONG.linears))} - kept
    assert_same_output(long_result.output, job.output)


def test_the_job_database_has_a_flipped_bit(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate, tmp_path: Path
) -> None:
    """Anywhere. Either one line says that it is damaged, and a copy of what it was goes on; or the bytes are the same."""
    seed = random_seed()
    chance = random.Random(seed)
    job = make_job(long)
    interrupt(job, make_gate(job), FITS * 3 // 4)
    backup = Path(shutil.copytree(job.job, tmp_path / "backup"))
    ends = {"refused": 0, "made again": 0, "no matter": 0}
    for _ in range(150 if is_full_run() else 6):
        files = [name for name in DATABASE if (backup / name).exists() and (backup / name).stat().st_size]
        name = chance.choice(files)
        position, bit = chance.randrange((backup / name).stat().st_size), chance.randrange(8)
        flip_byte(job.job / name, position, bit)
        where = f"seed {seed}: {name}, bit {bit} of byte {position}"
        done = job.resume(*LOCAL, "2")
        if done.returncode == 65:
            line = only_line(done)
            assert f"{job.job}" in line and "damaged" in line, f"{where}: {line}"
            ends["refused"] += 1
        else:
            assert done.returncode == 0, f"{where}: {done.stderr}"
            assert_same_output(long_result.output, job.output)
            shutil.rmtree(job.output)
            ends["made again" if "made again" in done.stderr else "no matter"] += 1
        shutil.rmtree(job.job)
        shutil.copytree(backup, job.job)
    print(ends)
    succeeded(job.resume(*LOCAL, "2"))
    assert_same_output(long_result.output, job.output)


def test_the_write_ahead_log_is_lost(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """After a power failure on a file system that lies, or in a copy. The job is there, and what was moved out of the log."""
    job = make_job(long)
    interrupt(job, make_gate(job), FITS * 3 // 4)
    before = len(job.stored_fits())
    (job.job / "job.sqlite-wal").write_bytes(b"")
    lost = before - len(job.stored_fits())
    print(f"{lost} of {before} fits lost")
    assert 0 <= lost < before
    succeeded(job.resume(*LOCAL, "2"))
    assert_same_output(long_result.output, job.output)


def test_the_database_has_no_job_any_more(long: Inputs, make_job: MakeJob, make_gate: MakeGate) -> None:
    job = make_job(long)
    interrupt(job, make_gate(job), 2)
    for name in DATABASE:
        (job.job / name).unlink(missing_ok=True)
    (job.job / "job.sqlite").touch()
    for done in (job.resume(*LOCAL, "2"), job.programs.run("status", "--job", job.job)):
        assert done.returncode == 65
        assert "damaged (it has no job, and there are results of one); restore it" in only_line(done)


def test_rows_of_the_job_database_are_changed(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """By something that knows SQLite: its own checks find nothing."""
    job = make_job(long)
    interrupt(job, make_gate(job), FITS // 2)

    def change(sql: str) -> None:
        with sqlite3.connect(job.job / "job.sqlite") as connection:
            assert connection.execute(sql).rowcount == 1
        connection.close()

    merged = query(job.job, "SELECT block FROM result WHERE kind = 'merge' ORDER BY block")[0][0]
    change(f"UPDATE result SET record = replace(record, '0.', '1.') WHERE kind = 'fit' AND block = {merged} AND part = 2")
    done = succeeded(job.resume(*LOCAL, "2"))
    assert f"fit of block {merged} is made again: its row in the job database has changed" in done.stderr
    assert_same_output(long_result.output, job.output)
    shutil.rmtree(job.output)
    change("UPDATE job SET next_lease = next_lease - 1")
    done = job.resume(*LOCAL, "2")
    assert done.returncode == 65
    assert only_line(done).startswith(f"crvq-coord: {job.job}/job.sqlite: the job database is damaged")


# A job's results: of every kind.
KINDS = {"tuned": ("fit", "merge", "tune", "verify"), "distilled": ("fit", "merge", "update", "verify")}
OPTIONS = {"tuned": ("--tune-epochs", "1"), "distilled": ("--distill-epochs", "1")}
ROW_CHANGES = {"record": "record = record || ' '", "key": "part = part + 100"}


@pytest.fixture(scope="module", params=KINDS)
def kept(
    request: pytest.FixtureRequest, binaries: Path, tiny: Inputs, tmp_path_factory: pytest.TempPathFactory
) -> Job:
    """A job that is done, its output under another name. Tests only copy it."""
    job = finished(binaries, tiny, tmp_path_factory.mktemp("kept"), *OPTIONS[request.param])
    job.output.rename(job.directory / "expected")
    return job


@pytest.mark.parametrize("change", ROW_CHANGES)
def test_a_row_of_any_kind_is_changed(kept: Job, programs: Programs, tmp_path: Path, change: str) -> None:
    """The first of each kind, in its values or in the key that it is found by."""
    (name,) = [name for name, options in OPTIONS.items() if options == kept.options]
    for kind in KINDS[name]:
        job = Path(shutil.copytree(kept.job, tmp_path / kind))
        with sqlite3.connect(job / "job.sqlite") as connection:
            first = "SELECT rowid FROM result WHERE kind = ? ORDER BY block, part LIMIT 1"
            sql = f"UPDATE result SET {ROW_CHANGES[change]} WHERE rowid = ({first})"
            assert connection.execute(sql, (kind,)).rowcount == 1
        connection.close()
        done = succeeded(programs.run("resume", "--job", job, *LOCAL, "1"))
        assert_made_again(done, kind)
        assert_same_output(kept.directory / "expected", kept.output)
        assert identities(job) == identities(kept.job), kind
        shutil.rmtree(kept.output)


def assert_made_again(done: Run[str], kind: str) -> None:
    said = {"update": "the distillation begins again: rows in the job database have changed"}
    usual = f"{kind} of block 0 is made again: its row in the job database has changed"
    assert said.get(kind, usual) in done.stderr, f"{kind}: {done.stderr}"


def identities(job: Path) -> set[tuple[str, int, int, str]]:
    return set(query(job, "SELECT kind, block, part, digest FROM result"))
