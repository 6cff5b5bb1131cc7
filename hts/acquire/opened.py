"""Files on their way to be read: kept open between two planes of one file, and what is wrong with them in one line.

A file of 10,000 planes must not be opened 10,000 times. Every thread keeps its own few files open, so that nothing is
shared and no lock is held while pixels are read; they are closed when others take their place and when the thread ends.
"""

from __future__ import annotations

import os
import stat
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from hts.errors import HtsError, SourceError, StoreError
from hts.locations import Location, file_errors, is_local

KEPT_OPEN = 4
"""Files of one format that a thread keeps open."""

_Handle = TypeVar("_Handle")
_Key = tuple[str, int, int, float]


class OpenFiles(Generic[_Handle]):
    """The open files of a format; ``open_file`` opens one, ``close_file`` closes it.

    A file that changed since is opened again; one that a reading failed in is closed at once.
    """

    def __init__(
        self, open_file: Callable[[Location], _Handle], close_file: Callable[[_Handle], None], limit: int = KEPT_OPEN
    ) -> None:
        self._open, self._close, self._limit = open_file, close_file, limit
        self._threads = threading.local()

    @contextmanager
    def use(self, path: Location) -> Iterator[_Handle]:
        """The open file, this thread's alone."""
        shelf, key = self._shelf(), _key(path)
        handle = shelf.pop(key, None)
        if handle is None:
            handle = self._open(path)
        try:
            yield handle
        except BaseException:
            self._close(handle)
            raise
        shelf[key] = handle
        while len(shelf) > self._limit:
            self._close(shelf.popitem(last=False)[1])

    def close(self) -> None:
        """Close the files of this thread."""
        _close_all(self._shelf(), self._close)

    def _shelf(self) -> OrderedDict[_Key, _Handle]:
        known: _Shelf[_Handle] | None = getattr(self._threads, "shelf", None)
        if known is None:
            known = self._threads.shelf = _Shelf()
            # A thread that ends leaves its files to be closed, and so does the process.
            weakref.finalize(known, _close_all, known.files, self._close)
        return known.files


class _Shelf(Generic[_Handle]):
    """A dictionary that can be watched by a finalizer."""

    def __init__(self) -> None:
        self.files: OrderedDict[_Key, _Handle] = OrderedDict()


def _close_all(files: OrderedDict[_Key, _Handle], close: Callable[[_Handle], None]) -> None:
    while files:
        close(files.popitem()[1])


def _key(path: Location) -> _Key:
    """A fork must not share the place in a file with its parent, nor a reader the pages of a file that was replaced."""
    status = path.stat()
    return str(path), os.getpid(), status.st_size, float(getattr(status, "st_mtime", 0) or 0)


class Expected(NamedTuple):
    """What a plane must be, None where anything goes: compared with its header, before its pixels take memory."""

    shape: tuple[int, int] | None = None
    dtype: np.dtype[Any] | None = None

    def check(self, path: Location, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        """Raise SourceError where a plane has another shape (Y, X) or dtype."""
        if self.shape is not None and shape != tuple(self.shape):
            raise refused(path, f"is {_size(shape)}, the plate's planes are {_size(self.shape)}")
        if self.dtype is not None and dtype != np.dtype(self.dtype).newbyteorder("="):
            raise refused(path, f"has pixels of type {dtype}, the plate's planes are {np.dtype(self.dtype)}")


ANYTHING = Expected()
"""Any plane will do."""


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


@contextmanager
def reading(path: Location, kind: str, broken: tuple[type[Exception], ...]) -> Iterator[int]:
    """Size of a file in bytes; whatever goes wrong inside becomes a SourceError in one line.

    ``kind`` is what the file should be (``a TIFF file``), ``broken`` what its decoders raise on damaged bytes.
    """
    with file_problems(path):
        try:
            yield _size_bytes(path)
        except MemoryError as error:
            raise refused(path, f"does not fit into memory ({error}); its header may be damaged") from error
        except broken as error:
            reason = " ".join(str(error).split())
            problem = f"is not {kind}, or is truncated or damaged ({type(error).__name__}: {reason})"
            raise refused(path, problem) from error


def _size_bytes(path: Location) -> int:
    status = path.stat()
    if isinstance(path, Path):
        is_folder, is_special = stat.S_ISDIR(status.st_mode), not stat.S_ISREG(status.st_mode)
    else:
        is_folder, is_special = path.is_dir(), False
    if is_folder:
        raise refused(path, "is a folder, not a file")
    if is_special:
        # To open a pipe is to wait for somebody who writes.
        raise refused(path, "is no regular file")
    if status.st_size == 0:
        raise refused(path, "file is empty (0 bytes)")
    return int(status.st_size)


@contextmanager
def file_problems(path: Location) -> Iterator[None]:
    """Turn what a disk or an object store raises into an error in plain words; errors of ours pass.

    Raises
    ------
    SourceError
        in one line with file and reason, when it is this file that cannot be had.
    StoreError
        when it is the store: a file of it must not be taken for a damaged one.
    """
    try:
        yield
    except HtsError:
        raise
    except FileNotFoundError as error:
        raise refused(path, "file is not there any more") from error
    except PermissionError as error:
        raise refused(path, "permission denied; ask for the right to read it") from error
    except file_errors() as error:
        text = (error.strerror if isinstance(error, OSError) else "") or str(error)
        if is_local(path) or not _is_of_the_store(error):
            raise refused(path, f"cannot be read ({text})") from error
        raise StoreError(
            f"the store of {path} can be reached",
            found=f"{type(error).__name__}: {text}",
            fix="look at the address, its credentials and the network, then run the same command again",
        ) from error


def _is_of_the_store(error: Exception) -> bool:
    """Whether an error is one of network, credentials or server; errors of decoders have no number."""
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    return error.errno is not None if isinstance(error, OSError) else not isinstance(error, NotImplementedError)


def refused(path: Location, reason: str) -> SourceError:
    """The error in one line that names the file."""
    return SourceError(f"{path}: {reason}")
