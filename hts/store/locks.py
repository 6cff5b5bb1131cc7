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
from typing import IO, TYPE_CHECKING

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


class Held:
    """A lock that is held, as :func:`exclusive` gives it. On disk nobody can take it away."""

    def still_ours(self) -> None:
        """Look whether the lock is ours still; call it before each commit, which must not mix with another writer's.

        Raises
        ------
        StoreError
            when another process has taken it over, or the object store does not answer.
        """


@contextlib.contextmanager
def exclusive(folder: Location, purpose: str) -> Iterator[Held]:
    """Hold `folder` for one writer.

    On disk the lock goes away with the process, also after SIGKILL. On an object store it is an object ``.lock``
    that is made by a conditional PUT (If-None-Match) and rewritten every 10 s while its holder lives. One that is
    older than 60 s was left behind by a process that died, and is taken over; clocks of machines that share a plate
    must therefore agree within some seconds. Stores without conditional PUTs are found out by a second one, which must
    fail; there the last of several who begin at the same time wins, and who begins waits 2 s to see who that was.

    Raises
    ------
    UsageError
        when another process holds it.
    StoreError
        when nothing can be written there; at the end, when the lock was lost to another process meanwhile.
    """
    refuse_read_only(folder)
    ensure_writable(folder)
    with _locked_folder(folder, purpose) if isinstance(folder, Path) else _locked_address(folder, purpose) as held:
        yield held


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
def _locked_folder(folder: Path, purpose: str) -> Iterator[Held]:
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
        yield Held()


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


def _say(token: str) -> bytes:
    return json.dumps(asdict(_Holder(socket.gethostname(), os.getpid(), token, time.time()))).encode()


class _HeldObject(Held):
    """A lock object of ours, which a thread keeps fresh until :meth:`end`."""

    def __init__(self, folder: UPath, token: str) -> None:
        self._folder, self._place, self._token = folder, folder / LOCK_NAME, token
        self._ended, self._lost = threading.Event(), threading.Event()
        self._beats = threading.Thread(target=self._beat, name="hts-lock", daemon=True)
        self._beats.start()

    def still_ours(self) -> None:
        if not self._lost.is_set():
            holder = _read_holder(self._place)
            # That there is none means that another process has taken it over and has ended already.
            if holder is None or holder.token != self._token:
                self._lost.set()
        self.refuse_lost()

    def refuse_lost(self) -> None:
        if self._lost.is_set():
            raise StoreError(
                f"{self._folder} was ours alone until the end",
                found="another process took its lock over",
                cause=f"this process stood still, or could not reach the store, for more than {STALE_S:.0f} s",
                fix="give the command again: what is committed is kept",
            )

    def end(self) -> None:
        self._ended.set()
        self._beats.join()
        if not self._lost.is_set():
            remove_file(self._place)

    def _beat(self) -> None:
        """Say every few seconds that the holder lives, until it ends or somebody else has taken the lock over."""
        last = time.monotonic()
        while not self._lost.is_set() and not self._ended.wait(HEARTBEAT_S):
            # A store that does not answer for a moment costs nothing; for a minute, the lock.
            with contextlib.suppress(*file_errors(StoreError)):
                holder = _read_holder(self._place)
                if holder is not None and holder.token == self._token:
                    write_bytes(self._place, _say(self._token))
                    last = time.monotonic()
                elif holder is not None:
                    self._lost.set()
            if time.monotonic() - last >= STALE_S:
                self._lost.set()


@contextlib.contextmanager
def _locked_address(folder: UPath, purpose: str) -> Iterator[Held]:
    token = uuid.uuid4().hex
    _take(folder, purpose, token)
    held = _HeldObject(folder, token)
    try:
        yield held
    finally:
        held.end()
    held.refuse_lost()


def _take(folder: UPath, purpose: str, token: str) -> None:
    """Make the lock object, or take over one that was left behind."""
    place = folder / LOCK_NAME
    holder = _read_holder(place)
    if holder is None:
        if _create(place, token):
            return
        holder = _read_holder(place)
    if holder is None or holder.token == token or holder.age_s >= STALE_S:
        # The last of several who write it at the same time wins, and all of them see who that was.
        write_bytes(place, _say(token))
        time.sleep(SETTLE_S)
        holder = _read_holder(place)
    if holder is None or holder.token != token:
        shown = "" if holder is None else f"process {holder.process} on {holder.host}"
        wait = f"wait until it ends; if it was killed, the lock counts for {STALE_S:.0f} s after its last sign of life"
        raise _refusal(folder, purpose, shown, wait)


def _create(place: UPath, token: str) -> bool:
    """Make the lock object if there is none; False when there is one, or when the store may have let two make it.

    A store that does not know the condition overwrites: a second try, which must be refused, shows it. File systems
    of fsspec without a method of their own look first and write then, which lets two pass at the same time.
    """
    from fsspec import AbstractFileSystem

    if not _put_new(place, token):
        return False
    looks_first = getattr(place.fs.pipe_file, "__func__", None) is AbstractFileSystem.pipe_file
    return not looks_first and not _put_new(place, token)


def _put_new(place: UPath, token: str) -> bool:
    with storage_errors(place):
        try:
            place.fs.pipe_file(place.path, _say(token), mode="create")
        except FileExistsError:
            return False
    return True
