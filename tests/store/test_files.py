from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import hts.store.files
from hts.errors import SourceError, StoreError, UsageError
from hts.store import ensure_writable, exclusive, read_json, storage_errors, write_json
from hts.store.files import write_bytes
from tests.store.plates import run_python

CAUSES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the file system is read-only",
}


def _raise(code: int):
    def refuse(*arguments, **settings):
        raise OSError(code, os.strerror(code))

    return refuse


def test_bytes_and_json_come_back(tmp_path):
    write_bytes(tmp_path / "new" / "a.bin", b"\x00\x01")
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"\x00\x01"
    value = {"z": 1, "a": [1.5, None, "β"], "m": {}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert list(read_json(tmp_path / "a.json")) == ["z", "a", "m"]
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644


def test_json_that_no_other_reader_understands_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", CAUSES)
@pytest.mark.parametrize("where", ["os.fsync", "os.replace", "open"])
def test_a_failed_write_keeps_what_was_there(tmp_path, monkeypatch, code, where):
    file = tmp_path / "a.json"
    write_json(file, {"old": True})
    if where == "open":
        monkeypatch.setattr(hts.store.files, "open", _raise(code), raising=False)
    else:
        monkeypatch.setattr(os, where.removeprefix("os."), _raise(code))
    expected = (
        rf"^{file} can be written\n  found: .*{os.strerror(code)}\n  likely cause: {CAUSES[code]}\n  what to do: "
    )
    with pytest.raises(StoreError, match=expected):
        write_json(file, {"old": False})
    monkeypatch.undo()
    assert read_json(file) == {"old": True}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_an_interrupted_write_leaves_no_temporary(tmp_path, monkeypatch):
    def interrupt(handle):
        raise KeyboardInterrupt("by hand")

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt, match="by hand"):
        write_json(tmp_path / "a.json", {})
    assert list(tmp_path.iterdir()) == []


def test_content_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("fsync"), fsync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (steps.append("replace"), replace(*names))[1])
    write_json(tmp_path / "a.json", {})
    assert steps == ["fsync", "replace", "fsync"]


def test_a_path_through_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("I am here")
    with pytest.raises(StoreError, match=r"likely cause: a part of the path is a file, not a folder\n.*choose another"):
        write_json(tmp_path / "file" / "deep" / "a.json", {})
    with pytest.raises(StoreError, match=r"likely cause: a part of the path is a file, not a folder\n.*choose"):
        write_json(tmp_path / "file" / "a.json", {})
    with pytest.raises(
        StoreError, match=rf"^{tmp_path / 'file'} can be written\n.*\n.*a file of that name is in the way"
    ):
        ensure_writable(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "I am here"


def test_ensure_writable_makes_the_folder_and_leaves_it_empty(tmp_path):
    ensure_writable(tmp_path / "a" / "b")
    ensure_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_ensure_writable_proves_that_a_file_can_be_made(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", _raise(errno.EACCES))
    with pytest.raises(StoreError, match=rf"^{tmp_path} can be written\n.*\n  likely cause: no permission"):
        ensure_writable(tmp_path)


def test_other_disk_errors_are_passed_on_in_the_systems_words(tmp_path):
    with (
        pytest.raises(StoreError, match=r"can be written\n  found: OSError: Input/output error\n  what to do: look"),
        storage_errors(tmp_path),
    ):
        raise OSError(errno.EIO, "Input/output error")


def test_our_own_errors_pass_unchanged(tmp_path):
    """`SourceError` is an `OSError`: it must not turn into a complaint about writing."""
    for error in (SourceError("a.tif can be read"), StoreError("p is a plate"), UsageError("a level from 0 to 3")):
        with pytest.raises(type(error), match=str(error)) as caught, storage_errors(tmp_path):
            raise error
        assert caught.value is error


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"\x00" * 9])
def test_a_damaged_document_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(StoreError, match=rf"{tmp_path / 'a.json'} is a JSON file\n.*\n.*the file is damaged"):
        read_json(tmp_path / "a.json")


def test_an_absent_document_is_named(tmp_path):
    with pytest.raises(StoreError, match=rf"{tmp_path / 'a.json'} exists\n  found: no such file"):
        read_json(tmp_path / "a.json")
    with pytest.raises(StoreError, match=rf"{tmp_path} is a JSON file\n  found: .*directory"):
        read_json(tmp_path)


# --- real failures -----------------------------------------------------------------------------------------------

_WRITE_LARGE = """
import sys
from pathlib import Path
from hts.errors import HtsError
from hts.store.files import write_bytes
folder = Path(sys.argv[1])
try:
    write_bytes(folder / "a.bin", b"small")
    write_bytes(folder / "a.bin", bytes(1 << 20))
except HtsError as error:
    print(type(error).__name__, error)
print([(file.name, file.stat().st_size) for file in folder.iterdir()])
"""


def test_a_file_over_the_systems_limit(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))\n"
    done = run_python(limit + _WRITE_LARGE, tmp_path)
    assert done.stdout.startswith(f"StoreError {tmp_path / 'a.bin'} can be written\n  found: OSError: File too large")
    assert done.stdout.endswith("[('a.bin', 5)]\n")


def _on_tmpfs(folder: Path, options: str) -> str:
    """Run `_WRITE_LARGE` on a small file system of its own that nobody else sees and that goes with the process."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    script = 'mount -t tmpfs -o "$1" none "$2" || exit 77; exec "$3" -c "$4" "$2"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", options, str(folder), sys.executable, _WRITE_LARGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine lets nobody mount a file system")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_disk_that_is_really_full(tmp_path):
    out = _on_tmpfs(tmp_path, "size=128k")
    assert out.startswith(f"StoreError {tmp_path / 'a.bin'} can be written\n  found: OSError: No space left on device")
    assert "likely cause: the disk is full\n  what to do: free some space and give the same command again" in out
    assert out.endswith("[('a.bin', 5)]\n")


def test_a_disk_that_is_really_read_only(tmp_path):
    out = _on_tmpfs(tmp_path, "ro")
    assert "likely cause: the file system is read-only" in out
    assert out.endswith("[]\n")


# --- one writer --------------------------------------------------------------------------------------------------

_HOLD = """
import sys
from pathlib import Path
from hts.store import exclusive
with exclusive(Path(sys.argv[1]), "run"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path` until its input ends or it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path, holder):
    expected = rf"{tmp_path} is free to convert\n  found: another process works on it \(process {holder.pid}\)\n.*wait"
    with pytest.raises(UsageError, match=expected), exclusive(tmp_path, "convert"):
        pytest.fail("the lock was given twice")
    holder.kill()
    holder.wait()
    with exclusive(tmp_path, "convert"):
        assert (tmp_path / ".lock").read_text() == f"process {os.getpid()}"


def test_the_lock_is_free_when_the_first_ends(tmp_path, holder):
    holder.communicate("")
    assert holder.returncode == 0
    with exclusive(tmp_path, "run"):
        pass
    with exclusive(tmp_path, "run"):
        pass


def test_the_lock_is_free_after_an_error_which_passes_unchanged(tmp_path):
    for error in (SourceError("a.tif can be read"), FileNotFoundError(2, "gone"), KeyError("x")):
        with pytest.raises(type(error), match=r"can be read|gone|x") as caught, exclusive(tmp_path, "run"):
            raise error
        assert caught.value is error
    with exclusive(tmp_path, "run"):
        pass


def test_a_lock_in_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="a file of that name is in the way"), exclusive(tmp_path / "file", "run"):
        pytest.fail("there is no folder to hold")
