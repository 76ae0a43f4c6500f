"""Libraries in C that are preloaded into the programs under test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

NATIVE = Path(__file__).parent / "native"


def compile_library(name: str, directory: Path) -> Path | None:
    """A library of native/ to preload; nothing where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    library = directory / f"{name}.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, NATIVE / f"{name}.c", "-ldl"], check=True)
    return library
