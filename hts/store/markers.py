"""Commit markers: a unit of work is done when its marker is there, and the marker is written last.

``<results>/markers/<stage>-<fingerprint>/<unit>.json`` holds a small JSON object. A chunk or a table
that is there proves nothing; only the marker does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hts.locations import Location
from hts.store.files import forget_listing, read_if_there, remove_file, storage_errors, write_json


@dataclass(frozen=True)
class Markers:
    """The markers of one stage's result, that is of one fingerprint."""

    root: Location
    stage: str
    fingerprint: str

    @property
    def folder(self) -> Location:
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
        with storage_errors(self.folder, "read"):
            forget_listing(self.folder)
            if not self.folder.is_dir():
                return frozenset()
            names = [place.name for place in self.folder.iterdir()]
        return frozenset(name[:-5] for name in names if name.endswith(".json") and not name.startswith("."))

    @staticmethod
    def read_file(place: Location) -> dict[str, Any] | None:
        """The marker in a file; a damaged one counts as none. `StoreError` when the store does not answer."""
        content = read_if_there(place)
        if content is None:
            return None
        try:
            marker = json.loads(content)
        except ValueError:
            return None
        return marker if isinstance(marker, dict) else None

    def discard(self, unit: str) -> None:
        """Forget that `unit` was done (`--overwrite`)."""
        remove_file(self.folder / f"{unit}.json")
