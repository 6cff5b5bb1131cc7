"""Files that appear whole or not at all, and errors of the disk in plain words."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from hts.errors import HtsError, StoreError, UsageError

LOCK_TRIES = 10
_ELSEWHERE = "write somewhere else (results: --out; labels go into the plate itself)"
_CAUSES = {
    errno.ENOSPC: ("the disk is full", "free some space and give the same command again: what is committed is kept"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and give the same command again"),
    errno.EACCES: (
        "no permission to write there",
        f"change the permissions, or {_ELSEWHERE}",
    ),
    errno.EPERM: (
        "no permission to write there",
        f"change the permissions, or {_ELSEWHERE}",
    ),
    errno.EROFS: (
        "the file system is read-only",
        "write somewhere else (results: --out; labels go into the plate itself)",
    ),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "choose another place"),
    errno.EEXIST: ("a file of that name is in the way", "choose another place, or remove the file"),
}


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into a `StoreError` that names `path`, cause and remedy.

    Errors of ours pass as they are: some of them are `OSError` too, and say more.
    """
    try:
        yield
    except HtsError:
        raise
    except OSError as error:
        cause, fix = _CAUSES.get(
            error.errno or 0, ("", "look at the disk and the path, then run the same command again")
        )
        raise StoreError(
            f"{path} can be written",
            found=f"{type(error).__name__}: {error.strerror or error}",
            cause=cause,
            fix=fix,
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write `path` atomically: temporary file beside it, fsync, rename, fsync of the folder.

    Raises
    ------
    StoreError
        when the disk refuses; `path` is then what it was before.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # One writer per file: a fixed name, so that what a killed process leaves is overwritten by the next.
        temporary = path.with_name(f".{path.name}.part")
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, atomically; keys keep their order."""
    write_bytes(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; `StoreError` names the file when it is absent or damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StoreError(f"{path} exists", found="no such file") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is a JSON file", found=str(error), cause="the file is damaged") from error


def ensure_writable(folder: Path) -> None:
    """Make `folder` and prove that a file can be written in it, before any work is spent.

    Raises
    ------
    StoreError
        naming the folder, the cause and what to do.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"hts")


def is_held(folder: Path) -> bool:
    """Whether a process holds `folder`; looking does not disturb anybody."""
    import fcntl

    try:
        with open(folder / ".lock", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock(file: IO[str]) -> None:
    """Take the lock; somebody who only looks holds it for a moment, so a refusal counts after a second."""
    import fcntl

    for _ in range(LOCK_TRIES):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(1 / LOCK_TRIES)
    return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def exclusive(folder: Path, purpose: str) -> Iterator[None]:
    """Hold `folder` for one writer; the lock goes away with the process, also after SIGKILL.

    Raises
    ------
    UsageError
        when another process holds it.
    """
    ensure_writable(folder)
    path = folder / ".lock"
    with contextlib.ExitStack() as held:
        # Only taking the lock is about the lock: what goes wrong while it is held has its own name.
        with storage_errors(path):
            file = held.enter_context(open(path, "a+", encoding="utf-8"))
            try:
                _lock(file)
            except BlockingIOError as error:
                file.seek(0)
                raise UsageError(
                    f"{folder} is free to {purpose}",
                    found=f"another process works on it ({file.read().strip() or 'unknown'})",
                    fix="wait until it ends, or stop it, and give the command again",
                ) from error
            file.truncate(0)
            file.write(f"process {os.getpid()}")
            file.flush()
        yield
