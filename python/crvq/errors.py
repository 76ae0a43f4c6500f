"""How the command line tools of this package fail: one line on standard error and a code of sysexits(3)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

USAGE = 64
BAD_INPUT = 65
IO_ERROR = 74


class InputError(ValueError):
    """Something the user gave cannot be used: says what, where, and what was expected. Exit code 65."""


class OutputError(OSError):
    """The output cannot be written: errno, why, and the place the user named. Exit code 74."""


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a wrong command line in one line and exits with 64."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (--help lists the options)", file=sys.stderr)
        raise SystemExit(USAGE)


def run(name: str, command: Callable[[], int | None]) -> int:
    """Runs `command`; what it raises becomes one line that starts with `name`, and an exit code."""
    try:
        return command() or 0
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{name}: {where}{error.strerror or error}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, (FileNotFoundError, IsADirectoryError)) else IO_ERROR
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
