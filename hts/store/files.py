"""Files that appear whole or not at all, on disk and on object stores, and errors of both in plain words."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hts.errors import HtsError, StoreError
from hts.locations import Location
from hts.locations import file_errors as file_errors

_ELSEWHERE = "write somewhere else (results: --out; labels go into the plate itself)"
_PERMISSION = ("no permission to write there", f"change the permissions, or {_ELSEWHERE}")
_CAUSES = {
    errno.ENOSPC: ("the disk is full", "free some space and give the same command again: what is committed is kept"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and give the same command again"),
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EROFS: ("the file system is read-only", _ELSEWHERE),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "choose another place"),
    errno.EEXIST: ("a file of that name is in the way", "choose another place, or remove the file"),
}
_REMOTE = ("", "look at the address, its credentials and the network, then run the same command again")
_LOCAL = ("", "look at the disk and the path, then run the same command again")
_ABSENT = (FileNotFoundError, NotADirectoryError)


@contextlib.contextmanager
def storage_errors(place: Location, action: str = "written") -> Iterator[None]:
    """Turn an error of the disk or the object store into a `StoreError` that names `place`, cause and remedy.

    Errors of ours pass as they are: some of them are `OSError` too, and say more.
    """
    try:
        yield
    except HtsError:
        raise
    except file_errors() as error:
        cause, fix = _cause(place, error)
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StoreError(
            f"{place} can be {action}", found=f"{type(error).__name__}: {text}", cause=cause, fix=fix
        ) from error


def _cause(place: Location, error: Exception) -> tuple[str, str]:
    if isinstance(error, OSError) and error.errno in _CAUSES:
        return _CAUSES[error.errno]
    if isinstance(place, Path):
        return _LOCAL
    # File systems of fsspec raise these classes without a number.
    if isinstance(error, PermissionError):
        return "no permission there, or wrong credentials", _REMOTE[1]
    if isinstance(error, FileNotFoundError):
        return "there is no such bucket or folder", _REMOTE[1]
    if isinstance(error, NotImplementedError):
        return "files of this protocol can only be read", _ELSEWHERE
    return _REMOTE


def refuse_read_only(place: Location) -> None:
    """Raise `StoreError` when `place` lies in a zip file: those are only read."""
    if not isinstance(place, Path) and place.protocol == "zip":
        raise read_only_zip(place.storage_options.get("fo", place))


def read_only_zip(archive: Any) -> StoreError:
    """What to say to who wants to write into a zip file."""
    return StoreError(
        f"{archive} can be written",
        found="a zip file; plates in zip files are read-only",
        fix="write to a folder such as <name>.ome.zarr; a plate that is in a zip file is unpacked, or copied into a"
        f" plate of its own: hts convert {archive} <name>.ome.zarr --rewrite",
    )


def write_bytes(place: Location, content: bytes, *, durable: bool = True) -> None:
    """Write a file atomically: temporary file and rename on disk, one PUT on an object store.

    Parameters
    ----------
    durable : flush file and folder to the disk first. Markers, manifests and tables need it, because they say that
        other files are whole; the thousands of documents and shards of a plate do not.

    Raises
    ------
    StoreError
        when it is refused; the file is then what it was before.
    """
    refuse_read_only(place)
    with storage_errors(place):
        if isinstance(place, Path):
            _write_local(place, content, durable)
        else:
            place.fs.pipe_file(place.path, content)


def part_name(name: str) -> str:
    """What the file `name` is called until it is whole; a process that is killed can leave that behind."""
    return f".{name}.part"


def _write_local(path: Path, content: bytes, durable: bool) -> None:
    # One writer per file: a fixed name, so that what a killed process leaves is overwritten by the next.
    temporary = path.with_name(part_name(path.name))
    try:
        with _open_new(temporary) as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(*_ABSENT):
            os.unlink(temporary)
        raise
    if durable:
        _sync_folder(path.parent)


def _open_new(path: Path) -> Any:
    """Open for writing; the folder is made when there is none, which is rarer than that there is one."""
    try:
        return open(path, "wb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "wb")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_bytes(place: Location) -> bytes:
    """The content of a file, in one request; errors are those of the file system."""
    if isinstance(place, Path):
        return place.read_bytes()
    content: bytes = place.fs.cat_file(place.path)
    return content


def read_if_there(place: Location) -> bytes | None:
    """The content of a file, None when there is no such file; `StoreError` when it cannot be read."""
    with storage_errors(place, "read"):
        try:
            return read_bytes(place)
        except _ABSENT:
            return None


def size_bytes(place: Location) -> int | None:
    """Size of a file as it is now, None when there is none."""
    with storage_errors(place, "read"):
        try:
            if isinstance(place, Path):
                return place.stat().st_size
            forget_listing(place)
            return int(place.fs.size(place.path) or 0)
        except _ABSENT:
            return None


def exists(place: Location) -> bool:
    """Whether a file or folder is there now."""
    with storage_errors(place, "read"):
        forget_listing(place)
        return place.exists()


def forget_listing(place: Location) -> None:
    """Make the next look at `place` a look at the store: fsspec remembers listings that others may have changed."""
    if not isinstance(place, Path):
        for folder in (place, place.parent):
            place.fs.invalidate_cache(folder.path)


def remove_file(place: Location) -> None:
    """Remove a file; that there is none is no error."""
    refuse_read_only(place)
    with storage_errors(place), contextlib.suppress(FileNotFoundError):
        if isinstance(place, Path):
            place.unlink(missing_ok=True)
        else:
            place.fs.rm_file(place.path)


def address(place: Location) -> str:
    """What another process calls `place`: the absolute path, or the address."""
    return str(place.resolve()) if isinstance(place, Path) else str(place)


def json_bytes(value: Any) -> bytes:
    """`value` as JSON; keys keep their order. `ValueError` for NaN and infinity, which JSON does not have."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).encode()


def write_json(place: Location, value: Any, *, durable: bool = True) -> None:
    """Write `value` as JSON, atomically; keys keep their order. See :func:`write_bytes`."""
    write_bytes(place, json_bytes(value), durable=durable)


def read_json(place: Location) -> Any:
    """Read a JSON file; `StoreError` names the file when it is absent or damaged."""
    try:
        return json.loads(read_bytes(place))
    except FileNotFoundError as error:
        raise StoreError(f"{place} exists", found="no such file") from error
    except file_errors(ValueError) as error:
        cause = "the file is damaged" if isinstance(error, ValueError) else _cause(place, error)[0]
        raise StoreError(f"{place} is a JSON file", found=str(error), cause=cause) from error


def ensure_writable(folder: Location) -> None:
    """Make `folder` and prove that a file can be written in it, before any work is spent.

    Raises
    ------
    StoreError
        naming the folder, the cause and what to do.
    """
    refuse_read_only(folder)
    with storage_errors(folder):
        if isinstance(folder, Path):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"hts")
        else:
            # Object stores have no folders: that an object can be put there is all there is to prove.
            probe_path = (folder / f".probe-{uuid.uuid4().hex}").path
            folder.fs.pipe_file(probe_path, b"hts")
            folder.fs.rm_file(probe_path)
