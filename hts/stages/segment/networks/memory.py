"""Freed memory kept for the next batch while a network runs on a CPU.

Each layer of a network frees and asks for arrays of tens of megabytes. The C library of Linux gives those back to the
kernel at once and gets empty pages for each of them again: half of the CPU time of a block of 1024² px was spent there.
While a stream runs they are kept; afterwards all is given back.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of mallopt(3), and their defaults."""
_DEFAULT_TRIM_BYTES, _DEFAULT_MMAPS = 128 * 1024, 65_536
_NO_TRIM_BYTES = 2**31 - 1

_lock = threading.Lock()
_users = 0


@contextmanager
def kept_memory() -> Iterator[None]:
    """Freed memory stays with the process inside; does nothing where the C library is not that of GNU."""
    library = _library()
    if library is not None:
        _enter(library)
    try:
        yield
    finally:
        if library is not None:
            _leave(library)


def _enter(library: Any) -> None:
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            library.mallopt(_MMAP_MAX, 0)
            library.mallopt(_TRIM_THRESHOLD, _NO_TRIM_BYTES)


def _leave(library: Any) -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            library.mallopt(_MMAP_MAX, _DEFAULT_MMAPS)
            library.mallopt(_TRIM_THRESHOLD, _DEFAULT_TRIM_BYTES)
            library.malloc_trim(0)


def _library() -> Any:
    try:
        library = ctypes.CDLL(None)
        return library if library.gnu_get_libc_version and library.mallopt and library.malloc_trim else None
    except (AttributeError, OSError, TypeError):
        return None
