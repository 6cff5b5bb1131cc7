"""Commit markers: a unit of work is done when its marker is there, and the marker is written last.

``<results>/markers/<stage>-<fingerprint>/<unit>.json`` holds a small JSON object. A chunk or a table
that is there proves nothing; only the marker does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hts.errors import StoreError
from hts.store.files import read_json, storage_errors, write_json


@dataclass(frozen=True)
class Markers:
    """The markers of one stage's result, that is of one fingerprint."""

    root: Path
    stage: str
    fingerprint: str

    @property
    def folder(self) -> Path:
        """Where the markers are; absent before the first commit."""
        return self.root / "markers" / f"{self.stage}-{self.fingerprint}"

    def commit(self, unit: str, content: dict[str, Any]) -> None:
        """Say that `unit` is done. Call it after everything else is on disk."""
        write_json(self.folder / f"{unit}.json", content)

    def read(self, unit: str) -> dict[str, Any] | None:
        """The marker of `unit`, or None when it is not committed; a damaged marker counts as none."""
        return self.read_file(self.folder / f"{unit}.json")

    def units(self) -> frozenset[str]:
        """Names of all committed units."""
        if not self.folder.is_dir():
            return frozenset()
        return frozenset(path.stem for path in self.folder.glob("*.json") if not path.name.startswith("."))

    @staticmethod
    def read_file(path: Path) -> dict[str, Any] | None:
        """The marker in a file; a damaged one counts as none."""
        if not path.exists():
            return None
        try:
            content = read_json(path)
        except StoreError:
            return None
        return content if isinstance(content, dict) else None

    def discard(self, unit: str) -> None:
        """Forget that `unit` was done (`--overwrite`)."""
        path = self.folder / f"{unit}.json"
        with storage_errors(path):
            path.unlink(missing_ok=True)
