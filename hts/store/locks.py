"""One writer at a time: a lock of the system on disk, a lock object on an object store."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hts.errors import StoreError, UsageError
from hts.locations import Location
from hts.store.files import (
    ensure_writable,
    file_errors,
    read_if_there,
    refuse_read_only,
    remove_file,
    storage_errors,
    write_bytes,
)

if TYPE_CHECKING:
    from upath import UPath

LOCK_TRIES = 10
LOCK_NAME = ".lock"
HEARTBEAT_S = 10.0
"""How often the holder of a lock object says that it is alive."""
STALE_S = 60.0
"""Age at which a lock object counts as left behind by a process that died."""
SETTLE_S = 2.0
"""How long who takes over a lock object waits to see whether somebody else does the same."""


@contextlib.contextmanager
def exclusive(folder: Location, purpose: str) -> Iterator[None]:
    """Hold `folder` for one writer.

    On disk the lock goes away with the process, also after SIGKILL. On an object store it is an object ``.lock``
    that is made by a conditional PUT (If-None-Match) and rewritten every 10 s while its holder lives. One that is
    older than 60 s was left behind by a process that died, and is taken over; clocks of machines that share a plate
    must therefore agree within some seconds.

    Raises
    ------
    UsageError
        when another process holds it.
    StoreError
        when nothing can be written there; at the end, when the lock was lost to another process meanwhile.
    """
    refuse_read_only(folder)
    ensure_writable(folder)
    with _locked_folder(folder, purpose) if isinstance(folder, Path) else _locked_address(folder, purpose):
        yield


def is_held(folder: Location) -> bool:
    """Whether a process holds `folder`; looking does not disturb anybody."""
    if not isinstance(folder, Path):
        holder = _read_holder(folder / LOCK_NAME)
        return holder is not None and holder.age_s < STALE_S
    import fcntl

    try:
        with open(folder / LOCK_NAME, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _refusal(folder: Location, purpose: str, holder: str, wait: str) -> UsageError:
    return UsageError(
        f"{folder} is free to {purpose}", found=f"another process works on it ({holder or 'unknown'})", fix=wait
    )


# --- on disk -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked_folder(folder: Path, purpose: str) -> Iterator[None]:
    path = folder / LOCK_NAME
    with contextlib.ExitStack() as held:
        # Only taking the lock is about the lock: what goes wrong while it is held has its own name.
        with storage_errors(path):
            file = held.enter_context(open(path, "a+", encoding="utf-8"))
            try:
                _lock(file)
            except BlockingIOError as error:
                file.seek(0)
                wait = "wait until it ends, or stop it, and give the command again"
                raise _refusal(folder, purpose, file.read().strip(), wait) from error
            file.truncate(0)
            file.write(f"process {os.getpid()}")
            file.flush()
        yield


def _lock(file: IO[str]) -> None:
    """Take the lock; somebody who only looks holds it for a moment, so a refusal counts after a second."""
    import fcntl

    for _ in range(LOCK_TRIES):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(1 / LOCK_TRIES)
    return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# --- on an object store ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Holder:
    """What a lock object says; ``token`` tells two locks of one process apart, ``beat_s`` is seconds since 1970."""

    host: str
    process: int
    token: str
    beat_s: float

    @property
    def age_s(self) -> float:
        return time.time() - self.beat_s


def _read_holder(place: Location) -> _Holder | None:
    """Who holds a lock object; None when nobody does. One that says nothing readable is as old as can be."""
    content = read_if_there(place)
    if content is None:
        return None
    try:
        return _Holder(**json.loads(content))
    except (ValueError, TypeError):
        return _Holder("unknown", 0, "", 0.0)


def _say(place: Location, token: str) -> bytes:
    return json.dumps(asdict(_Holder(socket.gethostname(), os.getpid(), token, time.time()))).encode()


@contextlib.contextmanager
def _locked_address(folder: UPath, purpose: str) -> Iterator[None]:
    place, token = folder / LOCK_NAME, uuid.uuid4().hex
    _take(place, token, folder, purpose)
    ended, lost = threading.Event(), threading.Event()
    beats = threading.Thread(target=_beat, args=(place, token, ended, lost), name="hts-lock", daemon=True)
    beats.start()
    try:
        yield
    finally:
        ended.set()
        beats.join()
        if not lost.is_set():
            remove_file(place)
    if lost.is_set():
        raise StoreError(
            f"{folder} was ours alone until the end",
            found="another process took its lock over",
            cause=f"this process stood still, or could not reach the store, for more than {STALE_S:.0f} s",
            fix="give the command again: what is committed is kept",
        )


def _take(place: UPath, token: str, folder: UPath, purpose: str) -> None:
    """Make the lock object, or take over one that was left behind."""
    with storage_errors(place):
        try:
            place.fs.pipe_file(place.path, _say(place, token), mode="create")
        except FileExistsError:
            pass
        else:
            return
    holder = _read_holder(place)
    if holder is None or holder.age_s >= STALE_S:
        # The last of several who take it over at the same time wins, and all of them see who that was.
        write_bytes(place, _say(place, token))
        time.sleep(SETTLE_S)
        holder = _read_holder(place)
    if holder is None or holder.token != token:
        shown = "" if holder is None else f"process {holder.process} on {holder.host}"
        wait = f"wait until it ends; if it was killed, the lock counts for {STALE_S:.0f} s after its last sign of life"
        raise _refusal(folder, purpose, shown, wait)


def _beat(place: Location, token: str, ended: Any, lost: Any) -> None:
    """Say every few seconds that the holder lives, until it ends or somebody else has taken the lock over."""
    last = time.monotonic()
    while not ended.wait(HEARTBEAT_S):
        # A store that does not answer for a moment costs nothing; for a minute, the lock.
        with contextlib.suppress(*file_errors(StoreError)):
            holder = _read_holder(place)
            if holder is not None and holder.token == token:
                write_bytes(place, _say(place, token))
                last = time.monotonic()
            elif holder is not None:
                lost.set()
        if lost.is_set() or time.monotonic() - last >= STALE_S:
            lost.set()
            return
