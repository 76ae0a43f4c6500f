"""What the Python tests share: where the repository, its scripts, the model and the built commands are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

Run = subprocess.CompletedProcess


def run(*command: str | Path, **options: Any) -> Run[str]:
    """Runs a command to its end and returns what it printed; never raises for an exit code."""
    options = {"capture_output": True, "text": True, "timeout": 600, "stdin": subprocess.DEVNULL, **options}
    return subprocess.run([str(part) for part in command], check=False, **options)


def one_line(run: Run[str]) -> str:
    """The single line on standard error that a failed command leaves."""
    lines = [line for line in run.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, run.stderr
    assert "Traceback" not in run.stderr
    return lines[0]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of data that is shared between checkouts and not part of the repository."""
    directory = Path(os.environ.get("CRVQ_SHARED", ROOT.parent / "shared"))
    if not (directory / "data").is_dir():
        pytest.skip("no shared data (CRVQ_SHARED, or ../shared beside the repository)")
    return directory


@pytest.fixture(scope="session")
def model() -> Path:
    """SmolLM2-135M-Instruct as scripts/fetch-model makes it."""
    directory = ROOT / "models" / "SmolLM2-135M-Instruct"
    fetched = run(ROOT / "scripts" / "fetch-model")
    if fetched.returncode == 69:
        pytest.skip("the model could not be downloaded: " + fetched.stderr.strip().splitlines()[-1])
    assert fetched.returncode == 0, fetched.stderr
    return directory


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """What transformers makes of the same GGUF file; see golden/regenerate.py."""
    return json.loads((Path(__file__).parent / "golden" / "smollm2.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def binaries() -> Path:
    """The directory of the built crvq-coord and crvq-worker."""
    directory = Path(os.environ.get("CRVQ_BIN", ROOT / ".build" / "release"))
    if not ((directory / "crvq-coord").is_file() and (directory / "crvq-worker").is_file()):
        # scripts/test has built them, and says where.
        stop = pytest.fail if "CRVQ_BIN" in os.environ else pytest.skip
        stop(f"crvq-coord and crvq-worker are not built in {directory} (CRVQ_BIN)")
    return directory
