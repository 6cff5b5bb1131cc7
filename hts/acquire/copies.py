"""Copies of remote files, for libraries that read only files of this machine."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from pathlib import Path

from hts.locations import Location

_COPIES: weakref.WeakValueDictionary[tuple[str, int], LocalCopy] = weakref.WeakValueDictionary()
_COPYING = threading.Lock()


class LocalCopy:
    """A copy of a file in the folder for temporary files; it is removed when nobody uses it any more."""

    def __init__(self, source: Location) -> None:
        with tempfile.NamedTemporaryFile(prefix="hts-", suffix=source.suffix, delete=False) as target:
            self.path = Path(target.name)
            # Also at the end of the process, and when copying fails half-way.
            self._remove = weakref.finalize(self, self.path.unlink, missing_ok=True)
            with source.open("rb") as file:
                shutil.copyfileobj(file, target, 1 << 20)


def local_copy(source: Location) -> LocalCopy:
    """A copy that all threads share; OSError where it cannot be made."""
    key = (str(source), int(source.stat().st_size))
    with _COPYING:
        found = _COPIES.get(key)
        if found is None:
            found = _COPIES[key] = LocalCopy(source)
        return found
