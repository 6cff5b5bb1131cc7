"""The text of a TIFF's first page with three small reads, for plates of thousands of headers.

A full parser takes 0.3 ms a file, this 0.01 ms: the difference between ten seconds and none on 35,000 headers. Only
plain files are read so; for all others the answer is None, and the full parser is asked.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_IMAGE_DESCRIPTION = 270
_ASCII = 2
_ENTRY_BYTES = 12
_MOST_ENTRIES = 64
_MOST_BYTES = 1_000_000


def first_description(path: Path) -> str | None:
    """ImageDescription of the first page; None for what is no classic TIFF, is damaged, or cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return _read(file.fileno())
    except (OSError, struct.error):
        return None


def _read(descriptor: int) -> str | None:
    head = os.pread(descriptor, 8, 0)
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(head[:4])
    if order is None:
        return None
    (directory,) = struct.unpack(f"{order}I", head[4:])
    raw = os.pread(descriptor, 2 + _ENTRY_BYTES * _MOST_ENTRIES, directory)
    (n_entries,) = struct.unpack_from(f"{order}H", raw)
    for place in range(min(n_entries, _MOST_ENTRIES)):
        tag, kind, count, offset = struct.unpack_from(f"{order}HHII", raw, 2 + _ENTRY_BYTES * place)
        if tag == _IMAGE_DESCRIPTION:
            text = os.pread(descriptor, count, offset) if kind == _ASCII and 4 < count <= _MOST_BYTES else b""
            return text.rstrip(b"\x00").decode("latin-1") if len(text) == count and text else None
    return None
