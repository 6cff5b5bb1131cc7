"""The log file of a results folder: who ran what when, and how every well ended."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from hts.store import storage_errors

LOG_NAME = "hts.log"


def run_logger(run_id: str) -> logging.Logger:
    """The logger of one run; its records also reach the logger ``hts``."""
    return logging.getLogger(f"hts.run.{run_id}")


@contextlib.contextmanager
def journal(results: Path, log: logging.Logger) -> Iterator[None]:
    """Append what `log` is told to ``<results>/hts.log`` until the block ends."""
    path = results / LOG_NAME
    with storage_errors(path):
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
