"""How often a well was begun and not ended: a poisonous well must not take the cluster down with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hts.store import storage_errors


@dataclass(frozen=True)
class Attempts:
    """Counters on disk, because the worker that would remember is the one that died.

    One byte is appended at every start; the file goes away when the well ends in any other way.
    """

    results: Path
    LIMIT: ClassVar[int] = 3

    def _file(self, well: str) -> Path:
        return self.results / "attempts" / well

    def begin(self, well: str) -> bool:
        """Count a start; False when the well has used up its attempts."""
        file = self._file(well)
        with storage_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            with open(file, "ab") as handle:
                if handle.tell() >= self.LIMIT:
                    return False
                handle.write(b".")
        return True

    def end(self, well: str) -> None:
        """The well ended, well or badly, with its worker alive."""
        self._file(well).unlink(missing_ok=True)

    def any_open(self) -> bool:
        """Whether a well was begun and has not ended."""
        folder = self.results / "attempts"
        return folder.is_dir() and any(folder.iterdir())

    def reset(self) -> None:
        """Forget all counts, at the beginning of a run."""
        folder = self.results / "attempts"
        for file in folder.iterdir() if folder.is_dir() else ():
            file.unlink(missing_ok=True)
