"""Key directories as crvq-coord keygen makes them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from processes import Programs


@dataclass(frozen=True)
class Keys:
    directory: Path

    @classmethod
    def make(cls, programs: Programs, directory: Path) -> Keys:
        programs.succeed("keygen", "--output", directory)
        return cls(directory)

    @property
    def options(self) -> tuple[str, str]:
        return "--keys", str(self.directory)

    def secret(self, party: str) -> str:
        return self._key(self.directory / f"{party}.key")

    def public(self, party: str) -> str:
        return self._key(self.directory / "allowed" / f"{party}.pub")

    @staticmethod
    def _key(path: Path) -> str:
        _, key = path.read_text().split()
        return key

    def copy_for_worker(self, directory: Path, name: str = "worker") -> Keys:
        """What the documentation says goes to the machine of a worker."""
        directory.mkdir()
        shutil.copy2(self.directory / f"{name}.key", directory)
        shutil.copytree(self.directory / "allowed", directory / "allowed")
        return Keys(directory)
