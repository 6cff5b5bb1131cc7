"""Consolidated metadata: a copy of all documents in one, which may be old or very large."""

from __future__ import annotations

import json
from typing import Any

from hts.store.validate.documents import Group, parse
from hts.store.validate.findings import Check
from hts.store.validate.places import read

_HUGE_BYTES = 10_000_000
_ARRAY_KEYS = ("shape", "data_type", "dtype", "chunks", "chunk_grid")


class Consolidated:
    """What the copy at the top says of each document, as far as people notice: attributes, shapes and types."""

    def __init__(self, group: Group, check: Check) -> None:
        self._known: dict[str, int] | None = None
        copies = self._copies(group, check)
        if copies is not None:
            self._known = {path: _essence(copy) for path, copy in copies.items()}

    def _copies(self, group: Group, check: Check) -> dict[str, Any] | None:
        if group.format == 3:
            holder = group.document.pop("consolidated_metadata", None)
            size_bytes = len(json.dumps(holder)) if holder else 0
        else:
            content = read(group.place / ".zmetadata")
            holder = None if content is None else parse(content, ".zmetadata", check)
            size_bytes = len(content or b"")
        copies = holder.get("metadata") if isinstance(holder, dict) else None
        if size_bytes > _HUGE_BYTES:
            text = f"Opening a plate is expected to be quick, found {size_bytes / 1e6:.0f} MB of consolidated metadata."
            check.warning("consolidated.size", "", f"{text} Every tool loads all of it first: remove it.")
        return copies if isinstance(copies, dict) else None

    def compare(self, path: str, document: dict[str, Any], check: Check) -> None:
        """Report a document that the copy does not have, or has otherwise."""
        if self._known is None or self._known.get(path) == _essence(document):
            return
        found = "an older one" if path in self._known else "none"
        text = f"The consolidated metadata at the top is expected to hold a copy of this document, found {found}."
        check.warning("consolidated.stale", "", f"{text} Tools that trust it show old metadata: consolidate again.")


def _essence(document: Any) -> int:
    """A number that is the same for documents that say the same; other writers spell codecs out differently."""
    if not isinstance(document, dict):
        return 0
    is_array = "shape" in document
    if is_array:
        said: Any = {key: document[key] for key in _ARRAY_KEYS if key in document}
    else:
        said = document.get("attributes", {}) if "node_type" in document else document
    return hash(json.dumps(said, sort_keys=True))
