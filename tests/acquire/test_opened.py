from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import IO

import pytest

from hts.acquire.copies import local_copy
from hts.acquire.opened import OpenFiles, file_problems, reading
from hts.errors import HtsError, SourceError, StoreError, UsageError
from hts.locations import Location, location


def open_file(path: Path) -> IO[bytes]:
    return path.open("rb")


def close_file(file: IO[bytes]) -> None:
    file.close()


def files_in(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.bin" for number in range(count)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def test_a_file_is_opened_once_and_the_oldest_is_closed(tmp_path: Path) -> None:
    opened: list[str] = []
    handles: list[IO[bytes]] = []

    def note(path: Path) -> IO[bytes]:
        opened.append(path.name)
        handles.append(open_file(path))
        return handles[-1]

    files = OpenFiles(note, close_file, limit=2)
    first, second, third = files_in(tmp_path, 3)
    for path in (first, second, first, third, first, second):
        with files.use(path) as file:
            file.seek(0)
            assert file.read() == path.name.encode()
    assert opened == ["0.bin", "1.bin", "2.bin", "1.bin"]
    assert sum(not file.closed for file in handles) == 2
    files.close()
    assert all(file.closed for file in handles)


def test_a_file_that_changed_is_opened_again(tmp_path: Path) -> None:
    files = OpenFiles(open_file, close_file)
    (path,) = files_in(tmp_path, 1)
    with files.use(path) as before:
        pass
    replacement = tmp_path / "new"
    replacement.write_bytes(b"another content")
    os.replace(replacement, path)
    with files.use(path) as after:
        assert after.read() == b"another content"
    assert after is not before
    files.close()


def test_a_failing_read_closes_its_file(tmp_path: Path) -> None:
    files = OpenFiles(open_file, close_file)
    (path,) = files_in(tmp_path, 1)
    with pytest.raises(ValueError, match="broken"), files.use(path) as file:
        raise ValueError("broken")
    assert file.closed


def test_threads_share_no_file_and_close_theirs_when_they_end(tmp_path: Path) -> None:
    files = OpenFiles(open_file, close_file)
    (path,) = files_in(tmp_path, 1)
    used: list[IO[bytes]] = []

    def work() -> None:
        with files.use(path) as file:
            used.append(file)

    with files.use(path) as own:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert used[0] is not own
    assert used[0].closed
    assert not own.closed
    files.close()


def test_a_copy_of_a_remote_file_is_shared_and_removed() -> None:
    remote = location("memory://copies/a.czi")
    remote.write_bytes(b"content")
    first = local_copy(remote)
    assert local_copy(remote) is first
    path = first.path
    assert path.read_bytes() == b"content"
    del first
    assert not path.exists()
    remote.unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.czi"):
        local_copy(remote)


BOTO = pytest.importorskip("botocore.exceptions")
REMOTE = location("memory://opened/plate/a.tif")


def raised(path: Location, error: Exception) -> HtsError:
    with pytest.raises(HtsError, match=r"a\.tif") as caught, reading(path, "a TIFF file", (ValueError, RuntimeError)):
        raise error
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        BOTO.EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
        BOTO.NoCredentialsError(),
        BOTO.ClientError({"Error": {"Code": "SlowDown"}}, "GetObject"),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError(),
        OSError(5, "Internal error"),
    ],
)
def test_an_unreachable_store_is_never_an_unreadable_plane(error: Exception) -> None:
    REMOTE.parent.mkdir(parents=True, exist_ok=True)
    REMOTE.write_bytes(b"x")
    found = raised(REMOTE, error)
    assert isinstance(found, StoreError)
    assert "can be reached" in str(found)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError("a.tif"), "is not there any more"),
        (PermissionError("Forbidden"), "permission denied"),
        (OSError("broken stream"), r"cannot be read \(broken stream\)"),
        (NotImplementedError("no such codec"), "or is truncated or damaged"),
        (MemoryError("8 GiB"), r"does not fit into memory \(8 GiB\)"),
    ],
)
def test_one_object_that_cannot_be_had_costs_itself(error: Exception, reason: str) -> None:
    REMOTE.parent.mkdir(parents=True, exist_ok=True)
    REMOTE.write_bytes(b"x")
    found = raised(REMOTE, error)
    assert isinstance(found, SourceError)
    assert re.search(reason, str(found))
    assert "\n" not in str(found)


def test_errors_of_this_disk_are_those_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"x")
    found = raised(path, OSError(5, "Input/output error"))
    assert isinstance(found, SourceError)
    assert str(found) == f"{path}: cannot be read (Input/output error)"


def test_errors_of_ours_pass(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^mine$"), file_problems(tmp_path):
        raise UsageError("mine")
