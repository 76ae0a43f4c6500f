"""What would be left if the power failed: the changes that a program has told, and what of them was durable when."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Callable

FRAME_HEADER = 24
DIGEST = re.compile("[0-9a-f]{64}")

# Names of files, of artifacts in the database, and of directories that what counts is in; commits, and removals.
KINDS = ("name", "artifact", "directory", "commit", "removal")
# As native/faulty_disk.c tells it.
Change = list[str]


@dataclass
class History:
    """Goes through changes in order and keeps account of what is not durable yet."""

    # What was done too early, by its kind.
    faults: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in KINDS})
    # Lines of the last writes to files, and of names that were given in directories, that no flush has covered.
    unsynced: dict[str, int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    # Digests of artifacts that are durable, and those that the database names for good.
    durable: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)
    commits: int = 0
    _has_open_commit: bool = False
    _noted: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, changes: list[Change], successors: dict[str, set[str]] | None = None) -> History:
        """What happened; `successors` are, by artifact, those that make it unnecessary."""
        history = cls()
        renames = [change[2] for change in changes if change[0] == "rename"]
        artifacts = {name_of(path): path for path in renames if is_artifact(path)}
        for line, change in enumerate(changes):
            match change:
                case ["write", path, _]:
                    history._write(line, path)
                case ["write", path, _, data]:
                    history._write_log(line, path, bytes.fromhex(data), artifacts)
                case ["sync", path, begun]:
                    history._sync(path, int(begun))
                case ["rename", old, new]:
                    history._rename(line, old, new)
                case ["make", path]:
                    history.names[path] = line
                case ["remove", path]:
                    history._remove(path, successors or {})
        return history

    def lasts(self, path: str) -> bool:
        """Whether the bytes are durable, and the names on the way to them as far as their giving was told."""
        return path not in self.unsynced and not self._pending(path)

    def _pending(self, path: str) -> set[str]:
        return {str(place) for place in (PurePath(path), *PurePath(path).parents)} & self.names.keys()

    def _write(self, line: int, path: str) -> None:
        self.unsynced[path] = line
        self.written.add(path)

    def _write_log(self, line: int, path: str, data: bytes, artifacts: dict[str, str]) -> None:
        """SQLite's log: frames of a header, which says whether the frame ends a commit, and a page."""
        self._write(line, path)
        self.faults["directory"] |= self._pending(path)
        if len(data) == FRAME_HEADER:
            if self._has_open_commit:
                self.faults["commit"].add(f"commit {self.commits} is followed by another before it is durable")
            if data[4:8] != bytes(4):
                self.commits += 1
                self._has_open_commit = True
            return
        # Columns have nothing between them.
        for digest in [digest for digest in artifacts if digest.encode() in data]:
            self._noted.add(digest)
            self.faults["directory"] |= self._pending(parent_of(artifacts[digest]))
            if digest not in self.durable:
                self.faults["artifact"].add(f"the database names {digest} before that is durable")

    def _sync(self, path: str, begun: int) -> None:
        if self.unsynced.get(path, begun) < begun:
            del self.unsynced[path]
            if path.endswith("-wal"):
                self._has_open_commit = False
                self.stored |= self._noted
        for name in [name for name, line in self.names.items() if parent_of(name) == path and line < begun]:
            del self.names[name]
            if is_artifact(name):
                self.durable.add(name_of(name))

    def _rename(self, line: int, old: str, new: str) -> None:
        def is_moved(path: str) -> bool:
            return path == old or path.startswith(f"{old}/")

        def moved(path: str) -> str:
            return new + path[len(old) :] if is_moved(path) else path

        for path in sorted(filter(is_moved, self.unsynced)):
            self.faults["name"].add(f"{new} has its name before what was written to {path} is durable")
        for name in sorted(filter(is_moved, self.names.keys() - {old})):
            self.faults["name"].add(f"{new} has its name before that of {name} is durable")
        if not any(map(is_moved, self.written)):
            self.faults["name"].add(f"nobody told what was written to {new}")
        self.unsynced = {moved(path): line for path, line in self.unsynced.items()}
        self.names = {moved(path): line for path, line in self.names.items()}
        self.names[new] = line
        self.written = set(map(moved, self.written))

    def _remove(self, path: str, successors: dict[str, set[str]]) -> None:
        self.unsynced.pop(path, None)
        self.names.pop(path, None)
        if is_artifact(path) and not successors.get(name_of(path), set()) & self.stored:
            self.faults["removal"].add(f"{path} is removed before what was made of it is stored")


def name_of(path: str) -> str:
    return PurePath(path).name


def parent_of(path: str) -> str:
    return str(PurePath(path).parent)


def is_artifact(path: str) -> bool:
    return PurePath(path).parent.name == "artifacts" and DIGEST.fullmatch(name_of(path)) is not None


def without(changes: list[Change], is_left_out: Callable[[Change], bool]) -> list[Change]:
    """The changes but those; lines keep their numbers."""
    return [["nothing"] if is_left_out(change) else change for change in changes]
