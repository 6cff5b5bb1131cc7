"""Files on their way to be read: kept open between two planes of one file, and what is wrong with them in one line.

A file of 10,000 planes must not be opened 10,000 times. Every thread keeps its own few files open, so that nothing is
shared and no lock is held while pixels are read; they are closed when others take their place and when the thread ends.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from hts.errors import SourceError
from hts.locations import Location

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


@contextmanager
def reading(path: Location, kind: str, broken: tuple[type[Exception], ...]) -> Iterator[int]:
    """Size of a file in bytes; whatever goes wrong inside becomes a SourceError in one line.

    ``kind`` is what the file should be (``a TIFF file``), ``broken`` what its decoders raise on damaged bytes.
    """
    try:
        size_bytes = path.stat().st_size
        if path.is_dir():
            raise refused(path, "is a folder, not a file")
        if size_bytes == 0:
            raise refused(path, "file is empty (0 bytes)")
        yield size_bytes
    except SourceError:
        raise
    except FileNotFoundError as error:
        raise refused(path, "file is not there any more") from error
    except PermissionError as error:
        raise refused(path, "permission denied; ask for the right to read it") from error
    except OSError as error:
        raise refused(path, f"the disk answers {error.strerror or error}") from error
    except broken as error:
        reason = " ".join(str(error).split())
        raise refused(path, f"is not {kind}, or is truncated or damaged ({type(error).__name__}: {reason})") from error


def refused(path: Location, reason: str) -> SourceError:
    """The error in one line that names the file."""
    return SourceError(f"{path}: {reason}")
