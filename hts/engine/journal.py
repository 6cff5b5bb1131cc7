"""The log file of a results folder: who ran what when, and how every well ended."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from hts.store import storage_errors

LOG_NAME = "hts.log"
LOG = logging.getLogger("hts")


@contextlib.contextmanager
def journal(results: Path) -> Iterator[None]:
    """Append everything that `hts` logs to ``<results>/hts.log`` until the block ends."""
    path = results / LOG_NAME
    with storage_errors(path):
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = LOG.level
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(before)
        handler.close()
